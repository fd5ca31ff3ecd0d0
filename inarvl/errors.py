"""The base class of the errors that inarvl raises."""

from __future__ import annotations


class InarvlError(Exception):
    """An expected failure; its message says what is wrong and what to do.

    Attributes:
        code: stable snake_case identifier, the `error.code` of a reply over MQTT or HTTP.
    """

    code = "internal"
