"""What the agent tells of itself: a summary at a steady pace, and a record of every answer."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from agent.answering.answering import Answered
from agent.answering.servers import Servers
from agent.intake.job import Job
from agent.reporting.metrics import Metrics
from agent.sensing.sensing import Sensing
from controller.controller import Controller


def telemetry(
    sensing: Sensing, servers: Servers, controller: Controller, mode: str, metrics: Metrics
) -> dict[str, Any]:
    """Readings, servers, links and what the controller holds, as one JSON object.

    `device` is what the controller is told, `readings` all there is with its source and age; `metrics` has
    the same figures under their Prometheus names.
    """
    return {
        "time": time.time(),
        "mode": mode,
        "device": _said(asdict(sensing.state)),
        "readings": {
            name: {
                "value": reading.value,
                "source": reading.source,
                "age_s": round(sensing.age_s(reading), 3),
            }
            for name, reading in sensing.readings().items()
        },
        "faults": dict(sensing.faults),
        "metrics": metrics.samples(),
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
