"""What leaves the board, what stays on its disk, and who can read it.

The broker and the agent are real. All that the agent sends to the cloud is recorded, byte by byte.
"""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
import yaml
from aiohttp import web
from anyio import to_thread
from PIL import Image, PngImagePlugin

from agent.messages.reply import Answer, Refusal, Reply
from agent.standalone.broker import broker, free_port
from agent.standalone.service_process import ServiceProcess
from lab.rig.mock_model_server import MockModelServer
from lab.rig.wiretap import Wiretap
from product import START_S, Client, Product

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]
MARKER = b"MARKER-51.4778N-0.0015W"
SECRET = "marker-in-a-name"
WORD = "zebra"  # all that a model answers
RIGHT_HALF = [[0.5, 0], [1, 0], [1, 1], [0.5, 1]]
SIZES = ((60, 40), (320, 200))  # of a picture that an arm gets at its size, and of one that is resized


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def picture(size: tuple[int, int] = (320, 200), seed: int = 0) -> Image.Image:
    """Something dark, and white on the right half."""
    pixels = np.random.default_rng(seed).integers(0, 90, (size[1], size[0], 3)).astype(np.uint8)
    pixels[:, size[0] // 2 :] = 255
    return Image.fromarray(pixels)


def marked(size: tuple[int, int]) -> list[bytes]:
    """Files with the marker beside their pixels."""
    tags, chunks = Image.Exif(), PngImagePlugin.PngInfo()
    tags[0x010E], tags.get_ifd(0x8825)[29] = MARKER.decode(), MARKER.decode()
    chunks.add_text("Location", MARKER.decode())
    chunks.add(b"prVt", MARKER)
    image, beside = picture(size), {"exif": tags, "xmp": MARKER, "icc_profile": MARKER}
    return [
        encoded(image, "JPEG", comment=MARKER, **beside) + MARKER,
        encoded(image, "MPO", save_all=True, append_images=[image], comment=MARKER, **beside),
        encoded(image, "PNG", pnginfo=chunks, exif=tags, icc_profile=MARKER) + MARKER,
        encoded(image, "WEBP", **beside) + MARKER,
    ]


@dataclass
class Home:
    """A running agent, with the state that it keeps and what the cloud is sent."""

    product: Product
    cloud: Wiretap

    @property
    def state(self) -> Path:
        return self.product.folder / "state"

    async def configure(self, **site: Any) -> None:
        """Changes the site file, and lets the agent read it again."""
        content = yaml.safe_load(self.product.config.read_text())
        self.product.config.write_text(yaml.safe_dump(content | site))
        async with self.product.client(also=self.product.topics.event) as client:
            agent = self.product.services["agent"]
            os.kill(agent._process.pid, signal.SIGHUP)
            event = json.loads((await client.receive(self.product.topics.event)).payload)
            assert "applied" in event["message"]

    async def start_agent(self, umask: int = 0) -> None:
        before = os.umask(umask)
        try:
            service = self.product.start("agent")
        finally:
            os.umask(before)
        await to_thread.run_sync(lambda: service.wait_ready(START_S, lambda _status: None))
        await self.product.online()
        async with self.product.client() as client:  # until the agent has checked the cloud
            with anyio.fail_after(60):
                fields = {"question": "ready?", "pin": "cloud", "client": "installer"}
                while not isinstance(await client.ask(fields, encoded(picture(), "JPEG")), Answer):  # noqa: ASYNC110
                    await anyio.sleep(0.1)
        self.cloud.forget()

    def agent(self) -> ServiceProcess:
        return self.product.services["agent"]


class Zebra(MockModelServer):
    """Always answers WORD."""

    def _completion(self, answer: Any) -> dict[str, object]:
        return json.loads(json.dumps(super()._completion(answer)).replace('"yes"', f'"{WORD}"'))  # type: ignore[no-any-return]


@asynccontextmanager
async def home(folder: Path, **site: Any) -> AsyncIterator[Home]:
    behind, rng, wiretap = free_port(), np.random.default_rng(0), Wiretap()
    runners = [web.AppRunner(Zebra("m", ms, 0.0, 8, rng).app()) for ms in (30.0, 1.0)]
    for runner in runners:
        await runner.setup()
    await web.UnixSite(runners[0], f"{folder}/vlm.sock").start()
    await web.TCPSite(runners[1], "127.0.0.1", behind).start()
    with broker(folder) as (_, port):
        product = Product(folder, port, free_port())
        product.site = {
            "peers": [{"id": "peer", "url": f"http://127.0.0.1:{product.peer_port}"}],
            "discovery": {"zeroconf": False, "mqtt": False},
            "state_dir": f"{folder}/state",
            **site,
        }
        product.configure()
        running = Home(product, wiretap)
        try:
            async with wiretap.listening(product.peer_port, behind):
                await running.start_agent()
                yield running
        finally:
            for service in product.services.values():
                service.stop()
    for runner in runners:
        await runner.cleanup()


async def ask_json(asker: Client, **fields: Any) -> Reply:
    payload = json.dumps({"question": "what?", **fields}).encode()
    query = asker.product.topics.query
    await asker.connection.publish(query, payload, qos=1, response_topic=asker.answers)
    return await asker.reply()


async def test_nothing_but_pixels_and_the_question_leaves_the_board(tmp_path: Path) -> None:
    folder = tmp_path / "images" / SECRET
    folder.mkdir(parents=True)
    async with home(tmp_path) as running, running.product.client() as client:
        for size in SIZES:
            for number, data in enumerate(marked(size)):
                file = folder / f"{SECRET}-{size[0]}-{number}"
                file.write_bytes(data)
                for pin in ({"pin": "cloud"}, {}):
                    fields = {
                        "question": "what?",
                        "id": f"{SECRET}-{file.name}-{len(pin)}",
                        "client": SECRET,
                        **pin,
                    }
                    assert isinstance(await client.ask(fields, data), Answer)
                    reply = await ask_json(client, image_url=file.as_uri(), client=SECRET, **pin)
                    assert isinstance(reply, Answer)
        assert len(running.cloud.pictures) >= 2 * 2 * 4
        assert b"what?" in running.cloud.everything
        assert MARKER not in running.cloud.everything
        assert SECRET.encode() not in running.cloud.everything


async def test_nothing_of_a_local_camera_leaves_the_board(tmp_path: Path) -> None:
    async with home(tmp_path, cameras={"gate": {"local_only": True}}) as running:
        topics = running.product.topics
        async with (
            running.product.client(also=topics.decision) as observer,
            running.product.client() as client,
        ):
            await client.connection.publish(topics.mode_set, b"cloud", qos=1)
            for seed in range(12):
                reply = await client.ask(
                    {"question": "what?", "client": "gate"}, encoded(picture(seed=seed), "JPEG")
                )
                assert isinstance(reply, Answer)
                assert (reply.tier, reply.answer) == ("local", WORD)
                assert "camera gate is local_only" in reply.reason
                record = (await observer.receive(topics.decision)).payload.decode()
                assert "camera gate is local_only" in record
                assert WORD not in record
            fields = {"question": "what?", "client": "gate", "pin": "cloud"}
            refused = await client.ask(fields, encoded(picture(), "JPEG"))
            assert isinstance(refused, Refusal)
            assert refused.code == "local_only"
            assert running.cloud.questions == 0
            other = await client.ask({"question": "what?", "client": "other"}, encoded(picture(), "JPEG"))
            assert isinstance(other, Answer)
            assert WORD in (await observer.receive(topics.decision)).payload.decode()
            assert other.tier == "cloud"


async def test_a_mask_and_a_policy_apply_when_the_site_file_is_read_again(tmp_path: Path) -> None:
    async with home(tmp_path) as running, running.product.client() as client:

        async def sent(form: str, size: tuple[int, int]) -> list[bytes]:
            running.cloud.forget()
            fields = {"question": "what?", "client": "gate", "pin": "cloud"}
            assert isinstance(await client.ask(fields, encoded(picture(size), form)), Answer)
            return running.cloud.pictures

        assert brightest(*await sent("JPEG", (320, 200))) > 200
        await running.configure(cameras={"gate": {"mask": RIGHT_HALF}})
        for form in ("JPEG", "PNG", "WEBP"):
            for size in SIZES:
                assert brightest(*await sent(form, size)) < 130  # the dark half, with what JPEG adds
        await running.configure(cameras={"*": {"local_only": True}})
        running.cloud.forget()
        for name in ("gate", "other", "anonymous"):
            reply = await client.ask({"question": "what?", "client": name}, encoded(picture(), "JPEG"))
            assert isinstance(reply, Answer)
            assert reply.tier == "local"
        assert running.cloud.questions == 0


def brightest(*pictures: bytes) -> int:
    assert pictures
    highest = [Image.open(io.BytesIO(data)).convert("L").getextrema()[1] for data in pictures]
    return max(int(level) for level in highest)  # type: ignore[arg-type]


async def test_a_limit_of_cloud_calls_holds_when_the_agent_is_killed(tmp_path: Path) -> None:
    cameras = {"gate": {"cloud_calls_per_day": 5}}
    async with home(tmp_path, cameras=cameras) as running, running.product.client() as client:

        async def ask(number: int) -> Answer:
            data = encoded(picture(seed=number), "JPEG")
            reply = await client.ask({"question": "what?", "client": "gate"}, data)
            assert isinstance(reply, Answer)
            return reply

        for number in range(3):
            await ask(number)
        before = len(running.cloud.pictures)
        assert 0 < before <= 5
        running.agent()._process.kill()
        await running.start_agent()
        replies = [await ask(number) for number in range(100, 112)]
        assert before + len(running.cloud.pictures) == 5
        assert replies[-1].tier == "local"
        assert "camera gate used its 5 cloud calls of today" in replies[-1].reason


async def test_only_files_in_the_image_roots_are_read(tmp_path: Path) -> None:
    inside, outside = tmp_path / "images", tmp_path / "images-of-others"
    for folder in (inside, outside):
        folder.mkdir()
    data = encoded(picture(), "JPEG")
    (outside / "secret.jpg").write_bytes(data)
    (inside / "link.jpg").symlink_to(outside / "secret.jpg")
    (inside / "folder").symlink_to(outside)
    (inside / "own.jpg").write_bytes(data)
    (inside / "inner.jpg").symlink_to(inside / "own.jpg")
    async with home(tmp_path) as running, running.product.client() as client:
        for name in (
            "link.jpg",
            "folder/secret.jpg",
            "../images-of-others/secret.jpg",
            "%2e%2e/images-of-others/secret.jpg",
        ):
            reply = await ask_json(client, image_url=f"file://{inside}/{name}")
            assert isinstance(reply, Refusal)
            assert reply.code == "image_not_allowed", name
        for path in (
            outside / "secret.jpg",
            running.state / "spool.db",
            Path("/proc/self/environ"),
            Path("/etc/shadow"),
        ):
            reply = await ask_json(client, images=[path.as_uri()])
            assert isinstance(reply, Refusal)
            assert reply.code == "image_not_allowed", path
        assert running.cloud.questions == 0
        for name in ("own.jpg", "inner.jpg"):
            assert isinstance(await ask_json(client, image_url=f"file://{inside}/{name}"), Answer)


async def test_the_switches_leave_no_text_of_an_answer_behind(tmp_path: Path) -> None:
    switches = {"publish_texts": False, "keep_replies": False}
    async with home(tmp_path, privacy=switches) as running:
        decision = running.product.topics.decision
        async with running.product.client(also=decision) as observer, running.product.client() as client:
            for pin in ("local", "cloud"):
                reply = await client.ask({"question": "what?", "pin": pin}, encoded(picture(), "JPEG"))
                assert isinstance(reply, Answer)
                assert reply.answer == WORD
                record = (await observer.receive(decision)).payload
                assert json.loads(record)["runs"]
                assert WORD.encode() not in record
        with anyio.fail_after(30):
            while WORD.encode() in stored(running.state):  # noqa: ASYNC110
                await anyio.sleep(0.2)


async def test_an_answered_image_is_gone_from_the_disk_and_no_file_is_for_others(tmp_path: Path) -> None:
    async with home(tmp_path, cameras={"*": {"cloud_calls_per_day": 1000}}) as running:
        payloads = []
        async with running.product.client() as client:
            for seed in range(12):
                image = encoded(picture((200, 100), seed=1000 + seed), "PNG", icc_profile=MARKER)
                if seed % 2:
                    payload = image
                    assert isinstance(await client.ask({"question": f"is it {SECRET}?"}, image), Answer)
                else:
                    encoded_image = base64.b64encode(image).decode()
                    payload = encoded_image.encode()
                    reply = await ask_json(client, image=encoded_image, question=f"is it {SECRET}?")
                    assert isinstance(reply, Answer)
                payloads.append(payload)
        await gone(running.state, payloads)
        assert private(running.state)
        running.agent()._process.kill()
        await gone(running.state, payloads)


async def gone(folder: Path, payloads: list[bytes]) -> None:
    """Waits until nothing of the payloads and their questions is in any file of the state."""
    parts = [payload[at : at + 40] for payload in payloads for at in range(0, len(payload) - 40, 512)]
    with anyio.fail_after(30):
        while any(part in stored(folder) for part in (*parts, SECRET.encode())):  # noqa: ASYNC110
            await anyio.sleep(0.2)


def stored(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def private(folder: Path) -> bool:
    """Returns whether there are files, of which other users can read none."""
    modes = {path: path.stat().st_mode for path in (folder, *folder.rglob("*"))}
    for path, mode in modes.items():
        allowed = 0o750 if stat.S_ISDIR(mode) else 0o600
        assert stat.S_IMODE(mode) & ~allowed == 0, f"{path} has the mode {stat.filemode(mode)}"
    return {"spool.db", "spool.db-wal", "spool.db-shm", "under-way", "cloud_calls.json"} <= {
        path.name for path in modes
    }
