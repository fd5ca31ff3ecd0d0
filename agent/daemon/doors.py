"""The doors of the agent, one for each kind of remote input."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from agent.peers.directory import PeerDoors
from inarvl.door import Door


@dataclass(frozen=True)
class Doors:
    """The guarded doors; see `inarvl.door`.

    Attributes:
        follow_ups: what follows a reply: the audit, learning and the decision record.
    """

    queries: Door = field(default_factory=partial(Door, "queries"))
    feedback: Door = field(default_factory=partial(Door, "feedback"))
    commands: Door = field(default_factory=partial(Door, "commands"))
    plug: Door = field(default_factory=partial(Door, "messages of the plug"))
    cameras: Door = field(default_factory=partial(Door, "pictures of cameras"))
    follow_ups: Door = field(default_factory=partial(Door, "steps after a reply"))
    http: Door = field(default_factory=partial(Door, "requests over HTTP"))
    peers: PeerDoors = field(default_factory=PeerDoors)

    def all(self) -> tuple[Door, ...]:
        """Returns every door."""
        peers = self.peers
        own = (
            self.queries,
            self.feedback,
            self.commands,
            self.plug,
            self.cameras,
            self.follow_ups,
            self.http,
        )
        return (*own, peers.records, peers.announcements, peers.replies)
