"""Metrics in the text format of Prometheus."""

from __future__ import annotations

import os
from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
PIECES = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)
TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""Variable of prometheus_client: folder in which several processes keep their values."""


class Metrics:
    """Metrics of the service; with several processes, sums over all of them."""

    content_type = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self) -> None:
        disable_created_metrics()
        self.registry = registry = CollectorRegistry()
        self.requests = Counter("ner_requests", "Requests for /tag by status", ["status"], registry=registry)
        self.words = Counter("ner_words", "Annotated words", registry=registry)
        self.seconds = _histogram("ner_request_seconds", "Seconds of answered requests", SECONDS, registry)
        self.batches = _histogram("ner_batch_seconds", "Seconds of a batch", SECONDS, registry)
        self.batch_texts = _histogram("ner_batch_texts", "Texts of a batch", TEXTS, registry)
        self.batch_pieces = _histogram("ner_batch_pieces", "Estimated pieces of a batch", PIECES, registry)
        self.in_flight = _gauge("ner_requests_in_flight", "Requests that are not yet answered", registry)
        self.waiting = _gauge("ner_queue_pieces", "Estimated pieces that wait for a batch", registry)
        self.ready = _gauge("ner_ready", "Processes that accept requests", registry)

    def on_batch(self, texts: int, pieces: int, seconds: float) -> None:
        """Count a batch."""
        self.batches.observe(seconds)
        self.batch_texts.observe(texts)
        self.batch_pieces.observe(pieces)

    def render(self) -> bytes:
        """Return the metrics as text."""
        if SHARED not in os.environ:
            return generate_latest(self.registry)
        from prometheus_client.multiprocess import MultiProcessCollector

        registry = CollectorRegistry()
        MultiProcessCollector(registry)
        return generate_latest(registry)


def _histogram(name: str, help: str, buckets: Sequence[float], registry: CollectorRegistry) -> Histogram:
    return Histogram(name, help, buckets=buckets, registry=registry)


def _gauge(name: str, help: str, registry: CollectorRegistry) -> Gauge:
    """Return a gauge whose values are summed over the processes that are alive."""
    return Gauge(name, help, registry=registry, multiprocess_mode="livesum")
