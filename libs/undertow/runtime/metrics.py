"""Metrics of one service: the specs of `contracts.metrics` made live, each with the labels `service` and `mode`."""

from __future__ import annotations

from typing import Any

import prometheus_client as prometheus

from undertow.contracts.metrics import DEAD_LETTERS, HOP, Counter, Gauge, Histogram, Metric
from undertow.contracts.streams import STREAMS


class Metrics:
    """A registry of its own, so that two services in one process do not meet.

    Children are cached, so a hot path may ask each time; holding on to the child is faster still.
    """

    def __init__(self, service: str, mode: str) -> None:
        self.registry = prometheus.CollectorRegistry()
        prometheus.ProcessCollector(registry=self.registry)
        prometheus.GCCollector(registry=self.registry)
        self.service = service
        self._constant = (service, mode)
        self._families: dict[str, Any] = {}
        self._children: dict[tuple[str, tuple[str, ...]], Any] = {}

    def counter(self, spec: Counter, **labels: str) -> prometheus.Counter:
        """Give the counter for these label values, at 0 when new.

        Raises:
            KeyError: a label of the spec is missing.
        """
        child: prometheus.Counter = self._child(spec, labels)
        return child

    def gauge(self, spec: Gauge, **labels: str) -> prometheus.Gauge:
        """Give the gauge for these label values.

        Raises:
            KeyError: a label of the spec is missing.
        """
        child: prometheus.Gauge = self._child(spec, labels)
        return child

    def histogram(self, spec: Histogram, **labels: str) -> prometheus.Histogram:
        """Give the histogram for these label values.

        Raises:
            KeyError: a label of the spec is missing.
        """
        child: prometheus.Histogram = self._child(spec, labels)
        return child

    def render(self) -> bytes:
        """Give the page that Prometheus scrapes."""
        return prometheus.generate_latest(self.registry)

    def _child(self, spec: Metric, labels: dict[str, str]) -> Any:
        values = tuple(labels[label] for label in spec.labels)
        child = self._children.get((spec.name, values))
        if child is None:
            family = self._families.get(spec.name)
            if family is None:
                family = self._families[spec.name] = self._family(spec)
            child = self._children[spec.name, values] = family.labels(*self._constant, *values)
        return child

    def _family(self, spec: Metric) -> Any:
        names = ("service", "mode", *spec.labels)
        match spec:
            case Counter():
                return prometheus.Counter(spec.name, spec.about, names, registry=self.registry)
            case Gauge():
                return prometheus.Gauge(spec.name, spec.about, names, registry=self.registry)
            case Histogram():
                return prometheus.Histogram(spec.name, spec.about, names, registry=self.registry, buckets=spec.buckets)


class BusMetrics:
    """What the bus tells while it works (`undertow.bus.ports.Watch`), as metrics."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._hops: dict[str, prometheus.Histogram] = {}
        for stream in STREAMS:
            if metrics.service in stream.readers:
                metrics.counter(DEAD_LETTERS, stream=stream.name)  # a series that is 0 from the start can be alerted on

    def delivered(self, stream: str, seconds: float) -> None:
        """Observe one hop."""
        hop = self._hops.get(stream)
        if hop is None:
            hop = self._hops[stream] = self._metrics.histogram(HOP, hop=stream)
        hop.observe(seconds)

    def dead_letter(self, stream: str) -> None:
        """Count an entry that could not be decoded."""
        self._metrics.counter(DEAD_LETTERS, stream=stream).inc()
