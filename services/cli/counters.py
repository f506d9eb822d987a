"""Counters of the fleet over its whole run: scraped from `/metrics`, added up across restarts, when a counter begins at zero again."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

Series = tuple[str, tuple[tuple[str, str], ...]]


@dataclass
class CounterTotals:
    """Running totals per service and series; feed it every page that was scraped."""

    _last: dict[tuple[str, Series], float] = field(default_factory=dict)
    _total: dict[tuple[str, Series], float] = field(default_factory=lambda: defaultdict(float))
    _gauges: dict[tuple[str, Series], float] = field(default_factory=dict)

    def feed(self, service: str, page: str) -> None:
        """Take one `/metrics` page in Prometheus text format."""
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                series = (sample.name, tuple(sorted(sample.labels.items())))
                key = (service, series)
                if family.type == "counter":
                    before = self._last.get(key, 0.0)
                    self._total[key] += sample.value - before if sample.value >= before else sample.value
                    self._last[key] = sample.value
                elif family.type == "gauge":
                    self._gauges[key] = sample.value

    def total(self, name: str) -> int:
        """Sum of a counter over all services and labels."""
        return round(sum(value for (_, (series, _)), value in self._total.items() if series == name))

    def by_label(self, name: str, label: str) -> dict[str, int]:
        """Sum of a counter for each value of a label."""
        sums: dict[str, float] = defaultdict(float)
        for (_, (series, labels)), value in self._total.items():
            if series == name:
                sums[dict(labels).get(label, "")] += value
        return {key: round(value) for key, value in sorted(sums.items())}

    def gauge_by_service(self, name: str) -> dict[str, float]:
        """Last value of a gauge for each service."""
        return {service: value for (service, (series, _)), value in sorted(self._gauges.items()) if series == name}
