"""Rules between a camera and the rest of the site file: what it may read, and where its answers may go."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import paho.mqtt.client as paho
from pydantic import AfterValidator

from agent.config.camera_settings import CameraSettings
from agent.config.client_settings import EVERYBODY
from agent.config.standing_question import StandingQuestion
from agent.messages.query import BadQuery
from agent.messages.reply_rules import ReplyRules
from agent.messages.topics import Topics
from inarvl.server_url import url_problem

IMAGES_WITH_BEFORE = 2


def _as_host(host: str) -> str:
    bracketed = f"[{host}]" if ":" in host and not host.startswith("[") else host
    if url_problem(f"http://{bracketed}", ("http",)) is not None or "/" in host or "]:" in bracketed:
        raise ValueError("must be the name or address of a host, without a port: such as camera-1.lan")
    return host.strip("[]").lower()


CameraHost = Annotated[str, AfterValidator(_as_host)]
"""A host from which pictures may be fetched, in lower case."""


def answer_topic(
    topics: Topics, rules: ReplyRules, camera: str, name: str, question: StandingQuestion
) -> str:
    """Returns the topic for the answers to the question `name`.

    Raises:
        BadQuery: the site file does not allow the topic that the question names.
    """
    usual = topics.camera_answer(camera, name)
    if question.topic is None or question.topic == usual:
        return usual
    return rules.check(question.topic, camera)


def camera_problem(
    name: str,
    camera: CameraSettings,
    topics: Topics,
    *,
    allow: Sequence[str],
    hosts: Sequence[str],
    roots: Sequence[Path],
    max_images: int,
) -> str | None:
    """Returns what is wrong with a camera, after the key where it is; None if nothing is.

    Args:
        allow: `replies.allow`.
        hosts: `camera_hosts`.
        roots: `image_roots`.
        max_images: `intake.max_images`.
    """
    source, rules = camera.source, ReplyRules(topics, allow)
    if source is None:
        return None
    if name == EVERYBODY:
        return 'source: "*" is no camera: give the camera a name'
    if source.kind in ("http", "rtsp") and source.host not in hosts:
        return f"source: the host {source.host} is not in camera_hosts: add it there"
    if source.kind == "file" and not any(source.folder.is_relative_to(root) for root in roots):
        return f"source: {source.folder} is outside image_roots: add the folder there"
    for key, question in camera.questions.items():
        try:
            topic = answer_topic(topics, rules, name, key, question)
        except BadQuery as error:
            return f"questions.{key}.topic: {error}"
        trigger = question.when.trigger
        if trigger is not None and paho.topic_matches_sub(trigger, topic):
            return f"questions.{key}.when.trigger: the answers go to this topic too: choose another one"
        if question.before and max_images < IMAGES_WITH_BEFORE:
            return f"questions.{key}.before: it needs two images: raise intake.max_images"
    return None
