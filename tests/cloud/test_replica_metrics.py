"""The metrics of replicas are one text that Prometheus reads, in which every sample names its replica."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from cloud.replica_metrics import merged


def text(count: int) -> str:
    registry = CollectorRegistry()
    Counter("answers", "Answers.", ["model"], registry=registry).labels("m").inc(count)
    Histogram("seconds", "Time.", buckets=(1, 2), registry=registry).observe(count)
    return generate_latest(registry).decode()


def test_every_replica_keeps_its_values() -> None:
    families = list(text_string_to_metric_families(merged({"a": text(1), "b": text(2)}).decode()))
    assert len({family.name for family in families}) == len(families), "a family is listed once"
    samples = {
        (sample.name, sample.labels["replica"]): sample for found in families for sample in found.samples
    }
    assert samples["answers_total", "a"].value == 1
    assert samples["answers_total", "b"].value == 2
    assert samples["answers_total", "b"].labels["model"] == "m"
    assert samples["seconds_sum", "b"].value == 2


def test_without_replicas_there_are_no_metrics() -> None:
    assert merged({}) == b""
