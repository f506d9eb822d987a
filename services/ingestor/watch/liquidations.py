"""The liquidation feed of some symbols, watched: is it silent, inverted, late, thinned, or garbage?

How each fault is known:

- *zero size*: a liquidation of nothing. One is enough.
- *implausible price*: bankruptcy prices more than a tenth away from the mark price, one after the other.
- *late*: liquidations that arrive more than a second after their time, beyond what trades need; the venue batches 500 ms.
- *inverted*: a liquidated long goes bankrupt below the mark price and sells, a liquidated short above it and buys. Prices on the wrong
  side of the mark, or trades that run the wrong way around the liquidation, look after look.
- *thinned*: never two liquidations within a second, as the venue's old topic was; or a smaller part of the fall of the open interest
  in episodes of forced trading (see `episodes`) than the feed used to tell.
- *silent*: episodes of which the feed tells nothing, though it used to; or a dozen of them before it has ever told anything; or nothing
  on any symbol for very long while trades go on.

Each look counts for its symbol and for all symbols together, for a fault is most often one of the whole feed. A fault is taken back when
looks have gone well for about as long as it took to find it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from services.ingestor.watch.episodes import SECOND_NS, Episode, Episodes
from services.ingestor.watch.evidence import Evidence, ratio_of_look
from services.ingestor.watch.habits import Shares, Silences
from services.ingestor.watch.tape import AHEAD_NS, Tape
from undertow.contracts.messages.market import FeedFault, FeedSuspect, Ticker, Trades
from undertow.domain.order import Side
from undertow.exchange.bybit.frames import LiquidationData

FAR_FROM_MARK: Final = 0.1
LATE_NS: Final = SECOND_NS
APART_NS: Final = SECOND_NS
_GOOD_AFTER_ZERO: Final = 200
_BEFORE_NS: Final = SECOND_NS // 2
_UNHEARD_EPISODES: Final = 12
_TRADING_NS: Final = 60 * SECOND_NS
_MS_NS: Final = 1_000_000

_FAR, _LATE, _WRONG_SIDE, _WRONG_FLOW, _APART, _SHARE, _UNTOLD = range(7)
_CHANCES: Final = {
    _FAR: (0.1, 0.9),
    _LATE: (0.2, 0.9),
    _WRONG_SIDE: (0.5, 0.95),
    _WRONG_FLOW: (0.5, 0.85),
    _APART: (0.85, 0.9999),
}
"""Share of wrong looks: the largest of a healthy feed, and a faulty one's. That 85 of 100 liquidations are a second apart is more than any
recording shows; a feed whose prices or trades say nothing of the side goes wrong every other time."""
_WORDS: Final = (
    (FeedFault.IMPLAUSIBLE_PRICE, _FAR, "prices far from the mark price"),
    (FeedFault.LATE, _LATE, "more than a second later than trades"),
    (FeedFault.INVERTED, _WRONG_SIDE, "prices on the wrong side of the mark price"),
    (FeedFault.INVERTED, _WRONG_FLOW, "trades run the other way"),
    (FeedFault.THINNED, _APART, "never two within a second"),
    (FeedFault.THINNED, _SHARE, "tells less of what the open interest falls"),
    (FeedFault.SILENT, _UNTOLD, "tells nothing of forced trading"),
)


@dataclass(slots=True)
class _Symbol:
    name: str
    tape: Tape = field(default_factory=Tape)
    episodes: Episodes = field(default_factory=Episodes)
    silences: Silences = field(default_factory=Silences)
    shares: Shares = field(default_factory=Shares)
    evidence: defaultdict[int, Evidence] = field(default_factory=lambda: defaultdict(Evidence))
    last_ns: int = 0
    judged_ns: int = 0  # up to here trades have been compared with liquidations
    good_in_a_row: int = _GOOD_AFTER_ZERO
    told: dict[FeedFault, str] = field(default_factory=dict)


class LiquidationWatch:
    """Watches the liquidation feed.

    Args:
        symbols: whose.
        silence_ns: market time without a liquidation on any of the symbols, while trades go on, after which the feed counts as silent.
    """

    def __init__(self, symbols: Sequence[str], silence_ns: int) -> None:
        self._symbols = {symbol: _Symbol(symbol) for symbol in symbols}
        self._together: defaultdict[int, Evidence] = defaultdict(Evidence)
        self._silences = Silences()
        self._silence_ns = silence_ns
        self._quiet_since_ns = 0
        self._has_spoken = False
        self._unheard = 0
        self._is_unheard = False

    def on_trades(self, fact: Trades) -> list[FeedSuspect]:
        """Take public trades."""
        symbol = self._symbols[fact.symbol]
        for at_ns, size in symbol.tape.on_trades(fact):
            symbol.episodes.on_trade(at_ns, size)
        return self._on_time(symbol, fact.ts_recv)

    def on_ticker(self, fact: Ticker) -> list[FeedSuspect]:
        """Take a merged ticker."""
        symbol = self._symbols[fact.symbol]
        symbol.tape.on_ticker(fact)
        if fact.open_interest and fact.ts_event <= fact.ts_recv + AHEAD_NS:
            symbol.episodes.on_interest(fact.ts_event, float(fact.open_interest))
        return self._on_time(symbol, fact.ts_recv)

    def on_liquidations(self, name: str, rows: Sequence[LiquidationData], recv_ns: int) -> list[FeedSuspect]:
        """Take the rows of one frame of a symbol, those of size 0 too; they are numbers."""
        rows = [row for row in rows if row.ts_ms * _MS_NS <= recv_ns + AHEAD_NS]
        if not rows:
            return []
        self._has_spoken, self._is_unheard, self._quiet_since_ns = True, False, recv_ns
        symbol = self._symbols[name]
        for row in rows:
            self._look_at_row(symbol, row.ts_ms * _MS_NS, float(row.size))
        for side in (Side.BUY, Side.SELL):
            same = [row for row in rows if row.position_side is side]
            if same:
                self._look_at_side(symbol, side, same)
        usual_ns = symbol.tape.delay_ns()
        if usual_ns is not None:
            latest_ns = max(row.ts_ms for row in rows) * _MS_NS
            self._look(symbol, _LATE, wrong=recv_ns - latest_ns - usual_ns > LATE_NS)
        return self._tell_all(recv_ns)

    def on_blind(self) -> None:
        """Frames may be missing: what was not heard says nothing of the feed."""
        self._quiet_since_ns = 0
        for symbol in self._symbols.values():
            symbol.episodes.forget()

    def _look_at_row(self, symbol: _Symbol, at_ns: int, size: float) -> None:
        symbol.good_in_a_row = symbol.good_in_a_row + 1 if size else 0
        symbol.episodes.on_liquidation(at_ns, size)
        if at_ns - symbol.last_ns >= APART_NS:
            self._look(symbol, _APART, wrong=True)
        else:
            self._clear(symbol, _APART)
        symbol.last_ns = at_ns

    def _look_at_side(self, symbol: _Symbol, side: Side, rows: Sequence[LiquidationData]) -> None:
        mark = symbol.tape.mark
        if mark:
            away = sum(float(row.price) for row in rows) / len(rows) / mark - 1.0
            is_far = abs(away) > FAR_FROM_MARK
            self._look(symbol, _FAR, wrong=is_far)
            if away and not is_far:
                self._look(symbol, _WRONG_SIDE, wrong=(away > 0.0) is (side is Side.BUY))
        begin_ns = min(row.ts_ms for row in rows) * _MS_NS - _BEFORE_NS
        flow = symbol.tape.flow_since(begin_ns)
        if flow and begin_ns > symbol.judged_ns:  # looks at the same trades would depend on each other
            symbol.judged_ns = max(row.ts_ms for row in rows) * _MS_NS
            self._look(symbol, _WRONG_FLOW, wrong=(flow > 0.0) is (side is Side.BUY))

    def _on_time(self, symbol: _Symbol, now_ns: int) -> list[FeedSuspect]:
        self._quiet_since_ns = self._quiet_since_ns or now_ns
        episodes = symbol.episodes.settled(now_ns)
        for episode in episodes:
            self._look_at_episode(symbol, episode)
        is_trading = now_ns - symbol.tape.traded_ns < _TRADING_NS
        is_unheard = self._unheard >= _UNHEARD_EPISODES or now_ns - self._quiet_since_ns >= self._silence_ns
        if is_trading and is_unheard and not self._is_unheard:
            self._is_unheard = True
            return self._tell_all(now_ns)
        return self._tell_all(now_ns) if episodes else []

    def _look_at_episode(self, symbol: _Symbol, episode: Episode) -> None:
        of_all = ((symbol.silences, symbol.evidence), (self._silences, self._together))
        if not episode.is_told:
            self._unheard += not self._has_spoken
            for silences, evidence in of_all:
                evidence[_UNTOLD].add(silences.not_told())
            return
        for silences, evidence in of_all:
            silences.told()
            evidence[_UNTOLD].clear()
        if episode.told_share > 0.0:
            self._add(symbol, _SHARE, symbol.shares.ratio(episode.told_share))
            symbol.shares.judged(symbol.evidence[_SHARE])

    def _look(self, symbol: _Symbol, kind: int, *, wrong: bool) -> None:
        usual, faulty = _CHANCES[kind]
        self._add(symbol, kind, ratio_of_look(wrong=wrong, usual=usual, faulty=faulty))

    def _add(self, symbol: _Symbol, kind: int, ratio: float) -> None:
        symbol.evidence[kind].add(ratio)
        self._together[kind].add(ratio)

    def _clear(self, symbol: _Symbol, kind: int) -> None:
        symbol.evidence[kind].clear()
        self._together[kind].clear()

    def _tell_all(self, now_ns: int) -> list[FeedSuspect]:
        return [told for symbol in self._symbols.values() for told in self._tell(symbol, now_ns)]

    def _tell(self, symbol: _Symbol, now_ns: int) -> Iterator[FeedSuspect]:
        found = self._found(symbol)
        for fault in FeedFault:
            if (fault in found) is not (fault in symbol.told):
                yield FeedSuspect(
                    ts_event=now_ns,
                    ts_recv=now_ns,
                    symbol=symbol.name,
                    fault=fault,
                    suspected=fault in found,
                    evidence=found.get(fault, ""),
                )
        symbol.told = found

    def _found(self, symbol: _Symbol) -> dict[FeedFault, str]:
        found: dict[FeedFault, str] = {}
        if symbol.good_in_a_row < _GOOD_AFTER_ZERO:
            found[FeedFault.ZERO_SIZE] = "a liquidation of size 0"
        if self._is_unheard:
            found[FeedFault.SILENT] = "has told nothing on any symbol"
        for fault, kind, words in _WORDS:
            if symbol.evidence[kind].raised or self._together[kind].raised:
                found.setdefault(fault, words)
        return found
