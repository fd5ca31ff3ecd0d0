"""The Prometheus metrics of several replicas in one text."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace

from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families


def merged(texts: Mapping[str, str]) -> bytes:
    """Returns all samples, each with the label `replica`.

    Args:
        texts: the metrics of each replica in the Prometheus text format, by the replica's name.
    """
    families: dict[str, Metric] = {}
    for replica, text in texts.items():
        for found in text_string_to_metric_families(text):
            family = families.setdefault(found.name, Metric(found.name, found.documentation, found.type))
            family.samples += [
                sample._replace(labels={**sample.labels, "replica": replica}) for sample in found.samples
            ]
    return generate_latest(SimpleNamespace(collect=families.values))
