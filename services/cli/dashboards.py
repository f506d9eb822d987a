"""Grafana's dashboards, made from a short description so that every panel looks alike and names only metrics that exist."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from undertow.contracts import metrics as m

_DATASOURCE: Final = {"type": "prometheus", "uid": "prometheus"}
_WIDTH, _HEIGHT = 24, 8


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: title, unit as Grafana names it, and legend → query.

    Attributes:
        kind: `timeseries`, `stat` or `bargauge`.
        width: of 24 columns.
    """

    title: str
    unit: str
    queries: dict[str, str]
    kind: str = "timeseries"
    width: int = 8
    about: str = ""


def _rate(metric: m.Counter, by: str) -> str:
    return f"sum by ({by}) (rate({metric.name}[1m]))"


def _quantile(metric: m.Histogram, q: float, by: str = "") -> str:
    return f"histogram_quantile({q}, sum by (le{', ' + by if by else ''}) (rate({metric.name}_bucket[1m])))"


PANELS: Final = (
    Panel(
        "State",
        "none",
        {"{{service}}": f"max by (service) ({m.TRADING_STATE.name})"},
        "stat",
        4,
        "0 active, 1 reducing, 2 halted",
    ),
    Panel("Services ready", "none", {"ready": f"sum({m.READY.name})"}, "stat", 4),
    Panel("Equity", "currencyUSD", {"equity": f"max({m.EQUITY.name})"}, "stat", 4),
    Panel(
        "Realised PnL", "currencyUSD", {"realised": f"max({m.REALISED_PNL.name})"}, "stat", 4, "net of fees and funding"
    ),
    Panel(
        "Position residual",
        "none",
        {"residual": f"max({m.POSITION_RESIDUAL.name})"},
        "stat",
        4,
        "our books minus the venue's",
    ),
    Panel(
        "Money residual",
        "none",
        {"residual": f"max({m.MONEY_RESIDUAL.name})"},
        "stat",
        4,
        "our books minus the venue's, USDT",
    ),
    Panel("Equity over time", "currencyUSD", {"equity": f"max({m.EQUITY.name})"}, width=12),
    Panel(
        "Why no trade", "none", {"{{verdict}}": f"sum by (verdict) (increase({m.DECISIONS.name}[5m]))"}, "bargauge", 12
    ),
    Panel("Frames per second", "reqps", {"{{symbol}}": _rate(m.FRAMES_RECEIVED, "symbol")}, width=6),
    Panel("Liquidations per second", "reqps", {"{{symbol}}": _rate(m.LIQUIDATIONS, "symbol")}, width=6),
    Panel(
        "Liquidation feed suspected of",
        "none",
        {"{{fault}}": f"max by (fault) ({m.LIQUIDATION_FEED_SUSPECT.name})"},
        width=6,
        about="1 on any symbol",
    ),
    Panel("Book gaps", "none", {"{{symbol}}": f"sum by (symbol) (increase({m.BOOK_GAPS.name}[5m]))"}, width=6),
    Panel(
        "Vectors, signals, orders, fills",
        "none",
        {
            "vectors": f"sum(increase({m.FEATURE_VECTORS.name}[5m]))",
            "signals": f"sum(increase({m.SIGNALS_SENT.name}[5m]))",
            "orders": f"sum(increase({m.ORDERS_SUBMITTED.name}[5m]))",
            "fills": f"sum(increase({m.FILLS.name}[5m]))",
            "round trips": f"sum(increase({m.ROUND_TRIPS.name}[5m]))",
        },
        width=12,
    ),
    Panel(
        "Tick to order",
        "s",
        {
            "p50": _quantile(m.TICK_TO_ORDER, 0.5),
            "p99": _quantile(m.TICK_TO_ORDER, 0.99),
        },
        width=12,
        about="frame received to order bytes written, wall time",
    ),
    Panel("Hop p99", "s", {"{{hop}}": _quantile(m.HOP, 0.99, "hop")}),
    Panel("Resident memory", "bytes", {"{{service}}": 'process_resident_memory_bytes{job="undertow"}'}),
    Panel(
        "Errors and dead letters",
        "none",
        {
            "{{service}} errors": f"sum by (service) (increase({m.ERRORS.name}[5m]))",
            "{{stream}} dead letters": f"sum by (stream) (increase({m.DEAD_LETTERS.name}[5m]))",
        },
    ),
    Panel(
        "Rows stored and lost",
        "none",
        {
            "stored per second": f"sum(rate({m.SNAPSHOT_ROWS.name}[1m]))",
            "{{stream}} lost": f"sum by (stream) (increase({m.SNAPSHOT_ROWS_LOST.name}[1h]))",
        },
        about="lost in the last hour; 0 is right",
    ),
    Panel(
        "Request budget",
        "percentunit",
        {
            "{{service}}": f"max by (service) ({m.BUDGET_USED.name})",
            "{{service}} banned": f"max by (service) ({m.CIRCUIT_OPEN.name})",
        },
        width=8,
        about="used of the fleet's part of the venue's limit",
    ),
    Panel(
        "Connections to the feed",
        "none",
        {
            "{{instance}}": f"max by (instance) ({m.CONNECTS_IN_WINDOW.name})",
            "limit": f"max({m.CONNECTS_LIMIT.name})",
            "held back": f"sum(increase({m.CONNECTS_HELD_BACK.name}[5m]))",
        },
        about="begun in five minutes, of each ingestor; those held back waited for their turn",
    ),
    Panel(
        "Age of slow facts",
        "s",
        {"{{kind}}": f"max by (kind) ({m.REFERENCE_AGE.name})"},
        width=8,
        about="market time since the last good answer",
    ),
)


def overview() -> str:
    """Give the Overview dashboard as JSON text."""
    panels, x, y = [], 0, 0
    for number, panel in enumerate(PANELS, start=1):
        height = 4 if panel.kind == "stat" else _HEIGHT
        if x + panel.width > _WIDTH:
            x, y = 0, y + _HEIGHT
        panels.append(_panel(number, panel, {"x": x, "y": y, "w": panel.width, "h": height}))
        x += panel.width
        if x == _WIDTH:
            x, y = 0, y + height
    dashboard = {
        "uid": "undertow-overview",
        "title": "Undertow · Overview",
        "tags": ["undertow"],
        "timezone": "utc",
        "refresh": "5s",
        "schemaVersion": 39,
        "time": {"from": "now-15m", "to": "now"},
        "panels": panels,
    }
    return json.dumps(dashboard, indent=1, ensure_ascii=False) + "\n"


def _panel(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "title": panel.title,
        "description": panel.about,
        "type": panel.kind,
        "datasource": _DATASOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + i), "datasource": _DATASOURCE, "expr": query, "legendFormat": legend}
            for i, (legend, query) in enumerate(panel.queries.items())
        ],
    }
