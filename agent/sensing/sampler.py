"""Samples one sensor, which may hang, in at most one thread."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

from agent.sensing.sample import Sample, Sensor


class Sampler:
    """Samples a sensor in a thread; while a sample runs, further callers wait for the same one.

    A caller may be cancelled, the thread cannot be. It is a daemon thread, so that a sensor that hangs does
    not prevent the end of the process.
    """

    def __init__(self, sensor: Sensor) -> None:
        self._sensor = sensor
        self._running: asyncio.Future[Sample] | None = None

    async def sample(self) -> Sample:
        """Returns a sample, or raises what the sensor raises."""
        if self._running is None:
            self._running = asyncio.get_running_loop().create_future()
            name = f"sensor {self._sensor.name}"
            threading.Thread(target=self._sample, args=(self._running,), name=name, daemon=True).start()
        return await asyncio.shield(self._running)

    def _sample(self, running: asyncio.Future[Sample]) -> None:
        result: Sample | BaseException
        try:
            result = self._sensor.sample()
        except BaseException as error:  # raised where the sample is awaited
            result = error
        with suppress(RuntimeError):  # the loop has been closed
            running.get_loop().call_soon_threadsafe(self._settle, running, result)

    def _settle(self, running: asyncio.Future[Sample], result: Sample | BaseException) -> None:
        self._running = None
        if isinstance(result, Sample):
            running.set_result(result)
        else:
            running.set_exception(result)
            running.exception()  # marks it as seen: every caller may have been cancelled
