"""The root of every error that inarvl raises on purpose."""

from __future__ import annotations


class InarvlError(Exception):
    """An expected failure, told in words a user can act on.

    Attributes:
        code: stable snake_case identifier, the `error.code` of a reply over MQTT or HTTP.
    """

    code = "internal"
