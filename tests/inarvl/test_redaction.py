"""A secret that was read is found in every form in which a library may show it."""

from __future__ import annotations

import base64
import json
import logging
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from inarvl import logs, redaction
from inarvl.redaction import SHOWN, hide, redacted, redacted_json

SECRET = "pa'ss\"wörd/+ key"
FORMS = [
    SECRET,
    f"Bearer {SECRET}",
    json.dumps({"key": SECRET}),
    repr([SECRET]),
    repr(SECRET.encode()),
    quote(SECRET),
    base64.b64encode(SECRET.encode()).decode(),
]


@pytest.fixture(autouse=True)
def _nothing_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_forms", frozenset())
    monkeypatch.setattr(redaction, "_pattern", None)


@pytest.mark.parametrize("text", FORMS)
def test_a_secret_is_replaced_in_each_of_its_forms(text: str) -> None:
    assert redacted(text) == text
    hide(SECRET)
    assert SHOWN in redacted(text)
    assert "rd/" not in redacted(text)


def test_the_longer_of_two_secrets_is_replaced_first() -> None:
    hide("secret")
    hide("secret-and-more")
    assert redacted("secret-and-more") == SHOWN


def test_a_word_that_is_too_short_for_a_secret_stays() -> None:
    hide("none")
    assert redacted("none of them") == "none of them"


def test_texts_and_keys_within_json_are_redacted_and_other_values_stay() -> None:
    value = {"a": [SECRET, 1, None, {SECRET: True}], "b": 0.5}
    hide(SECRET)
    assert redacted_json(value) == {"a": [SHOWN, 1, None, {SHOWN: True}], "b": 0.5}


def test_json_that_is_nested_too_deeply_is_cut() -> None:
    hide(SECRET)
    value: object = SECRET
    for _ in range(900):
        value = [value]
    assert SECRET not in str(redacted_json(value))


def test_a_log_has_no_secret_in_messages_and_tracebacks(capsys: pytest.CaptureFixture[str]) -> None:
    hide(SECRET)
    logs.configure("debug")
    try:
        raise ValueError(f"the header is {SECRET}")
    except ValueError:
        logging.getLogger("some.library").exception("it failed with %r", SECRET)
    written = capsys.readouterr().err
    assert written.count(SHOWN) == 2
    assert "rd/" not in written


@pytest.mark.parametrize("start", ["failing()", "Thread(target=failing).start()"])
def test_an_uncaught_exception_is_printed_without_the_secret(start: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("marker-of-the-secret\n")
    script = (
        "from threading import Thread\n"
        "from inarvl import logs\n"
        "from inarvl.secret_file import read_secret\n"
        "logs.configure()\n"
        f"key = read_secret({str(tmp_path / 'secret')!r})\n"
        "def failing():\n    raise RuntimeError('sent ' + key)\n"
        f"{start}\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert f"RuntimeError: sent {SHOWN}" in ran.stderr
    assert "marker-of" not in ran.stderr
