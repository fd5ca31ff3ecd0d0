"""The requests that wait, with a fair share for each client.

1. Each client that the broker vouches for has a share. All others together have one, because anybody can
   claim many names; it is divided between these names, and between the reply topics of those without one.
2. A client's share goes to its requests by priority, then by deadline.
3. A request with a higher weight costs its client less of its share.
4. If there are too many requests, one of the client with the most is refused.
"""

from __future__ import annotations

from bisect import bisect, insort
from collections.abc import Callable, Iterator, Mapping

from agent.intake.fair_shares import FairShares
from agent.intake.request import Request


class Waiting:
    """The waiting requests, by the party that shares the capacity and its members."""

    def __init__(self) -> None:
        self._requests: dict[str, dict[str, list[Request]]] = {}
        self._parties = FairShares()
        self._members = FairShares()

    def __len__(self) -> int:
        return sum(len(requests) for _, requests in self._lists())

    def add(self, request: Request) -> None:
        """Adds a request to those of its client."""
        party, member = request.party, request.member
        members = self._requests.setdefault(party, {})
        if not members:
            self._parties.begin(party, self._requests)
        if member not in members:
            members[member] = []
            self._members.begin(member, {name for others in self._requests.values() for name in others})
        insort(members[member], request, key=_turn)

    def ahead(self, request: Request) -> int:
        """Returns about how many requests are served before `request`, which does not wait yet."""
        members = self._requests.get(request.party, {})
        own = bisect(members.get(request.member, []), _turn(request), key=_turn)
        counts = {member: len(requests) for member, requests in members.items()}
        place = own + self._members.ahead(request.member, own, counts)
        return place + self._parties.ahead(request.party, place, self.counts())

    def has_most(self, request: Request) -> bool:
        """Returns whether no other client has more waiting requests than the one of `request`."""
        counts, members = self.counts(), self._requests.get(request.party, {})
        most_of_party = max(map(len, members.values()), default=0)
        own = len(members.get(request.member, []))
        return counts.get(request.party, 0) >= max(counts.values(), default=0) and own >= most_of_party

    def counts(self) -> dict[str, int]:
        """Returns the number of waiting requests of each party."""
        return {party: sum(map(len, members.values())) for party, members in self._requests.items()}

    def pop_next(self, may_start: Callable[[str], bool]) -> Request | None:
        """Removes and returns the request whose turn it is; None if no request may start.

        Args:
            may_start: returns whether a party, or a member of one, may have a turn.
        """
        heads = {}
        for party, members in self._requests.items():
            ready = {name: requests[0] for name, requests in members.items() if may_start(name)}
            if ready and may_start(party):
                heads[party] = ready[self._members.first(_costs(ready))]
        if not heads:
            return None
        party = self._parties.first(_costs(heads))
        request = heads[party]
        self._parties.take(party, request.cost)
        self._members.take(request.member, request.cost)
        self._remove(request)
        return request

    def pop_least_useful(self, now: float) -> Request:
        """Removes and returns the request to refuse if there are too many.

        It is one of the client with the most, with the lowest priority there: the one with the smallest share
        of its time left; of equal ones the one that would be served last.
        """
        counts = self.counts()
        party = max(counts, key=lambda name: (counts[name], self._parties.start_of(name)))
        members = self._requests[party]
        most = max(members, key=lambda name: (len(members[name]), self._members.start_of(name)))
        requests = members[most]
        lowest = requests[-1].query.priority
        places = [n for n, request in enumerate(requests) if request.query.priority == lowest]
        place = min(places, key=lambda n: (requests[n].share_left(now), -n))
        refused = requests[place]
        self._remove(refused)
        return refused

    def pop_due(self, now: float) -> list[Request]:
        """Removes and returns the requests whose answer must be known by `now`."""
        due = [request for _, requests in self._lists() for request in requests if request.due_at <= now]
        for request in due:
            self._remove(request)
        return due

    def remove(self, key: str) -> bool:
        """Removes the request with this key; returns whether it waited."""
        found = next((one for _, requests in self._lists() for one in requests if one.key == key), None)
        if found is not None:
            self._remove(found)
        return found is not None

    def _remove(self, request: Request) -> None:
        members = self._requests[request.party]
        requests = members[request.member]
        del requests[next(place for place, other in enumerate(requests) if other is request)]
        if not requests:
            del members[request.member]
        if not members:
            del self._requests[request.party]

    def _lists(self) -> Iterator[tuple[str, list[Request]]]:
        for party, members in self._requests.items():
            for requests in members.values():
                yield party, requests


def _turn(request: Request) -> tuple[float, float]:
    return -request.query.priority, request.due_at


def _costs(heads: Mapping[str, Request]) -> dict[str, float]:
    return {name: request.cost for name, request in heads.items()}
