"""How many requests a server has, read from the Prometheus metrics of servers that are not inarvl's.

To support another server, add its metrics to METRICS, and what it serves at /metrics to
tests/vlm/client/test_server_load.py.
"""

from __future__ import annotations

import re

METRICS = {
    "llamacpp:requests_processing": "llama.cpp's server, if it was started with --metrics: computed now",
    "llamacpp:requests_deferred": "llama.cpp's server: waiting",
    "vllm:num_requests_running": "vLLM, per engine and model: computed now",
    "vllm:num_requests_waiting": "vLLM: waiting",
}
LINE = re.compile(rf"^(?:{'|'.join(METRICS)})(?:\{{.*\}})? (\d{{1,9}}(?:\.\d*)?)\b", re.MULTILINE)
MAX_CHARACTERS = 2**20
MAX_REQUESTS = 10_000


def read_load(metrics: str) -> int | None:
    """Returns the requests that a server computes now or that wait there; None if it does not report them."""
    values = [float(value) for value in LINE.findall(metrics[:MAX_CHARACTERS])]
    return min(MAX_REQUESTS, round(sum(values))) if values else None
