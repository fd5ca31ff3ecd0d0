"""What the agent tells of itself: a summary at a steady pace, and a record of every answer."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from agent.answering import Answered
from agent.job import Job
from agent.sensing.sensing import Sensing
from agent.servers import Servers
from controller.controller import Controller


def telemetry(sensing: Sensing, servers: Servers, controller: Controller, mode: str) -> dict[str, Any]:
    """Readings, servers, links and what the controller holds, as one JSON object."""
    return {
        "time": time.time(),
        "mode": mode,
        "device": _said(asdict(sensing.state)),
        "servers": servers.report(),
        "controller": _said(asdict(controller.status())),
    }


def decision_record(job: Job, answered: Answered) -> dict[str, Any]:
    """All that led to an answer and all that ran for it."""
    decision = answered.decision
    return {
        "decision_id": decision.id,
        "query_id": job.query.id,
        "arm": decision.arm.id,
        "propensity": decision.propensity,
        "reason": answered.reason,
        "predictions": {arm: _said(asdict(p)) for arm, p in decision.predictions.items()},
        "runs": [
            {
                "arm": run.execution.arm.id,
                "text": run.text,
                **_said(
                    {
                        name: getattr(run.execution, name)
                        for name in ("latency_ms", "compute_ms", "queue_ms", "energy_j", "failure")
                    }
                ),
            }
            for run in answered.runs
        ],
        "chosen": answered.chosen,
    }


def _said(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
