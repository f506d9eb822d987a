"""Prometheus' rules name metrics that exist, and every alert leads to a page that says what to do."""

import re
from pathlib import Path

import pytest
import yaml

from services.cli.fleet import SERVICES
from services.rest_collector.failures import REASONS
from services.rest_collector.kinds import Kind
from undertow.contracts.metrics import declared
from undertow.trading.breaker import Kind as BreakerKind

ROOT = Path(__file__).parents[2]
RULES = [
    rule
    for path in sorted((ROOT / "infra" / "prometheus" / "rules").glob("*.yml"))
    for group in yaml.safe_load(path.read_text())["groups"]
    for rule in group["rules"]
]
NAMES = {metric.name for metric in declared()}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_is_made_of_metrics_that_exist(rule):
    named = {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"undertow_\w+", rule["expr"])}
    assert named
    assert named <= NAMES


ANOMALY_KINDS = {f"breaker_{kind}" for kind in BreakerKind} | {
    word
    for folder in ("libs/undertow/trading", "services/order_router")
    for path in (ROOT / folder).glob("*.py")
    for word in re.findall(r'"([a-z]+_[a-z_]+)"', path.read_text())
}
KNOWN = {"kind": set(Kind) | ANOMALY_KINDS, "reason": set(REASONS), "service": set(SERVICES)}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_what_an_alert_picks_by_a_label_is_what_a_service_may_say(rule):
    for label, values in re.findall(r'(\w+)=~?"([^"]*)"', rule["expr"]):
        assert set(values.split("|")) <= KNOWN[label]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_has_a_severity_and_a_runbook_with_its_name(rule):
    assert rule["labels"]["severity"] in ("P1", "P2", "P3")
    assert rule["annotations"]["summary"]
    page = ROOT / rule["annotations"]["runbook"]
    assert rule["alert"] in page.read_text().splitlines()[0]
