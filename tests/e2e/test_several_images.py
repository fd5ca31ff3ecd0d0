"""A question about several images over MQTT: sent in order, refused where no model accepts them."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import web
from typer.testing import CliRunner

from agent.cli.main import app
from agent.messages.reply import Answer, Refusal
from lab.rig.mock_model_server import MockAnswer, MockModelServer
from product import Client, Product, jpeg, running_product
from vlm.client import VlmClient
from vlm.errors import VlmRefused

pytestmark = pytest.mark.anyio
IMAGES = [jpeg(seed)[0] for seed in range(5)]


async def ask(client: Client, images: Sequence[bytes | str], **fields: Any) -> Answer | Refusal:
    written = [image if isinstance(image, str) else base64.b64encode(image).decode() for image in images]
    query = {"question": "Are they the same?", "images": written, **fields}
    topic = client.product.topics.query
    await client.connection.publish(topic, json.dumps(query).encode(), qos=1, response_topic=client.answers)
    return await client.reply()


@asynccontextmanager
async def mock_server(path: Path, received: list[Sequence[bytes]], most: int) -> AsyncIterator[None]:
    """Runs a mock of the board's server, which refuses more than `most` images as vLLM does."""

    def script(images: Sequence[bytes]) -> MockAnswer:
        received.append(images)
        if len(images) > most:
            text = json.dumps(
                {"error": {"message": f"At most {most} image(s) may be provided in one prompt."}}
            )
            raise web.HTTPBadRequest(text=text, content_type="application/json")
        return MockAnswer("no", 0.9)

    server = MockModelServer("mock", 1.0, 0.0, 4, np.random.default_rng(0), script=script)
    runner = web.AppRunner(server.app(), access_log=None)
    await runner.setup()
    await web.UnixSite(runner, str(path)).start()
    yield
    await runner.cleanup()


@pytest.fixture(scope="module")
def without_models(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with running_product(tmp_path_factory.mktemp("several"), models=()) as running:
        yield running


async def test_the_model_gets_all_images_in_their_order_and_a_refusal_is_remembered(
    without_models: Product,
) -> None:
    received: list[Sequence[bytes]] = []
    async with (
        mock_server(without_models.folder / "vlm.sock", received, most=2),
        without_models.client() as client,
    ):
        (without_models.folder / "images").mkdir()
        file = without_models.folder / "images" / "c.jpg"
        file.write_bytes(IMAGES[2])
        reply = await ask(
            client, [IMAGES[0], f"data:image/jpeg;base64,{base64.b64encode(IMAGES[1]).decode()}"]
        )
        assert isinstance(reply, Answer), reply
        assert reply.answer == "no"
        reply = await ask(client, [file.as_uri(), IMAGES[0]])
        assert isinstance(reply, Answer), reply
        sizes = [[len(image) for image in images] for images in received]
        assert received == [received[0], [received[1][0], received[0][0]]]
        assert sizes[0][0] != sizes[0][1]

        refused = await ask(client, IMAGES[:3])
        assert isinstance(refused, Refusal)
        assert "At most 2 image(s)" in refused.message
        calls = len(received)
        refused = await ask(client, IMAGES[1:4])
        assert isinstance(refused, Refusal)
        assert (refused.code, len(received)) == ("no_arm", calls), "it is not asked again"
        assert "it accepts 2 images in a question, and this one has 3" in refused.message
        assert isinstance(await ask(client, IMAGES[:2]), Answer)

        refused = await ask(client, IMAGES)
        assert isinstance(refused, Refusal)
        assert (refused.code, len(received)) == ("too_many_images", calls + 1)
        assert "5 images, and this agent accepts 4" in refused.message


async def test_models_for_one_image_are_not_asked_about_two(product: Product) -> None:
    async with product.client() as client:
        refused = await ask(client, IMAGES[:2])
        assert isinstance(refused, Refusal)
        assert refused.code == "no_arm"
        assert "it accepts 1 image in a question, and this one has 2" in refused.message
        assert isinstance(await ask(client, IMAGES[:1]), Answer)


async def test_the_model_server_refuses_more_images_than_a_model_accepts(product: Product) -> None:
    client = VlmClient(f"unix:{product.folder}/vlm.sock")
    try:
        card = (await client.models())[0]
        assert card.max_images == 1
        with pytest.raises(VlmRefused, match="accepts 1 image in a request, and this one has 2") as caught:
            await client.complete("same?", IMAGES[:2], model=card.id, max_tokens=4, timeout_s=30)
        assert (caught.value.status, caught.value.reason) == (400, "too_many_images")
        answer = await client.complete("same?", IMAGES[:1], model=card.id, max_tokens=4, timeout_s=30)
        assert answer.text
    finally:
        await client.aclose()


def test_the_command_asks_about_several_files(product: Product, tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.jpg" for number in range(2)]
    for file, image in zip(files, IMAGES, strict=False):
        file.write_bytes(image)
    config = ["--config", str(product.config)]
    both = CliRunner().invoke(app, ["ask", *map(str, files), "are they the same?", *config])
    assert both.exit_code == 1
    assert "it accepts 1 image in a question, and this one has 2" in both.output
    one = CliRunner().invoke(app, ["ask", str(files[0]), "is there a circle?", *config, "--pin", "local"])
    assert one.exit_code == 0, one.output
    forgotten = CliRunner().invoke(app, ["ask", *map(str, files), *config])
    assert forgotten.exit_code == 2
    assert "write the question as the last argument" in " ".join(forgotten.output.split())
