"""Queries: JSON, and images with user properties."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from random import Random

from PIL import Image

from agent.forms.constraint import allowed, json_schema, response_format, structured_outputs
from agent.forms.infer import infer
from agent.forms.prompt import max_tokens, prompt_suffix
from agent.forms.value import answer_problem, value_of
from agent.messages.address import Address
from agent.messages.payload import read_payload
from agent.messages.query import BadQuery, Query
from agent.messages.reply_rules import ReplyRules
from agent.messages.topics import Topics
from controller import text_signals
from lab.rig.fuzz.fuzz_door import FuzzDoor, Use
from lab.rig.fuzz.mutation import Mutator

TOPICS = Topics("d")
RULES = ReplyRules(TOPICS)


def _image() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(file, "JPEG")
    return file.getvalue()


IMAGE = _image()
SEEDS = (
    {
        "id": "q-1",
        "question": "how many cups are there, and is one of them red or blue?",
        "image": base64.b64encode(IMAGE).decode(),
        "deadline_ms": 5000,
        "pin": "local",
        "max_tokens": 8,
        "priority": 4,
        "client": "camera",
        "response_topic": f"{TOPICS.result()}/lab",
        "correlation": "c",
        "answer": "choice",
        "choices": ["one", "two", "three"],
        "_msgid": "x",
    },
    {
        "id": 7,
        "question": "what does the sign say?",
        "image_url": "file:///srv/images/a.jpg",
        "answer": "json",
        "schema": {
            "type": "object",
            "properties": {"cars": {"type": "integer", "minimum": 0}, "colour": {"enum": ["red", "blue"]}},
            "required": ["cars"],
            "$defs": {"a": {"type": "string", "pattern": "^a+$"}},
        },
    },
    {
        "question": "Is the door open? (a) yes (b) no",
        "image": "data:image/jpeg;base64,AAAA",
        "answer": "yes_no",
    },
)


def make(mutator: Mutator, rng: Random) -> bytes:
    """Returns user properties on the first line, and the payload: JSON, or an image."""
    if rng.random() < 0.7:
        return b"{}\n" + mutator.change_json(rng.choice(SEEDS))
    user = {key: str(value) for key, value in rng.choice(SEEDS).items() if not key.startswith("image")}
    for key in rng.sample(list(user), k=rng.randint(1, min(3, len(user)))):
        user[key] = mutator.change_text(user[key])
    return json.dumps(user).encode() + b"\n" + (mutator.change_bytes(IMAGE) if rng.random() < 0.3 else IMAGE)


@asynccontextmanager
async def opened() -> AsyncIterator[Use]:
    """Reads queries as the agent does, and what is derived from them before a model is asked."""

    async def use(data: bytes) -> None:
        head, _, payload = data.partition(b"\n")
        user = {}
        with suppress(ValueError, AttributeError):
            user = {str(key): str(value) for key, value in json.loads(head).items()}
        fields = dict(user)
        try:
            fields, image = read_payload(payload, user)
            query = Query.from_fields(fields, image)
        except BadQuery as error:
            refusal = Address.of(fields, RULES, response=user.get("response_topic")).refusal(error)
            json.loads(refusal.to_bytes())
            return
        finally:
            Address.of(fields, RULES)
        query.to_bytes()
        text_signals(query.question)
        infer(query.question)
        form = query.form
        json.dumps([allowed(form), json_schema(form), response_format(form), structured_outputs(form)])
        f"{query.question}{prompt_suffix(form)}".encode()
        max_tokens(form)
        for text in ("two", '{"cars": 2}', ""):
            json.dumps(value_of(form, text))
            answer_problem(form, text)

    yield use


DOOR = FuzzDoor("queries", make, opened)
