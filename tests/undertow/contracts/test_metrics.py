from __future__ import annotations

import pytest

from undertow.contracts.metrics import Counter, Histogram, Metric, declared


@pytest.mark.parametrize("metric", declared(), ids=lambda metric: metric.name)
def test_a_metric_is_named_as_dashboards_expect(metric: Metric) -> None:
    assert metric.name.startswith("undertow_")
    assert metric.name.endswith("_total") == isinstance(metric, Counter)
    assert metric.about.endswith(".")
    assert not {"order_id", "service", "mode"} & set(metric.labels)


def test_no_name_is_used_twice() -> None:
    names = [metric.name for metric in declared()]
    assert len(names) == len(set(names)) > 20


def test_buckets_ascend() -> None:
    for metric in declared():
        if isinstance(metric, Histogram):
            assert list(metric.buckets) == sorted(set(metric.buckets))
