"""Where replies may be published.

1. Without a rule of the site, a reply goes below `inarvl/<device>/result/` only. Otherwise a query could have
   the agent publish to any topic that the agent may write, such as `zigbee2mqtt/front_door/set`.
2. A client that asks on its own topic gets its replies below its own result topic only.
3. The site file may name more topics, for every client (`replies.allow`). Each allows itself and what is
   below it: `a/b` allows `a/b` and `a/b/c`, but not `a/bc`.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.messages.query import BadQuery, response_topic
from agent.messages.topics import Topics
from inarvl.quoting import quoted


class ReplyRules:
    """Decides whether the replies to a client may go to a topic.

    Args:
        allow: more topics that are allowed, without wildcards.
    """

    def __init__(self, topics: Topics, allow: Sequence[str] = ()) -> None:
        self._topics = topics
        self._allow = tuple(allow)

    def apply(self, allow: Sequence[str]) -> None:
        """Replaces the topics that the site file allows."""
        self._allow = tuple(allow)

    def default(self, client: str) -> str:
        """Returns the topic of replies to queries that name none."""
        return self._topics.result(client)

    def check(self, topic: str, client: str | None) -> str:
        """Returns `topic` if replies may be published to it.

        Args:
            client: the client on whose own topic the query arrived; None on the open topic.

        Raises:
            BadQuery: they may not; the message names the setting that allows it.
        """
        response_topic(topic)
        if self.allows(topic, client):
            return topic
        own = self._topics.result("" if client is None else client).rstrip("/")
        raise BadQuery(
            "bad_response_topic",
            f"this agent does not publish to {quoted(topic)}: use a topic below {quoted(own)}, or allow it "
            "with replies.allow in the site file",
        )

    def allows(self, topic: str, client: str | None = None) -> bool:
        """Returns whether replies to a client, by default one on the open topic, may go to a valid topic."""
        levels = topic.split("/")
        if client is None:
            own = topic.startswith(self._topics.result(""))
        else:
            own = _covers(self._topics.result(client), levels)
        return own or any(_covers(allowed, levels) for allowed in self._allow)


def _covers(prefix: str, levels: Sequence[str]) -> bool:
    own = prefix.split("/")
    return list(levels[: len(own)]) == own
