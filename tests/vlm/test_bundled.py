"""The bundled checkpoints load and answer in every quantization."""

import pytest
from PIL import Image

from vlm import bundled
from vlm.checkpoint import Checkpoint, Quantization
from vlm.loading import load
from vlm.schema import ChatRequest, Message


@pytest.mark.parametrize("quantization", ["nf4", "int8", "none"])
@pytest.mark.parametrize("name", bundled.names())
def test_a_bundled_model_answers(name: str, quantization: Quantization) -> None:
    model = load(Checkpoint.at(f"bundled:{name}", quantization), "cpu", 64, lambda _share: None)
    image = Image.new("RGB", (96, 96), "gray")
    request = ChatRequest(None, (Message("user", (image, "is there a red circle?")),), top_logprobs=2)
    answer = model.generate(request, max_tokens=model.card.max_tokens or 1, check=lambda: None)
    assert model.card.id == name
    assert model.card.resolutions
    assert answer.text
    assert answer.finish_reason == "stop"  # a trained model ends its answer itself
    assert answer.scores
    assert len(answer.scores) == answer.completion_tokens - 1
