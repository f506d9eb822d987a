"""Every feature: name, group, unit, formula, window; in the order of the vector.

`SCHEMA_HASH` names this list: a model that was trained on another one refuses the vector. When a formula changes, its
text here changes too, and so does the hash. `python -m undertow.features.catalogue` prints `docs/features.md`.

Terms used in the formulas: bid, ask, mid = (bid + ask) / 2; B(k), A(k) = summed size of the best k levels; a window
of W seconds is the current bucket of 100 ms (aligned to absolute time) and the 10 W - 1 before it; "notional" is
price times size in quote coin; clock = greatest event time seen; "known" = when the fleet learned a fact of
the outside world (`ts_recv`), which is no earlier than it held. Nothing is ever NaN: the column "when nothing is
known" says what stands instead.
"""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from undertow.features.slots import SLOTS


class Group(StrEnum):
    """Families of features; a gate may shuffle one of them."""

    LIQUIDITY = "micro_liquidity"
    MOMENTUM = "volatility_momentum"
    LIQUIDATION = "liquidation_spike"
    TIME = "time_context"
    INTEREST = "open_interest_funding"
    OUTSIDE = "outside_world"


@dataclass(frozen=True)
class Feature:
    """One column of the vector.

    Attributes:
        window: seconds looked back; 0 for the state at the trigger.
        default: in words, the value when nothing is known.
    """

    name: str
    group: Group
    unit: str
    window: int
    formula: str
    default: str = "0"


def _liquidity() -> list[Feature]:
    group = Group.LIQUIDITY
    features = [Feature("spread_bps", group, "bps", 0, "(ask - bid) / mid * 1e4", "never missing")]
    features += [
        Feature(f"book_imbalance_{k}", group, "ratio in [-1, 1]", 0, f"(B({k}) - A({k})) / (B({k}) + A({k}))")
        for k in (1, 5, 20)
    ]
    features.append(
        Feature(
            "microprice_deviation_bps",
            group,
            "bps",
            0,
            "(micro - mid) / mid * 1e4, micro = (bid * A(1) + ask * B(1)) / (A(1) + B(1))",
        )
    )
    for bps in (5, 10, 25):
        features += [
            Feature(
                f"bid_depth_{bps}bps_usdt", group, "quote", 0, f"notional of bids with price >= mid * (1 - {bps}/1e4)"
            ),
            Feature(
                f"ask_depth_{bps}bps_usdt", group, "quote", 0, f"notional of asks with price <= mid * (1 + {bps}/1e4)"
            ),
        ]
    features += [
        Feature(
            f"order_flow_imbalance_{w}s",
            group,
            "ratio in [-1, 1]",
            w,
            "sum(e) / sum(|e|) over book messages, "
            "e = [bid >= bid'] B - [bid <= bid'] B' - [ask <= ask'] A + [ask >= ask'] A', "
            "' = before the message, sizes of the best level (Cont, Kukanov, Stoikov 2014)",
        )
        for w in (1, 5, 15)
    ]
    features += [
        Feature(
            "spread_to_mean_15s", group, "ratio", 15, "spread / mean of the spreads at the ends of the buckets", "1"
        ),
        Feature("book_updates_1s", group, "messages/s", 1, "book changes in the window; snapshots do not count"),
    ]
    return features


