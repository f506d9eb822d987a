"""The fleet in one process under virtual time: every core, the venue's too, without a socket, a thread or an event loop.

The same market, seed and latencies give the same bytes on every stream. What the shells leave out: rate limits and signatures at the
venue, consumer groups, the snapshotter and admin (a command is published as admin would). `python -m tests.fleet.in_process --help`.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from services.cli.report import decisions_hash
from services.feature_hub.core import HubCore
from services.feature_hub.settings import FeatureSettings
from services.ingestor.core import IngestorCore, Publish
from services.model_server.core import SOURCE, ModelServerCore, SignalRule
from services.model_server.settings import PolicySettings, SignalSettings
from services.order_router.settings import Settings as RouterSettings
from services.rest_collector.core import CollectorCore, topic_of
from services.rest_collector.settings import CollectSettings
from services.venue.answers import AccountSpec, PrivateEvent
from services.venue.board import Board
from services.venue.core import VenueCore
from services.venue.keys import ACCOUNT_UID
from services.venue.pages import MarketPages
from tests.fleet.shells import Ground, GuardianShell, Latencies, PositionManagerShell, RouterShell
from tests.fleet.virtual import MS, SECOND, DirectHttp, Streams, Timeline, finished
from undertow.bus.ports import Delivery, Topic
from undertow.contracts.audit import AuditChain
from undertow.contracts.messages.control import Command, Verb
from undertow.contracts.messages.reference import ClockOffset
from undertow.contracts.messages.trading import Execution, OrderChanged, TradeClosed
from undertow.contracts.streams import CONTROL, FEATURES, MARKET, ORDERS, REFERENCE
from undertow.domain.state import Mode
from undertow.learning.policy import ThompsonPolicy
from undertow.learning.registry import DEMONSTRATION, load_serving
from undertow.markets.generated import GeneratedMarket
from undertow.markets.injection import InjectedSource
from undertow.markets.instruments import instruments_for, risk_tiers_for
from undertow.markets.ports import FrameSource, MarketFrame
from undertow.markets.tape import TapeSource

BEFORE_OPENING_NS = 2 * SECOND
OPENING_BALANCE = Decimal(10_000)
URL = "http://127.0.0.1:1"


@dataclass(frozen=True)
class Residuals:
    """Our books minus the venue's: base coin by symbol, and the quote coin's columns."""

    positions: dict[str, Decimal]
    wallet: Decimal
    realised: Decimal
    fees: Decimal
    funding: Decimal


class InProcessFleet:
    """All cores on one market.

    Args:
        watch: called with the symbol after each frame that the ingestor took.
        streams: makes the streams, of (timeline, hop_ns).
    """

    def __init__(
        self,
        source: FrameSource,
        seed: int = 7,
        latencies: Latencies | None = None,
        watch: Callable[[InProcessFleet, str], None] | None = None,
        streams: Callable[[Timeline, int], Streams] = Streams,
    ) -> None:
        self.source = source
        self.symbols = source.symbols
        self.latencies = latencies or Latencies()
        self.frames = self.frames_injected = 0
        self.finished_ns: int | None = None
        self._watch = watch
        self._commands = 0
        self.timeline = timeline = Timeline(source.origin_ns - BEFORE_OPENING_NS)
        self.streams = streams(timeline, self.latencies.bus_ns)
        instruments, tiers = instruments_for(self.symbols), risk_tiers_for(self.symbols)
        account = AccountSpec(uid=ACCOUNT_UID, opening_balance=OPENING_BALANCE)
        self.venue = VenueCore(instruments, tiers, [account], book_depth=source.book_depth, opened_ns=timeline.now_ns())
        self._board = Board(self.symbols, source.book_depth)
        self._http = DirectHttp(
            self.venue,
            MarketPages(self._board, instruments, tiers, self.venue.price_limits),
            ACCOUNT_UID,
            timeline,
            self._tell,
        )
        self.ingestor = IngestorCore(self.symbols, depth=source.book_depth)
        self.hub = HubCore({symbol: FeatureSettings().rule(symbol) for symbol in self.symbols})
        self.model = _model(seed)
        ground = Ground(timeline, self.streams, self._http, self.symbols, self.latencies)
        self.guardian = GuardianShell(ground)
        settings = RouterSettings(bus={"url": "redis://127.0.0.1:1/0"}, guardian={"url": URL}, venue={"rest_url": URL})
        self.router = RouterShell(ground, self.guardian, settings)
        self.position_manager = PositionManagerShell(ground, self.guardian)
        self._collector = CollectorCore(
            self.symbols, CollectSettings().intervals_ns(), CollectSettings().reach_ns, timeline.now_ns()
        )
        self._wire()

    # what a person does

    def run(self, seconds: float) -> None:
        """Let market time pass."""
        self.timeline.run(self.timeline.now_ns() + round(seconds * SECOND))

    def flatten(self) -> None:
        """Command what a person would: no entries, and out of every position."""
        self._commands += 1
        now_ns = self.timeline.now_ns()
        command = Command(
            ts_event=now_ns, ts_recv=now_ns, command_id=f"test-{self._commands}", verb=Verb.FLATTEN, who="test", why="end"
        )  # fmt: skip
        self.streams.publish("admin", Topic(CONTROL, source="admin"), command)

    # what came of it

    @property
    def decisions_hash(self) -> str:
        return decisions_hash(self.streams.deliveries)

    @property
    def streams_hash(self) -> str:
        """Hash every byte of every stream, stamps included."""
        digest = hashlib.sha256()
        for entry in self.streams.published:
            digest.update(f"{entry.key} {entry.entry_id} {len(entry.raw)} ".encode() + entry.raw)
        return digest.hexdigest()

    def residuals(self) -> Residuals:
        ours = self.position_manager.core.account(self.timeline.now_ns())
        theirs = self.venue.ledger(ACCOUNT_UID)
        held = self.position_manager.core.quantities
        venue_held = {symbol: Decimal(qty) for symbol, qty in theirs["positions"].items()}
        return Residuals(
            {s: q for s in self.symbols if (q := held.get(s, Decimal(0)) - venue_held.get(s, Decimal(0)))},
            *(getattr(ours, name) - Decimal(theirs[name]) for name in ("wallet", "realised", "fees", "funding")),
        )

    def summary(self) -> dict[str, Any]:
        """Count what happened, ready for JSON."""
        messages = self.streams.messages
        return {
            "market": self.source.label,
            "frames": self.frames,
            "frames_injected": self.frames_injected,
            "feature_vectors": len(self.streams.of("features")),
            "signals": len(self.streams.of("signals")),
            "orders_sent": len(self.router.sent),
            "fills": sum(e.exec_type == "Trade" for e in messages(Execution)),
            "round_trips": len(messages(TradeClosed)),
            "transitions": len(messages(OrderChanged)),
            "messages": len(self.streams.published),
            "anomalies": [f"{a.kind} {a.symbol}: {a.detail}" for a in self.router.anomalies],
            "decisions_hash": self.decisions_hash,
            "streams_hash": self.streams_hash,
        }

    # how it hangs together

    def _wire(self) -> None:
        read_topic = self.streams.read
        for symbol in self.symbols:
            read_topic(Topic(MARKET, symbol=symbol), self._to_hub)
            read_topic(Topic(REFERENCE, symbol=symbol), self._to_hub)
            read_topic(Topic(FEATURES, symbol=symbol), self._to_model)
        read_topic(Topic(ORDERS), lambda delivery: self.model.on_order(delivery.message))
        for writer in CONTROL.writers:
            read_topic(Topic(CONTROL, source=writer), lambda delivery: self.model.on_control(delivery.message))
        self.guardian.start()
        self.router.start()
        self.position_manager.start()
        self.timeline.every(SECOND // 4, self._collect)
        self._play_on(iter(self.source.frames()))

    def _play_on(self, frames: Any) -> None:
        frame = next(frames, None)
        if frame is None:
            self.finished_ns = self.timeline.now_ns()
            self.timeline.every(5 * MS, lambda: self._tell(self.venue.on_time(self.timeline.now_ns())))
            return

        def play() -> None:
            self._send_out(frame)
            self._play_on(frames)

        self.timeline.at(frame.at_ns, play)

    def _send_out(self, frame: MarketFrame) -> None:
        self._board.saw(frame.raw)
        events = self.venue.on_frame(frame.raw, self.timeline.now_ns())
        self.timeline.after(self.latencies.frame_ns, lambda: self._ingest(frame))
        self._tell(events)

    def _ingest(self, frame: MarketFrame) -> None:
        now_ns = self.timeline.now_ns()
        effects = self.ingestor.on_frame(frame.raw, now_ns)
        for effect in effects:
            assert isinstance(effect, Publish), effect
            self.streams.publish("ingestor", Topic(MARKET, symbol=effect.symbol), effect.fact, (now_ns,))
        self.frames += 1
        self.frames_injected += frame.injected
        if self._watch is not None and effects:
            self._watch(self, effects[0].symbol)

    def _to_hub(self, delivery: Delivery) -> None:
        for topic, vector, hops in self.hub.on_batch([delivery]):
            self.streams.publish("feature_hub", topic, vector, hops)

    def _to_model(self, delivery: Delivery) -> None:
        look = self.model.on_features(delivery.message, delivery.ref, self.timeline.now_ns())
        for topic, message, hops in look.publications(delivery.hops) if look else ():
            self.streams.publish(SOURCE, topic, message, hops)

    def _tell(self, events: list[PrivateEvent]) -> None:
        for event in events:
            raw = msgspec.json.encode({"topic": event.topic, "data": event.data})
            self.timeline.after(self.latencies.private_ns, lambda raw=raw: self.router.on_private(raw))

    def _collect(self) -> None:
        now_ns = self.timeline.now_ns()
        collector = self._collector
        while (task := collector.schedule.next(now_ns, now_ns)) is not None:
            request = collector.begin(task, now_ns).request
            if request is None:
                offset = ClockOffset(ts_event=now_ns, ts_recv=now_ns, offset_ns=0, uncertainty_ns=0)
                collector.on_measured(task, offset)
            while request is not None:
                result = finished(self._http.get(request.path, request.params))
                request = collector.on_answer(task, result, now_ns)
            news = collector.news(task, now_ns)
            for fact in news:
                self.streams.publish("rest_collector", topic_of(fact), fact)
            collector.on_published(task, news, now_ns)


def _model(seed: int) -> ModelServerCore:
    entry, signal = load_serving(DEMONSTRATION, Mode.PAPER), SignalSettings()
    return ModelServerCore(
        entry.scorer(),
        len(entry.card.features) + len(entry.card.arm_columns),
        ThompsonPolicy(PolicySettings(seed=seed).rule()),
        AuditChain(SOURCE),
        SignalRule(round(signal.valid_ms * MS), signal.full_size_bps),
    )


def market_of(tape: Path | None, seed: int) -> FrameSource:
    """Give a tape with planted cascades, or the generated market."""
    if tape is not None:
        return InjectedSource(TapeSource(tape), seed)
    return GeneratedMarket(symbols=("BTCUSDT", "ETHUSDT", "SOLUSDT", "DOGEUSDT"), seed=seed)


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Run the fleet's cores on a market in virtual time; print what happened."
    )
    parser.add_argument("--tape", type=Path, help="a recording; without it the generated market")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=60.0, help="market seconds")
    options = parser.parse_args()
    fleet = InProcessFleet(market_of(options.tape, options.seed), options.seed)
    fleet.run(options.seconds)
    print(msgspec.json.encode(fleet.summary()).decode())  # noqa: T201 - a command's answer


if __name__ == "__main__":
    main()
