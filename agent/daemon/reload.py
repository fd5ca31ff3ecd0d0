"""Applies a changed site file while the agent runs (SIGHUP)."""

from __future__ import annotations

import logging
from collections.abc import Callable

from agent.config.settings import Settings
from inarvl.errors import InarvlError

log = logging.getLogger(__name__)

LIVE = {
    "local",
    "local_allow_plaintext",
    "peers",
    "prompt",
    "image_roots",
    "judge",
    "feedback",
    "replies",
    "clients",
    "cameras",
    "camera_hosts",
    "spend",
    "home_assistant",
}
LIVE_INTAKE = {"max_payload_bytes", "max_images", "default_deadline_ms", "max_tokens"}
LIVE_PARTS = {"intake": LIVE_INTAKE, "discovery": {"trust"}}


def reload(current: Settings, read: Callable[[], Settings]) -> tuple[Settings, str]:
    """Reads the site file again.

    An invalid file changes nothing. Settings that cannot change while the agent runs keep their values until
    the next start; the summary names them.

    Args:
        current: the settings in use.
        read: returns the settings, read from the site file.

    Returns:
        The settings to use from now on, and a summary of what changed.
    """
    try:
        new = read()
    except InarvlError as error:
        log.error("the site file cannot be used: %s", error)
        return current, f"kept the old settings: {error}"
    changed = {name for name in Settings.model_fields if getattr(new, name) != getattr(current, name)}
    parts = {
        f"{part}.{name}"
        for part in LIVE_PARTS
        for name in type(getattr(new, part)).model_fields
        if getattr(getattr(new, part), name) != getattr(getattr(current, part), name)
    }
    live_parts = {f"{part}.{name}" for part, names in LIVE_PARTS.items() for name in names}
    at_restart = sorted(changed - LIVE - LIVE_PARTS.keys()) + sorted(parts - live_parts)
    applied = sorted(changed & LIVE) + sorted(parts & live_parts)
    update = {name: getattr(new, name) for name in LIVE} | {
        part: getattr(current, part).model_copy(
            update={name: getattr(getattr(new, part), name) for name in names}
        )
        for part, names in LIVE_PARTS.items()
    }
    summary = (
        f"applied {', '.join(applied)}" if applied else "no setting changed that applies without a restart"
    )
    if at_restart:
        summary += f"; restart for {', '.join(at_restart)}"
        log.warning("changes in the site file that need a restart: %s", ", ".join(at_restart))
    log.info("site file read again: %s", summary)
    return current.model_copy(update=update), summary
