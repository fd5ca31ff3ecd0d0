"""The limit of images is configured, reported or learned from a refusal; the smallest counts."""

from __future__ import annotations

from agent.peers.image_limits import ImageLimits
from agent.profile.loading import load_profile
from vlm.client import ModelCard
from vlm.errors import VlmRefused

URL = "http://peer:8000"
CARD = ModelCard("m")


def refusal(words: str) -> VlmRefused:
    return VlmRefused(f"{URL}: {words}", 400)


def test_without_any_knowledge_there_is_no_limit() -> None:
    limits = ImageLimits(lambda _tier, card: card.max_images)
    assert limits.of("cloud", URL, CARD) is None
    assert limits.of("cloud", URL, ModelCard("m", max_images=2)) == 2


def test_a_refusal_is_learned_for_this_model_of_this_server() -> None:
    limits = ImageLimits(lambda _tier, card: card.max_images)
    limits.learn(URL, "m", refusal("At most 3 images are allowed"), sent=4)
    assert limits.of("cloud", URL, CARD) == 3
    limits.learn(URL, "m", refusal("too many images"), sent=3)
    assert limits.of("cloud", URL, CARD) == 2
    assert limits.of("cloud", URL, ModelCard("other")) is None
    assert limits.of("cloud", "http://else", CARD) is None


def test_a_refusal_for_another_reason_is_not_learned() -> None:
    limits = ImageLimits(lambda _tier, card: card.max_images)
    limits.learn(URL, "m", refusal("the image cannot be decoded"), sent=4)
    assert limits.of("cloud", URL, CARD) is None


def test_the_profile_precedes_the_server() -> None:
    profile = load_profile("generic-x86")
    cloud = profile.models.cloud[0].model_copy(update={"name": "m", "max_images": 5})
    profile = profile.model_copy(update={"models": profile.models.model_copy(update={"cloud": (cloud,)})})
    reported = ModelCard("m", max_images=1)
    assert ImageLimits(profile.max_images_of).of("cloud", URL, reported) == 5
    assert ImageLimits(profile.max_images_of).of("local", URL, reported) == 1
