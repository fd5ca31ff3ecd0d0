"""The counts of the day that limit what goes to the cloud: calls of cameras, and money."""

from __future__ import annotations

from pathlib import Path

from agent.answering.cloud_calls import CloudCalls
from agent.config.settings import Settings
from agent.daemon.restored_day import restore_day
from agent.daemon.store import Store
from agent.peers.directory import ServerDirectory
from agent.peers.sight import MAX_TOKENS, QUESTION, SIZE
from agent.reporting.events import Events
from agent.spending.price_list import PriceList
from agent.spending.spend import Spend, SpendCapReached
from agent.spending.spend_meter import Call, SpendMeter
from agent.spending.tokens import image_tokens, text_tokens
from vlm.completion import Completion


class Limits:
    """What the day has used, kept across restarts.

    Attributes:
        calls: of cameras with a limit.
        spend: of all calls.
        meter: measures the calls, and prevents those that a cap does not allow.
    """

    def __init__(self, settings: Settings, servers: ServerDirectory, events: Events) -> None:
        self._events = events
        self._calls_file = _store(settings.state_dir, "cloud_calls")
        self._spend_file = _store(settings.state_dir, "spend")
        self.calls = CloudCalls(self._calls_file.save)
        self.spend = Spend(settings.spend, self._spend_file.save, reached=self._reached)
        self._prices = PriceList(settings, servers.claimed_prices)
        self.meter = SpendMeter(self._prices, self.spend)
        servers.tested = self._tested

    def restore(self) -> None:
        """Restores the counts of the last run; those of damaged files are lost until the day ends."""
        if not restore_day(self.calls.counts, self._calls_file):
            message = "the count of cloud calls is lost: cameras with a limit are local until 00:00 UTC"
            self._events.error("cloud_calls_lost", message)
        if not restore_day(self.spend.counts, self._spend_file):
            message = (
                "what was spent today is lost: with a cap, models with a price are not asked until 00:00"
            )
            self._events.error("spend_lost", message)

    def apply(self, settings: Settings) -> None:
        """Applies changed prices and caps."""
        self._prices.apply(settings)
        self.spend.apply(settings.spend)

    def _reached(self, message: str) -> None:
        self._events.error(SpendCapReached.code, message, logged=True)

    def _tested(self, server: str, model: str, completion: Completion) -> None:
        """Counts the cost of a test of a model's sight."""
        tokens = text_tokens(QUESTION) + image_tokens([(SIZE, SIZE)], 0)
        call = Call("cloud", server, model, "sight", tokens, MAX_TOKENS)
        self.meter.count(call, completion)


def _store(folder: Path, name: str) -> Store:
    return Store(folder / f"{name}.json")
