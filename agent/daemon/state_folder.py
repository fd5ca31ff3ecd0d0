"""The folder in which the agent keeps its state, for no other user to read."""

from __future__ import annotations

import time
from itertools import chain
from pathlib import Path
from typing import Final

from agent.config.privacy_settings import PrivacySettings
from agent.reporting.decision_log import DecisionLog
from agent.reporting.events import Events
from agent.spool.dead_letters import FOLDER, DeadLetters
from agent.spool.file import Damage
from agent.spool.spool import SpoolFailed
from inarvl.private_files import make_private, make_private_folder

OWN: Final = (
    "spool.db*",
    "decisions*",
    "learned.*",
    "mode.*",
    "cloud_calls.*",
    "spend.*",
    "home_assistant.*",
    "under-way",
    FOLDER,
    f"{FOLDER}/*",
)
DAMAGED: Final = (
    "spool.db.damaged-*",
    "learned.*.bad-*",
    "mode.*.bad-*",
    "cloud_calls.*.bad-*",
    "spend.*.bad-*",
    "home_assistant.*.bad-*",
)
MAX_DAMAGED: Final = 8  # of each kind
MAX_AGE_S: Final = 7 * 86_400.0


class StateFolder:
    """The files of the agent, and what was set aside of them.

    Attributes:
        dead_letters: queries and replies that were set aside.
        decisions: the newest decision records.
    """

    def __init__(self, folder: Path, privacy: PrivacySettings, events: Events) -> None:
        self.dead_letters = DeadLetters(folder / FOLDER, events.error, keep_content=privacy.keep_set_aside)
        self.decisions = DecisionLog(folder, keep=privacy.keep_decisions)
        self._folder = folder
        self._privacy = privacy
        self._events = events

    def prepare(self) -> None:
        """Creates the folder, and makes it and the files of earlier runs private.

        Raises:
            SpoolFailed: it cannot be created or used.
        """
        try:
            make_private_folder(self._folder)
            for path in chain.from_iterable(self._folder.glob(pattern) for pattern in OWN):
                make_private(path)
        except OSError as error:
            raise SpoolFailed(
                f"cannot use state_dir {self._folder} ({error}): check the folder's owner and free space"
            ) from error

    def spool_damaged(self, damage: Damage) -> None:
        """Reports a damaged database that was replaced, and deletes it if it may not be kept."""
        if not self._privacy.keep_set_aside:
            damage.remove()
        self._events.error("spool_damaged", str(damage))

    def remove_old(self, *, now_s: float | None = None) -> None:
        """Deletes what was set aside over MAX_AGE_S ago, or is not among the newest.

        Args:
            now_s: seconds since 1970; None for now.
        """
        self.dead_letters.remove_old(now_s=now_s)
        oldest_s = (time.time() if now_s is None else now_s) - MAX_AGE_S
        for pattern in DAMAGED:
            found = sorted(self._folder.glob(pattern), key=_moved_at_s)
            for path in found:
                if _moved_at_s(path) < oldest_s or path in found[:-MAX_DAMAGED]:
                    path.unlink(missing_ok=True)


def _moved_at_s(path: Path) -> float:
    """Returns when a file was set aside, by the time in ns in its name, as in spool.db.damaged-1-wal."""
    digits = path.name.split("-")[1]
    return int(digits) / 1e9 if digits.isdigit() else 0.0
