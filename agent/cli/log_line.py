"""One line for each message of an agent: queries, replies, decisions and events."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Final

from agent.cli.figures import PLACES, UNKNOWN, amount, milliseconds, percent, size
from agent.messages.mqtt_message import Message
from agent.messages.payload import read_payload
from agent.messages.query import BadQuery
from agent.messages.topics import Topics

TEXT_FIELDS: Final = ("question", "pin", "answer", "deadline_ms", "dry_run")


def entry(message: Message, topics: Topics) -> dict[str, Any]:
    """Returns a message as a JSON object: its `kind`, its `client` if it has one, and its content.

    The kinds are `query`, `answer`, `explanation`, `error`, `decision`, `event`, and `other` for a message of
    another program. A query has the size of its images in place of them.
    """
    if message.topic.startswith(topics.query):
        return {"kind": "query", **_query(message, topics)}
    try:
        content = json.loads(message.payload)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        return {"kind": "other", "topic": message.topic, "bytes": len(message.payload)}
    if message.topic == topics.decision:
        return {"kind": "decision", **content}
    if message.topic == topics.event:
        return {"kind": "event", **content}
    kind = "error" if "error" in content else "explanation" if "decision" in content else "answer"
    return {"kind": kind, "client": message.topic.removeprefix(topics.result("")), **content}


def line(found: Mapping[str, Any], at: float) -> str:
    """Returns an entry on one line.

    Args:
        at: when it arrived, in seconds since 1970.
    """
    kind = str(found.get("kind"))
    words = {"query": _of_query, "answer": _of_answer, "error": _of_error, "decision": _of_decision}
    clock = time.strftime("%H:%M:%S", time.localtime(at))
    text = words.get(kind, _of_others)(found)
    return f"{clock} {kind:8} {text}"


def place(arm: object) -> str:
    """Returns where an arm is, and its model.

    >>> place("local/swift@48#vlm")
    'board swift@48'
    """
    tier, _, rest = str(arm).partition("/")
    return f"{PLACES.get(tier, tier)} {rest.partition('#')[0]}"


def known(fields: Mapping[str, Any], name: str) -> float | None:
    """Returns a number of a message; None if it has none of this name."""
    value = fields.get(name)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def runs_of(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Returns the calls that a decision record names."""
    runs = record.get("runs")
    return [run for run in runs if isinstance(run, dict)] if isinstance(runs, list) else []


def sent_run(record: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Returns the call whose answer was sent; None if the record does not say which."""
    runs, chosen = runs_of(record), record.get("chosen")
    return runs[chosen] if isinstance(chosen, int) and 0 <= chosen < len(runs) else None


def _query(message: Message, topics: Topics) -> dict[str, Any]:
    client = topics.client_of(message.topic)
    try:
        fields, image = read_payload(message.payload, message.user)
    except BadQuery as fault:
        return {"client": client, "bytes": len(message.payload), "problem": fault.code}
    shown: dict[str, Any] = {name: fields[name] for name in ("id", "client", *TEXT_FIELDS) if name in fields}
    return {**shown, **({"client": client} if client else {}), "bytes": len(image or message.payload)}


def _of_query(found: Mapping[str, Any]) -> str:
    details = [str(found["question"])] if "question" in found else [f"invalid: {found.get('problem')}"]
    details += [f"pinned to the {PLACES.get(str(found['pin']), found['pin'])}"] if found.get("pin") else []
    details += [f"as {found['answer']}"] if found.get("answer") else []
    return f"{_who(found)}: {', '.join(details)} ({size(found['bytes'])})"


def _of_answer(found: Mapping[str, Any]) -> str:
    tier = str(found.get("tier"))
    parts = [f"{PLACES.get(tier, tier)} {found.get('model', UNKNOWN)}"]
    if (confidence := known(found, "confidence")) is not None:
        parts.append(f"{percent(confidence)} sure")
    parts.append(milliseconds(known(found, "latency_ms")))
    if (energy := known(found, "energy_j")) is not None:
        parts.append(amount(energy, "J"))
    return f"{_who(found)}: {found.get('answer', UNKNOWN)} ({', '.join(parts)}) {found.get('reason', '')}"


def _of_error(found: Mapping[str, Any]) -> str:
    error = found["error"] if isinstance(found["error"], dict) else {}
    return f"{_who(found)}: {error.get('code', UNKNOWN)}: {error.get('message', '')}"


def _of_decision(found: Mapping[str, Any]) -> str:
    sent = sent_run(found)
    runs = [
        f"{place(run.get('arm'))} {run.get('failure') or milliseconds(known(run, 'latency_ms'))}"
        f"{' (sent)' if run is sent and len(runs_of(found)) > 1 else ''}"
        for run in runs_of(found)
    ]
    agreement = found.get("agreement")
    same = (
        [known(pair, "p_same") for pair in agreement if isinstance(pair, dict)]
        if isinstance(agreement, list)
        else []
    )
    agrees = f"; {percent(same[0])} likely the same answer" if same else ""
    return f"{found.get('query_id', UNKNOWN)}: {', '.join(runs)}{agrees}; {found.get('reason', '')}"


def _of_others(found: Mapping[str, Any]) -> str:
    details = [str(value) for name, value in found.items() if name not in ("kind", "event", "decision")]
    return " ".join([str(found.get("event", "")), *details]).strip()


def _who(found: Mapping[str, Any]) -> str:
    client = found.get("client")
    return f"{client} {found.get('id', UNKNOWN)}" if client else str(found.get("id", UNKNOWN))
