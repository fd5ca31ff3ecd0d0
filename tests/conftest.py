"""Fixtures and settings of every test."""

import logging
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes depends on what else the machine does, so no property test depends on it.
settings.register_profile("inarvl", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("inarvl")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _no_handler_with_a_closed_stream() -> Iterator[None]:
    """Removes the log handlers of commands that a test ran in this process: their streams ended with it."""
    yield
    root = logging.getLogger()
    for handler in root.handlers.copy():
        if isinstance(handler, logging.StreamHandler) and getattr(handler.stream, "closed", False):
            root.removeHandler(handler)
