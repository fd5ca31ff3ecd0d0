"""Runs the broker of docs/mqtt-access.md once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from agent.standalone.broker import find_mosquitto
from protected_broker import ProtectedBroker, protected_broker


@pytest.fixture(scope="session")
def protected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProtectedBroker]:
    mosquitto = find_mosquitto()
    if os.geteuid() != 0 or mosquitto is None or shutil.which("unshare") is None:
        pytest.skip("needs root and mosquitto")
    with protected_broker(tmp_path_factory.mktemp("protected"), mosquitto) as broker:
        yield broker