def _momentum() -> list[Feature]:
    group = Group.MOMENTUM
    features = [
        Feature(
            f"return_{w}s_bps",
            group,
            "bps",
            w,
            "(mid / mid at the end of the last bucket before the window - 1) * 1e4; before history, the first mid",
        )
        for w in (1, 5, 15, 60)
    ]
    features += [
        Feature(
            f"realised_volatility_{w}s_bps",
            group,
            "bps",
            w,
            "sqrt(sum of squared simple returns between the ends of consecutive buckets) * 1e4",
        )
        for w in (5, 15, 60)
    ]
    features += [Feature(f"range_{w}s_bps", group, "bps", w, "(highest mid - lowest mid) / mid * 1e4") for w in (5, 60)]
    features.append(
        Feature("range_position_60s", group, "ratio in [0, 1]", 60, "(mid - lowest mid) / (highest - lowest)", "0.5")
    )
    features += [Feature(f"trade_rate_{w}s", group, "trades/s", w, "trades in the window / window") for w in (1, 15)]
    features += [
        Feature("trade_intensity", group, "ratio", 60, "trades in 1 s / mean trades per second over 60 s"),
        Feature("turnover_5s_usdt", group, "quote", 5, "traded notional in the window"),
    ]
    features += [
        Feature(
            f"signed_volume_{w}s",
            group,
            "ratio in [-1, 1]",
            w,
            "(taker buys - taker sells) / (taker buys + taker sells), notional",
        )
        for w in (1, 5, 15)
    ]
    return features


def _liquidation() -> list[Feature]:
    group = Group.LIQUIDATION
    features = []
    for w in (1, 5, 30):
        features += [
            Feature(f"liquidated_long_{w}s_usdt", group, "quote", w, "notional of liquidated longs"),
            Feature(f"liquidated_short_{w}s_usdt", group, "quote", w, "notional of liquidated shorts"),
        ]
    features += [
        Feature(
            f"liquidation_imbalance_{w}s", group, "ratio in [-1, 1]", w, "(long - short) / (long + short), notional"
        )
        for w in (5, 30)
    ]
    features += [Feature(f"liquidation_count_{w}s", group, "count", w, "liquidations in the window") for w in (1, 5)]
    features += [
        Feature("liquidation_intensity", group, "ratio", 60, "notional in 1 s / mean notional per second over 60 s"),
        Feature("largest_liquidation_5s_usdt", group, "quote", 5, "largest single notional"),
        Feature("largest_liquidation_60s_usdt", group, "quote", 60, "largest single notional"),
        Feature("liquidation_share_5s", group, "ratio in [0, 1]", 5, "liquidated / (liquidated + traded), notional"),
        Feature("seconds_since_liquidation", group, "s", 60, "clock - event time of the last one, at most 60", "60"),
        Feature(
            "cascade_age_s",
            group,
            "s",
            60,
            "clock - start of the bucket in which the cascade began; a cascade is a run of buckets with liquidations "
            "and fewer than 50 buckets between them, looked for over 60 s back, the last of them less than 5 s ago",
        ),
        Feature("cascade_notional_usdt", group, "quote", 60, "notional liquidated since the cascade began"),
        Feature(
            "cascade_move_bps", group, "bps", 60, "(mid / mid at the end of the bucket before the cascade - 1) * 1e4"
        ),
    ]
    return features


def _time() -> list[Feature]:
    group = Group.TIME
    return [
        Feature("hour_sin", group, "ratio in [-1, 1]", 0, "sin(2 pi seconds of the UTC day / 86400)", "never missing"),
        Feature("hour_cos", group, "ratio in [-1, 1]", 0, "cos(2 pi seconds of the UTC day / 86400)", "never missing"),
        Feature("week_sin", group, "ratio in [-1, 1]", 0, "sin(2 pi seconds since Monday / 604800)", "never missing"),
        Feature("week_cos", group, "ratio in [-1, 1]", 0, "cos(2 pi seconds since Monday / 604800)", "never missing"),
        Feature(
            "minutes_to_funding",
            group,
            "min",
            0,
            "next funding time - clock, at least 0",
            "to the next of 00:00, 08:00, 16:00 UTC",
        ),
    ]


