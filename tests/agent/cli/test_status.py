"""`inarvl status` shows how often answers agree, and says so if its telemetry is not that of an agent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.cli.main import app as inarvl
from agent.cli.status import agreement_lines
from agent.messages.seen_telemetry import SeenAgreement
from agent.messages.topics import Topics

TOPICS = Topics("d")


def test_agreement_is_shown_by_form_with_the_judge_and_the_warnings() -> None:
    text = {"compared": 240, "mean_p_same": 0.04, "judged_share": 0.35, "audited": 1, "contradicted": 0}
    judge = {
        "enabled": True,
        "models": {"big": {"used": True, "finding": "its AUROC on 20 trial pairs is 0.97"}},
        "calls": 124,
        "tokens": 12400,
        "energy_j": 3.21,
    }
    agreement = {"forms": {"text": text}, "judge": judge, "warnings": ["name a form"]}
    assert agreement_lines(SeenAgreement.model_validate(agreement)) == [
        "agreement on text: 4% of the last 100 comparisons, 35% of all 240 judged",
        "judge: big is used: its AUROC on 20 trial pairs is 0.97",
        "judging used 124 calls, 12,400 tokens and 3.21 J",
        "warning: name a form",
    ]


def test_an_agent_that_compared_nothing_shows_nothing() -> None:
    assert agreement_lines(SeenAgreement()) == []


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        (b"{not json", "it is not JSON"),
        (b"[" * 100_000, "it is not JSON"),
        (b"[1, 2]", "it is not a JSON object"),
        (b"{}", "servers: Field required"),
        (b'{"servers": 7}', "servers: "),
        (b'{"servers": [{"id": "x", "tier": "local", "healthy": {}}]}', "servers.0.healthy: "),
        (b'{"servers": [], "agreement": {"forms": {"text": {"compared": "?"}}}}', "agreement.forms.text."),
        (b"\xff\xfe", "it is not JSON"),
    ],
)
@pytest.mark.parametrize("command", [("status",), ("peer", "list")])
def test_telemetry_that_no_agent_sent_is_one_clear_error(
    payload: bytes,
    problem: str,
    command: tuple[str, ...],
    retain: Callable[[Mapping[str, bytes]], None],
    site: Path,
) -> None:
    retain({TOPICS.status: b"online", TOPICS.mode_state: b"auto", TOPICS.telemetry: payload})
    run = CliRunner().invoke(inarvl, [*command, "--config", str(site)])
    assert run.exit_code == 1
    assert "Traceback" not in run.output
    assert f"the broker has telemetry that no agent sent: {problem}" in " ".join(run.output.split())
    assert "docs/mqtt-access.md" in run.output
