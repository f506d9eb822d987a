"""Every metric there is: name, meaning and labels, declared once. What is not here is not measured.

Each also carries the labels `service` and `mode`; none ever carries an order id. Units are base units (`_seconds`, `_usdt`), counters end
in `_total`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

LATENCY_BUCKETS: Final = tuple(
    round(step * scale, 9) for scale in (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0) for step in (1, 1.5, 2, 2.5, 3, 4, 5, 7)
)
"""Upper bounds in seconds, 10 µs to 7 s: fine enough to read a p99 off them within a third."""


@dataclass(frozen=True, slots=True)
class Counter:
    """Something counted; only grows."""

    name: str
    about: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Gauge:
    """Something that goes up and down."""

    name: str
    about: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Histogram:
    """Something spread over buckets.

    Attributes:
        buckets: ascending upper bounds in the metric's unit.
    """

    name: str
    about: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = LATENCY_BUCKETS


Metric = Counter | Gauge | Histogram

# every service
ERRORS: Final = Counter("undertow_errors_total", "Unexpected errors that a service survived.")
READY: Final = Gauge("undertow_ready", "1 when the service can do its job now.")
DEAD_LETTERS: Final = Counter("undertow_dead_letters_total", "Entries that could not be decoded.", labels=("stream",))
HOP: Final = Histogram(
    "undertow_hop_seconds", "Wall time from a message's publication to its arrival, by stream.", labels=("hop",)
)
TRADING_STATE: Final = Gauge("undertow_trading_state", "0 active, 1 reducing, 2 halted.")

# ingestor
FRAMES_RECEIVED: Final = Counter(
    "undertow_frames_received_total", "Market frames received, acknowledgements excluded.", labels=("symbol",)
)
BOOK_GAPS: Final = Counter("undertow_book_gaps_total", "Times a book could no longer be trusted.", labels=("symbol",))
LIQUIDATIONS: Final = Counter("undertow_liquidations_total", "Single liquidations seen.", labels=("symbol",))
LIQUIDATION_FEED_SUSPECT: Final = Gauge(
    "undertow_liquidation_feed_suspect",
    "1 while the liquidation feed is suspected of a fault.",
    labels=("symbol", "fault"),
)

FRAMES_DROPPED: Final = Counter("undertow_frames_dropped_total", "Frames not published, by reason.", labels=("reason",))
REJECTS_KEPT: Final = Counter("undertow_rejects_kept_total", "Malformed frames kept on the stream of rejects.")
FEED_CONNECTIONS: Final = Counter("undertow_feed_connections_total", "Connections to the venue's public stream made.")
CONNECTS_IN_WINDOW: Final = Gauge(
    "undertow_connects_in_window", "Connections to the public stream begun in the last five minutes of market time."
)
CONNECTS_LIMIT: Final = Gauge("undertow_connects_limit", "How many of them our own budget lets begin.")
CONNECTS_HELD_BACK: Final = Counter(
    "undertow_connects_held_back_total", "Connections that our own budget made wait for their turn."
)
FEED_MAINTENANCE: Final = Gauge("undertow_feed_maintenance", "1 while the feed pauses for the venue's maintenance.")
FACTS_LOST: Final = Counter(
    "undertow_facts_lost_total", "Facts that the bus was away too long for, by symbol.", labels=("symbol",)
)
INGEST_SECONDS: Final = Histogram("undertow_ingest_seconds", "Wall time to decode, check and translate one frame.")

# who asks the venue over HTTP: rest_collector, order_router, position_manager; of a ban hears who opens sockets, too
BUDGET_USED: Final = Gauge(
    "undertow_budget_used_ratio",
    "How much of the fleet's part of the address's limit is in use, as the service last saw it.",
)
BUDGET_ALONE: Final = Gauge(
    "undertow_budget_alone", "1 while the service keeps to a local share, because Redis is away."
)
CIRCUIT_OPEN: Final = Gauge(
    "undertow_circuit_open", "1 while nothing is asked and no socket opened, because the venue has banned our address."
)

# rest_collector
REST_REQUESTS: Final = Counter("undertow_rest_requests_total", "Requests to the venue's endpoints.", labels=("kind",))
REST_FAILURES: Final = Counter(
    "undertow_rest_failures_total", "Requests that failed, by what went wrong.", labels=("kind", "reason")
)
REFERENCE_FACTS: Final = Counter("undertow_reference_facts_total", "Slow facts published.", labels=("kind",))
REFERENCE_AGE: Final = Gauge(
    "undertow_reference_age_seconds",
    "Market time since the last good answer, of the symbol that has waited longest.",
    labels=("kind",),
)
VENUE_CLOCK_OFFSET: Final = Gauge(
    "undertow_venue_clock_offset_seconds", "The venue's clock minus ours, market time, as last estimated."
)
REFERENCE_SKIPPED: Final = Counter(
    "undertow_reference_skipped_seconds_total",
    "Market time of an outage that was not fetched again, because it lies too far back.",
    labels=("kind",),
)

# macro_collector
MACRO_AGE: Final = Gauge(
    "undertow_macro_age_seconds", "Age of the last value of an outside source.", labels=("source", "symbol")
)
MACRO_STALE: Final = Gauge(
    "undertow_macro_stale", "1 while an outside source has no value that says anything.", labels=("source", "symbol")
)
MACRO_VALUES: Final = Counter("undertow_macro_values_total", "Values of outside sources published.", labels=("source",))
MACRO_FAILURES: Final = Counter("undertow_macro_failures_total", "Failures of outside sources.", labels=("source",))

# feature_hub
FEATURE_VECTORS: Final = Counter("undertow_feature_vectors_total", "Feature vectors published.", labels=("symbol",))
FEATURE_HOLES: Final = Gauge(
    "undertow_feature_holes", "Times that facts were missing and the windows began anew.", labels=("symbol",)
)
FEATURE_FACTS_LATE: Final = Gauge(
    "undertow_feature_facts_late",
    "Facts of other streams that came when the market had passed the time at which they were known.",
    labels=("symbol",),
)
FEATURE_ROWS_IGNORED: Final = Gauge("undertow_feature_rows_ignored", "Rows ignored as garbage.", labels=("symbol",))

# model_server
SIGNALS_SENT: Final = Counter("undertow_signals_total", "Signals published, shadows excluded.", labels=("symbol",))
DECISIONS: Final = Counter(
    "undertow_decisions_total", "How each look at the market ended.", labels=("symbol", "verdict")
)

DECISION_SECONDS: Final = Histogram(
    "undertow_decision_seconds", "Wall time from a vector to its decision: the grid scored and an arm chosen."
)
TRADES_LEARNT: Final = Counter("undertow_trades_learnt_total", "Closed trades the policy has learnt from.")

# order_router
ORDERS_SUBMITTED: Final = Counter(
    "undertow_orders_submitted_total", "Orders handed to the venue's socket.", labels=("symbol",)
)
FILLS: Final = Counter("undertow_fills_total", "Fills of our orders.", labels=("symbol",))
ROUND_TRIPS: Final = Counter("undertow_round_trips_total", "Trades that ended flat.", labels=("symbol",))
TICK_TO_ORDER: Final = Histogram(
    "undertow_tick_to_order_seconds", "Wall time from the frame's arrival to the order's bytes written."
)
SIGNAL_TO_ORDER: Final = Histogram(
    "undertow_signal_to_order_seconds", "Wall time from a signal's reading to the order's bytes written."
)
JOURNAL_SYNC: Final = Histogram("undertow_journal_sync_seconds", "Time an order waited for the journal's disk.")
ANOMALIES: Final = Counter("undertow_anomalies_total", "Surprises by the venue, each reconciled.", labels=("kind",))

# position_manager
EQUITY: Final = Gauge("undertow_equity_usdt", "Wallet plus unrealised PnL.")
REALISED_PNL: Final = Gauge("undertow_realised_pnl_usdt", "Realised PnL net of fees and funding since the start.")
POSITION_RESIDUAL: Final = Gauge("undertow_position_residual", "Sum over symbols of |our quantity - the venue's|.")
MONEY_RESIDUAL: Final = Gauge("undertow_money_residual_usdt", "Our wallet minus the venue's.")
DRAWDOWN: Final = Gauge("undertow_drawdown_ratio", "1 - (equity - net transfers) / peak.")
ORDER_RESIDUAL: Final = Gauge(
    "undertow_order_residual", "Resting orders that only the books or only the venue know, in two comparisons."
)
EXECUTIONS_ON_WAY: Final = Gauge(
    "undertow_executions_on_way", "Executions that the venue lists and that have not reached the books."
)
FORCED_CLOSES: Final = Counter(
    "undertow_forced_closes_total", "Times the venue closed a position of ours by force, by kind.", labels=("kind",)
)
RECONCILED: Final = Gauge("undertow_reconciled_timestamp_seconds", "Market time of the last comparison with the venue.")

# snapshotter
SNAPSHOT_ROWS: Final = Counter("undertow_snapshot_rows_total", "Rows written to Parquet.")
SNAPSHOT_ROWS_KNOWN: Final = Counter(
    "undertow_snapshot_rows_known_total", "Rows that came again and were stored already."
)
SNAPSHOT_ROWS_LOST: Final = Counter(
    "undertow_snapshot_rows_lost_total",
    "Rows missing for ever: a jump in the numbers of a stream's producer.",
    labels=("stream",),
)
SNAPSHOT_FLUSHES_REFUSED: Final = Counter(
    "undertow_snapshot_flushes_refused_total", "Times the store refused what was to be written; it is tried again."
)
SNAPSHOT_COMPACTIONS: Final = Counter("undertow_snapshot_compactions_total", "Partitions whose files were made one.")
SNAPSHOT_FLUSH_SECONDS: Final = Histogram("undertow_snapshot_flush_seconds", "Wall time of a flush to Parquet.")

# guardian
GUARDIAN_ORDERS: Final = Counter("undertow_guardian_orders_total", "Closing orders the guardian has sent.")
GUARDIAN_PINGED: Final = Gauge(
    "undertow_guardian_pinged_timestamp_seconds", "Wall time when the outside watcher last took a ping; 0 before."
)

# venue
VENUE_FAULTS: Final = Counter(
    "undertow_venue_faults_total", "Times the paper venue misbehaved on demand.", labels=("action",)
)


def declared() -> tuple[Metric, ...]:
    """Give every metric declared here, in the order of declaration."""
    return tuple(value for value in globals().values() if isinstance(value, Counter | Gauge | Histogram))
