"""Fixtures and settings of every test."""

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes depends on what else the machine does, so no property test depends on it.
settings.register_profile("inarvl", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("inarvl")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
