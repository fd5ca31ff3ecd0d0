"""What Prometheus reads, what the documents say of it, and what the examples ask for are the same."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from agent.messages.explanation import Explanation
from agent.messages.reply import Answer, Refusal
from agent.reporting.counters import MAX_LABEL_LENGTH, MAX_LABELS, OTHER
from agent.reporting.metrics import Metrics
from agent.sensing.sample import Sample
from agent.spending.cost import Cost
from agent.spending.spend import SpendReport
from agent.spending.spend_meter import Call, MeteredCall
from agent.spending.tokens import Tokens
from agent.spool.use import SpoolUse
from controller import Arm, Execution
from controller.loss import Interval
from inarvl.door import Door
from metrics_rig import LINK, metrics
from promtool import ROOT, promtool

pytestmark = pytest.mark.anyio
PAGE = ROOT / "docs/metrics.md"
DASHBOARD = ROOT / "examples/grafana/inarvl.json"
ALERTS = ROOT / "examples/prometheus/alerts.yml"
ROW = re.compile(r"^\| `(inarvl_\w+)` \| (\w+) \| (.*?) \| (.*?) \| .+ \|$", re.MULTILINE)
NAME = re.compile(r"\binarvl_\w+")
SAMPLE = Sample(
    power_w=7.0,
    rails_w={"VDD_IN": 7.0},
    temps_c={"cpu": 48.5},
    cpu_load=0.5,
    gpu_load=0.5,
    memory_available_mb=2.0,
    battery_pct=41.0,
    clock_ratio=1.0,
    gpu_clock_ratio=1.0,
    fan_ratio=0.3,
    throttled=True,
    power_mode="15W",
    memory_pressure=0.25,
)


def answer(latency_ms: float = 300.0, **changed: Any) -> Answer:
    fields = {
        "id": "q",
        "answer": "yes",
        "tier": "cloud",
        "model": "m",
        "confidence": None,
        "latency_ms": latency_ms,
        "energy_j": None,
        "energy_source": None,
        "decision_id": "d",
        "reason": "",
    }
    return Answer(**{**fields, **changed})


def call(**changed: Any) -> Call:
    return Call(
        **{
            "tier": "cloud",
            "server": "rack",
            "model": "m",
            "purpose": "answer",
            "input_tokens": 10,
            "max_tokens": 8,
            **changed,
        }
    )


async def everything() -> Metrics:
    """Returns metrics with a value of each."""
    server = {"tier": "cloud", "id": "rack", "healthy": True, "link": LINK}
    full = await metrics(
        SAMPLE,
        [server],
        kept=Interval(0.9, 0.95, 0.99),
        doors=(Door("queries"),),
        spend=lambda: SpendReport("EUR", 0.5, 2.0, {}),
        spool=lambda: SpoolUse(1, 2, 3),
    )
    counters = full.counters
    counters.replied(answer())
    counters.replied(Refusal("q", "busy", "later"))
    counters.replied(Explanation("q", {}))
    counters.called(MeteredCall(call(), Tokens(200, 3, "counted"), Cost(0.25, "EUR", "counted")))
    counters.called(MeteredCall(call(), None, Cost(0.0, "EUR", "counted"), "vlm_unavailable"))
    board = Execution(Arm("local", "s", 0, "board"), 50.0, energy_j=2.0)
    late = Execution(Arm("cloud", "m", 0, "rack"), None, failure="late")
    attempts = [
        SimpleNamespace(execution=late, energy_source=None),
        SimpleNamespace(execution=board, energy_source="measured"),
    ]
    ran: Any = SimpleNamespace(attempts=attempts)
    counters.answered(ran, ran)
    return full


async def exposed() -> dict[str, tuple[str, frozenset[str]]]:
    """Returns the type and the labels of each metric, by the name under which Prometheus stores it."""
    found = {}
    for family in text_string_to_metric_families((await everything()).render().decode()):
        total = "_total" if family.type == "counter" else ""
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        found[family.name + total] = (family.type, frozenset(labels))
    return found


async def test_counters_count_what_happened() -> None:
    samples = (await everything()).samples()
    expected = {
        'inarvl_replies_total{tier="cloud",outcome="answered"}': 1,
        'inarvl_replies_total{tier="none",outcome="refused"}': 1,
        'inarvl_replies_total{tier="none",outcome="explained"}': 1,
        'inarvl_errors_total{code="busy"}': 1,
        'inarvl_reply_latency_seconds_sum{tier="cloud"}': 0.3,
        'inarvl_calls_total{tier="cloud",purpose="answer",outcome="answered"}': 1,
        'inarvl_calls_total{tier="cloud",purpose="answer",outcome="failed"}': 1,
        'inarvl_call_failures_total{server="rack",reason="vlm_unavailable"}': 1,
        'inarvl_tokens_total{tier="cloud",direction="input",source="counted"}': 200,
        'inarvl_tokens_total{tier="cloud",direction="output",source="counted"}': 3,
        'inarvl_answer_energy_joules_total{tier="local",source="measured"}': 2,
        'inarvl_spend_total{server="rack",purpose="answer",currency="EUR",source="counted"}': 0.25,
        'inarvl_hedges_total{winner="local"}': 1,
        'inarvl_spool_entries{state="unanswered"}': 1,
        'inarvl_spool_entries{state="undelivered"}': 2,
        "inarvl_spool_bytes": 3,
        'inarvl_spend_today{currency="EUR"}': 0.5,
        'inarvl_spend_cap{currency="EUR"}': 2.0,
    }
    assert {name: samples[name] for name in expected} == expected


async def test_labels_are_limited_and_what_exceeds_them_is_counted_together() -> None:
    full = await metrics(Sample(), [])
    for number in range(500):
        name = f"{number}-{'x' * 200}"
        full.counters.called(MeteredCall(call(server=name), None, Cost(1.0, name, "counted"), name))
        full.counters.replied(Refusal("q", name, "no"))
    families = {f.name: f for f in text_string_to_metric_families(full.render().decode())}
    for name, label in (
        ("inarvl_call_failures", "server"),
        ("inarvl_call_failures", "reason"),
        ("inarvl_spend", "currency"),
        ("inarvl_errors", "code"),
    ):
        values = {sample.labels[label] for sample in families[name].samples}
        assert len(values) == MAX_LABELS + 1
        assert OTHER in values
        assert max(map(len, values)) <= MAX_LABEL_LENGTH
        assert sum(sample.value for sample in families[name].samples) == 500


async def test_promtool_has_no_complaint() -> None:
    assert promtool("check", "metrics", text=(await everything()).render()) == ""


async def test_the_page_has_every_metric_with_its_type_and_labels() -> None:
    labels = re.compile(r"`(\w+)`")
    page = {
        name: (kind, frozenset(labels.findall(listed)))
        for name, kind, _unit, listed in ROW.findall(PAGE.read_text())
    }
    assert page == await exposed()


async def test_the_dashboard_asks_for_existing_metrics_and_labels() -> None:
    content = DASHBOARD.read_text()
    dashboard, known = json.loads(content), await exposed()
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    queries += [variable["query"] for variable in dashboard["templating"]["list"]]
    assert len(queries) > 20
    assert unknown(queries, known) == set()


async def test_the_alerts_ask_for_existing_metrics() -> None:
    rules = yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]
    assert len(rules) > 5
    assert unknown([rule["expr"] for rule in rules], await exposed()) == set()


def unknown(queries: list[str], known: dict[str, Any]) -> set[str]:
    names = {name for query in queries for name in NAME.findall(query)}
    return {name for name in names if re.sub("_(bucket|sum|count)$", "", name) not in known}


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "alerts.yml"),
        ("test", "rules", "alerts_test.yml"),
    ],
)
async def test_promtool_accepts_the_rules_and_their_tests(arguments: tuple[str, ...]) -> None:
    assert "SUCCESS" in promtool(*arguments, folder=ALERTS.parent)


async def test_the_tests_of_the_rules_test_each_rule() -> None:
    rules = yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]
    tested = {
        case["alertname"]
        for test in yaml.safe_load((ALERTS.parent / "alerts_test.yml").read_text())["tests"]
        for case in test["alert_rule_test"]
        if case["exp_alerts"]
    }
    assert tested == {rule["alert"] for rule in rules}