def _interest() -> list[Feature]:
    group = Group.INTEREST
    features = [Feature("open_interest_usdt", group, "quote", 0, "open interest * mid")]
    features += [
        Feature(
            f"open_interest_change_{w}s_bps",
            group,
            "bps",
            w,
            "(open interest / that at the end of the last bucket before the window - 1) * 1e4",
        )
        for w in (5, 60)
    ]
    features += [
        Feature("open_interest_age_s", group, "s", 3600, "clock - its event time, at most 3600", "3600"),
        Feature("funding_rate_bps", group, "bps", 0, "rate to be settled next * 1e4"),
        Feature("funding_settled_bps", group, "bps", 0, "rate last settled * 1e4"),
        Feature("basis_bps", group, "bps", 0, "(mark - index) / index * 1e4"),
        Feature("mark_deviation_bps", group, "bps", 0, "(mid - mark) / mark * 1e4"),
        Feature("long_account_share", group, "ratio in [0, 1]", 0, "share of accounts net long", "0.5"),
    ]
    return features


def _outside() -> list[Feature]:
    group = Group.OUTSIDE
    features = []
    for w in (5, 30):
        features += [
            Feature(
                f"neighbour_liquidated_long_{w}s_usdt",
                group,
                "quote",
                w,
                "notional of longs liquidated on Binance, by known",
            ),
            Feature(
                f"neighbour_liquidated_short_{w}s_usdt",
                group,
                "quote",
                w,
                "notional of shorts liquidated on Binance, by known",
            ),
            Feature(
                f"neighbour_liquidation_imbalance_{w}s",
                group,
                "ratio in [-1, 1]",
                w,
                "(long - short) / (long + short), notional on Binance",
            ),
        ]
    features.append(
        Feature(
            "neighbour_liquidation_age_s",
            group,
            "s",
            3600,
            "clock - known of the last one on Binance, at most 3600; a quiet market and a dead feed look alike",
            "3600",
        )
    )
    for slot in SLOTS:
        times = "" if slot.scale == 1.0 else f" * {slot.scale:g}"
        features += [
            Feature(
                slot.feature,
                group,
                slot.feature_unit,
                0,
                f"value of the slot {slot.name}{times}, while it counts",
                f"{slot.default:g}",
            ),
            Feature(
                f"{slot.name}_age_s",
                group,
                "s",
                slot.limit_seconds,
                f"clock - known of the value; {slot.limit_seconds} before the first, when the source's stale_seconds "
                "have passed since it held, and from this age on: then the value does not count",
                f"{slot.limit_seconds}",
            ),
        ]
    return features


FEATURES: Final = tuple(_liquidity() + _momentum() + _liquidation() + _time() + _interest() + _outside())
NAMES: Final = tuple(feature.name for feature in FEATURES)
N_FEATURES: Final = len(FEATURES)
INDEX_OF: Final = {name: index for index, name in enumerate(NAMES)}

SCHEMA_HASH: Final = hashlib.sha256(
    "\n".join(f"{f.name}|{f.group}|{f.unit}|{f.window}|{f.formula}|{f.default}" for f in FEATURES).encode()
).hexdigest()[:16]


def document() -> str:
    """Write `docs/features.md`: the table of all features."""
    lines = [
        "# Features",
        "",
        "Generated by `python -m undertow.features.catalogue > docs/features.md`; do not edit.",
        "",
        f"Schema `{SCHEMA_HASH}`, {N_FEATURES} features, float64. One set of compiled functions computes them in the",
        "feature hub, in training and in the backtest; no clock of a machine's counts, but when outside facts became known.",
        "",
        *(__doc__ or "").split("\n\n")[2].strip().splitlines(),
        "",
    ]
    for group in Group:
        lines += [
            f"## {group}",
            "",
            "| # | name | unit | window | formula | when nothing is known |",
            "|---|---|---|---|---|---|",
        ]
        for index, f in enumerate(FEATURES):
            if f.group is group:
                window = f"{f.window} s" if f.window else "now"
                formula = f.formula.replace("|", "\\|")
                lines.append(f"| {index} | `{f.name}` | {f.unit} | {window} | {formula} | {f.default} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(document())
