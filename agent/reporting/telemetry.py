"""Composes telemetry messages and decision records."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from agent.answering.answering import Answered, Finished
from agent.intake.request import Request
from agent.peers.directory import ServerDirectory
from agent.reporting.metrics import Metrics
from agent.sensing.own_cost import OwnCost
from agent.sensing.sensing import Sensing
from controller import Controller, FollowUp
from inarvl.door import Door

ATTEMPT_FIELDS = ("latency_ms", "compute_ms", "queue_ms", "energy_j", "failure")


def telemetry(
    sensing: Sensing,
    servers: ServerDirectory,
    controller: Controller,
    mode: str,
    metrics: Metrics,
    own_cost: OwnCost,
    doors: Sequence[Door] = (),
) -> dict[str, Any]:
    """Returns the readings, servers, links and the controller's status as one JSON object.

    `device` has the readings that the controller uses, `readings` has all of them with source and age,
    `disagreements` has the values of sensors that do not agree and which one is used, and `metrics` has the
    values under their Prometheus names. `inputs` counts the remote inputs that were invalid and those that
    met a fault of inarvl, by kind. `agent` has what the agent itself costs since its start.
    """
    return {
        "time": time.time(),
        "mode": mode,
        "device": _without_none(asdict(sensing.state)),
        "readings": {
            name: {
                "value": reading.value,
                "source": reading.source,
                "age_s": round(sensing.age_s(reading), 3),
            }
            for name, reading in sensing.readings().items()
        },
        "faults": dict(sensing.faults),
        "disagreements": sensing.disagreements(),
        "metrics": metrics.samples(),
        "servers": servers.report(),
        "agent": _without_none(asdict(own_cost)),
        "inputs": {door.kind: {"dropped": door.dropped, "faults": door.faults} for door in doors},
        "controller": _without_none(asdict(controller.status())),
    }


def decision_record(
    request: Request, answered: Answered, finished: Finished, *, texts: bool = True
) -> dict[str, Any]:
    """Returns a JSON object with the decision behind an answer, every attempt, and how far they agree.

    The record is public, so it has no decision id: whoever knows that may give feedback on the answer.
    The attempts include the audit. `chosen` is the place of the attempt whose text is the answer. Without
    `texts`, the record has neither the texts of the attempts nor what went wrong with them in words.
    `follow_up` has what was done with the first answer, and with which probability.
    """
    decision = answered.decision
    follow_up = answered.follow_up
    return {
        "time": round(time.time(), 3),
        "query_id": request.query.id,
        "arm": decision.arm.id,
        "propensity": decision.propensity,
        "reason": answered.reason,
        **answered.cost.to_json(),
        "predictions": {arm: _without_none(vars(p)) for arm, p in decision.predictions.items()},
        "runs": [
            {
                "arm": attempt.execution.arm.id,
                **({"text": attempt.text} if texts else {}),
                **_without_none({name: getattr(attempt.execution, name) for name in ATTEMPT_FIELDS}),
            }
            for attempt in finished.attempts
        ],
        "follow_up": {} if follow_up is None else _follow_up(follow_up),
        "chosen": finished.attempts.index(answered.attempt),
        "agreement": [
            _without_none(
                {
                    "runs": list(comparison.places),
                    "p_same": round(comparison.p_same, 4),
                    "sure": comparison.sure,
                    "judged": None if comparison.judged is None else round(comparison.judged, 4),
                }
            )
            for comparison in finished.comparisons
        ],
    }


def _follow_up(follow_up: FollowUp) -> dict[str, Any]:
    return _without_none(
        {
            "action": follow_up.action,
            "propensity": follow_up.propensity,
            "p_differs": follow_up.differ,
        }
    )


def _without_none(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
