"""What the controller raises on purpose."""

from __future__ import annotations

from inarvl.errors import InarvlError


class NoArm(InarvlError):
    """Nothing can or may answer the question now; the message says why for each arm."""

    code = "no_arm"


class SignalsError(InarvlError):
    """The image cannot be looked at."""

    code = "bad_image"


class SnapshotError(InarvlError):
    """What was saved does not fit this version of the controller."""

    code = "bad_snapshot"
