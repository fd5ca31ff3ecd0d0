"""The daemon on the board: it takes questions over MQTT, decides who answers, and replies.

The way of a question through the rooms: `messages` (what is on the wire), `intake` with `spool` (received, on
disk, queued), `answering` (asked and learned from) with `peers` (the model servers) and `sensing` (the
board's readings), `reporting` (published). `daemon` puts them together, `config` and `profile` are the two
YAML files it is built from.
Beside it: `client` (talks to a running agent), `doctor`, `calibration` (`inarvl profile new`) and `cli`.

This module hands out what another Python program needs to exchange messages with an agent.
"""

from agent.messages.query import BadQuery, Query
from agent.messages.reply import Answer, BadReply, Refusal, Reply, reply_from_bytes
from agent.messages.topics import Topics

__all__ = [
    "Answer",
    "BadQuery",
    "BadReply",
    "Query",
    "Refusal",
    "Reply",
    "Topics",
    "reply_from_bytes",
]
