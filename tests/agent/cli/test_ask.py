"""`inarvl ask` sends what the options say, and prints the reply as text or as JSON; the broker is real."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from agent.cli.main import app as inarvl
from scripted_agent import ScriptedAgent

ANSWER = {
    "answer": "yes",
    "value": True,
    "tier": "local",
    "model": "swift@48",
    "confidence": 0.9831,
    "latency_ms": 83.42,
    "energy_j": 0.1 + 0.2,
    "energy_source": "modelled",
    "decision_id": "0f" * 16,
    "reason": "board: sure enough (2% risk)",
}


@pytest.fixture
def image(tmp_path: Path) -> Path:
    file = tmp_path / "shot.jpg"
    file.write_bytes(b"\xff\xd8\xff one")
    return file


def ask(site: Path, *words: str | Path, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(inarvl, ["ask", *map(str, words), "--config", str(site)], input=stdin)


def test_the_answer_is_on_standard_output_and_its_details_beside_it(
    site: Path, scripted: ScriptedAgent, image: Path
) -> None:
    scripted.reply = ANSWER
    run = ask(site, image, "Is it on?", "--pin", "local", "--deadline", "5", "--answer", "yes_no")
    assert run.exit_code == 0, run.output
    assert run.stdout == "yes\n"
    assert run.stderr.splitlines() == [
        "  confidence  98%",
        "  answered    on the board by swift@48, after 83 ms",
        "  energy      0.3 J, modelled",
        "  reason      board: sure enough (2% risk)",
    ]
    (query,) = scripted.queries
    assert (query["pin"], query["deadline_ms"], query["answer"]) == ("local", 5000, "yes_no")


def test_images_are_sent_in_their_order_and_one_may_be_standard_input(
    site: Path, scripted: ScriptedAgent, image: Path
) -> None:
    scripted.reply = ANSWER
    assert ask(site, image, "-", "Which is on?", stdin=b"\xff\xd8\xff two").exit_code == 0
    (query,) = scripted.queries
    assert [base64.b64decode(sent) for sent in query["images"]] == [b"\xff\xd8\xff one", b"\xff\xd8\xff two"]


def test_a_schema_is_read_from_its_file(
    site: Path, scripted: ScriptedAgent, image: Path, tmp_path: Path
) -> None:
    scripted.reply = ANSWER
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "object"}')
    assert ask(site, image, "What is it?", "--answer", "json", "--schema", schema).exit_code == 0
    assert scripted.queries[0]["schema"] == {"type": "object"}


def test_a_question_may_be_longer_than_a_file_name(site: Path, scripted: ScriptedAgent, image: Path) -> None:
    scripted.reply = ANSWER
    assert ask(site, image, "Is it on? " * 60).exit_code == 0
    assert ask(site, image, image).exit_code == 2


def test_json_is_the_reply_of_the_agent(site: Path, scripted: ScriptedAgent, image: Path) -> None:
    scripted.reply = ANSWER
    run = ask(site, image, "Is it on?", "--json")
    assert (run.exit_code, run.stderr) == (0, "")
    reply = json.loads(run.stdout)
    assert reply.pop("id")
    assert reply == ANSWER


def test_an_error_is_in_the_json_and_is_the_exit_status(
    site: Path, scripted: ScriptedAgent, image: Path
) -> None:
    scripted.reply = {"error": {"code": "no_arm", "message": "nothing can answer"}}
    run = ask(site, image, "Is it on?", "--json")
    assert run.exit_code == 1
    assert json.loads(run.stdout)["error"] == {"code": "no_arm", "message": "nothing can answer"}
    assert "no_arm: nothing can answer" in run.stderr


@pytest.mark.parametrize(
    ("words", "status", "problem"),
    [
        (("shot.jpg", "-", "-", "Is it on?"), 2, "use - once"),
        (("-", "Is it on?"), 2, "standard input is empty"),
        (("none.jpg", "Is it on?"), 2, "none.jpg"),
        (("shot.jpg",), 2, "Missing argument"),
        (("shot.jpg", "Is it on?", "--deadline", "0"), 2, "--deadline"),
        (("shot.jpg", "Is it on?", "--answer", "maybe"), 1, "unknown answer 'maybe'"),
        (("shot.jpg", "Is it on?", "--choices", "a"), 1, "choices must have"),
        (("shot.jpg", "Is it on?", "--pin", "moon"), 1, "unknown pin 'moon'"),
    ],
)
def test_wrong_use_is_explained_before_anything_is_sent(
    site: Path,
    image: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    status: int,
    problem: str,
) -> None:
    monkeypatch.chdir(image.parent)
    run = ask(site, *words)
    assert run.exit_code == status
    assert problem in run.output
