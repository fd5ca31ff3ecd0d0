"""A vision-language model (VLM) behind an HTTP endpoint with OpenAI's chat-completions schema.

This module exports the client. It imports no model library; the server does, once it loads a model.

Where to find things:

- Client: `client`, `connection`, `base_url`, `dialect` (requests), `replies`, `remote_values`. The top of
  `dialect` lists how OpenAI-compatible servers differ.
- Server: `server`, `endpoints`, `schema` and `output_format` (requests), `server_responses`, `runtime`,
  `worker`, `metrics`.
- Models: `checkpoint`, `loading`, `processors`, `model`, `generation`, `choice_decoding`. A new family
  belongs in `families`.
- Checkpoints from the hub: `hub`.
"""

from vlm.client import Ping, VlmClient
from vlm.completion import Completion, Confidence, ModelCard
from vlm.errors import VlmBusy, VlmError, VlmRefused, VlmTimeout, VlmUnavailable

__all__ = [
    "Completion",
    "Confidence",
    "ModelCard",
    "Ping",
    "VlmBusy",
    "VlmClient",
    "VlmError",
    "VlmRefused",
    "VlmTimeout",
    "VlmUnavailable",
]
