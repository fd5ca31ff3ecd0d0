"""Prometheus metrics of the model server."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

SECONDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60)
BATCHES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """The metrics of one server, in a separate registry so that one process can run several servers.

    The values of the `model` label are bounded: a loaded model's name, or "none".
    """

    def __init__(self, queue_length: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        queue = Gauge("inarvl_vlm_queue_length", "Requests waiting.", registry=self._registry)
        queue.set_function(queue_length)
        self._requests = Counter(
            "inarvl_vlm_requests",
            "Chat completions by outcome.",
            ["model", "outcome"],
            registry=self._registry,
        )
        self._queue_s = Histogram(
            "inarvl_vlm_queue_seconds", "Time in the queue.", buckets=SECONDS, registry=self._registry
        )
        self._compute_s = Histogram(
            "inarvl_vlm_compute_seconds",
            "Time computing.",
            ["model"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self._batch = Histogram(
            "inarvl_vlm_batch_size",
            "Size of the batch that a request was answered in, once per request.",
            buckets=BATCHES,
            registry=self._registry,
        )
        self._tokens = Counter("inarvl_vlm_tokens", "Tokens.", ["model", "kind"], registry=self._registry)

    def count(self, model: str | None, outcome: str) -> None:
        """Counts a request; `outcome` is "ok", "hung_up" or an error code."""
        self._requests.labels(model or "none", outcome).inc()

    def measure(
        self,
        model: str,
        queue_ms: float,
        compute_ms: float,
        batch_size: int,
        prompt_tokens: int,
        completion_tokens: int,
    ) -> None:
        """Records the durations and sizes of one answer; `batch_size` includes the answer itself."""
        self._batch.observe(batch_size)
        self._queue_s.observe(queue_ms / 1000)
        self._compute_s.labels(model).observe(compute_ms / 1000)
        self._tokens.labels(model, "prompt").inc(prompt_tokens)
        self._tokens.labels(model, "completion").inc(completion_tokens)

    def render(self) -> bytes:
        """Returns all metrics in the Prometheus text format."""
        return generate_latest(self._registry)
