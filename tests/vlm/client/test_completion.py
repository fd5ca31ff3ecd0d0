"""A model card survives its JSON form; a malformed one is read as far as possible."""

import json

from vlm import ModelCard


def test_a_card_round_trips() -> None:
    card = ModelCard("m", (64, 96), 32, "nf4", 900_000)
    assert ModelCard.from_json(json.loads(json.dumps(card.to_json()))) == card


def test_of_a_malformed_card_only_the_id_is_used() -> None:
    malformed = {"resolutions": ["big", -1, True], "max_tokens": "9", "quantization": 4, "parameters": 0}
    assert ModelCard.from_json({"id": "m", "inarvl": malformed}) == ModelCard("m")
