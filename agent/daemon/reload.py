"""Taking over a changed site file while the agent runs (SIGHUP)."""

from __future__ import annotations

import logging
from collections.abc import Callable

from agent.config.settings import Settings
from inarvl.errors import InarvlError

log = logging.getLogger(__name__)

LIVE = {"local", "peers", "image_roots"}
LIVE_INTAKE = {"max_payload_bytes", "default_deadline_ms", "max_tokens"}


def reloaded(current: Settings, read: Callable[[], Settings]) -> tuple[Settings, str]:
    """The settings to go on with, and in words what happened.

    A file that cannot be used leaves all as it is. What cannot change while the agent runs is named, and
    stays until the next start.
    """
    try:
        fresh = read()
    except InarvlError as error:
        log.error("the site file is not taken over: %s", error)
        return current, f"kept the old settings: {error}"
    changed = {name for name in Settings.model_fields if getattr(fresh, name) != getattr(current, name)}
    intake = {
        name
        for name in type(fresh.intake).model_fields
        if getattr(fresh.intake, name) != getattr(current.intake, name)
    }
    later = sorted(changed - LIVE - {"intake"}) + sorted(f"intake.{name}" for name in intake - LIVE_INTAKE)
    taken = sorted(changed & LIVE) + sorted(f"intake.{name}" for name in intake & LIVE_INTAKE)
    kept_intake = current.intake.model_copy(
        update={name: getattr(fresh.intake, name) for name in LIVE_INTAKE}
    )
    update = {name: getattr(fresh, name) for name in LIVE} | {"intake": kept_intake}
    told = f"took over {', '.join(taken)}" if taken else "nothing that can change now has changed"
    if later:
        told += f"; restart for {', '.join(later)}"
        log.warning("the site file was changed in what needs a restart: %s", ", ".join(later))
    log.info("site file read again: %s", told)
    return current.model_copy(update=update), told
