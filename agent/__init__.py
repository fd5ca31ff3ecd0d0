"""The daemon on the board: receives questions over MQTT, decides which model answers, and replies.

A question passes through these packages: `messages` (MQTT and its message formats), `intake` with `spool`
(receives, stores and queues queries), `answering` (asks models and learns) with `peers` (the model servers)
and `sensing` (the board's readings), and `reporting` (publishes decisions). `daemon` runs them all. `config`
reads the site file and `profile` the hardware profile.
The others are `client` (talks to a running agent), `doctor`, `calibration` (`inarvl profile new`), `cli`,
`smoothing` and `standalone` (`inarvl up`).

This module exports the messages that another Python program needs to talk to an agent.
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
