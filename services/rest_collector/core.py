"""What to ask the venue for, and what of its answers is new. Pure: answers in, requests and facts out.

A task takes one request or several: pages by cursor, spans of a series back to what is published, contracts that are not among those
that trade. Its facts are given when the last answer is there, and count as published when the shell says so. A restart reads what was
published last from the stream's tail, so it neither repeats nor misses a row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from services.rest_collector.changes import differ, instrument_news, last_tiers
from services.rest_collector.kinds import Kind, Task, tasks_of
from services.rest_collector.read import ENDPOINTS, sound
from services.rest_collector.schedule import Schedule
from services.rest_collector.series import Series, Span
from undertow.bus.ports import Topic
from undertow.contracts.messages.base import Message
from undertow.contracts.messages.reference import (
    DayTicker,
    Funding,
    InstrumentChanged,
    LongShortRatio,
    NextFunding,
    OpenInterest,
    RiskTier,
)
from undertow.contracts.streams import REFERENCE, VENUE
from undertow.exchange.bybit import parse
from undertow.exchange.errors import BadAnswerError

MOST_PAGES: Final = 200
NOT_TRADING: Final = ("PreLaunch", "Delivering", "Closed")
"""Where a contract is looked for that is not among those that trade."""
_SERIES: Final[Mapping[Kind, type[Message]]] = {
    Kind.OPEN_INTEREST: OpenInterest,
    Kind.FUNDING: Funding,
    Kind.LONG_SHORT_RATIO: LongShortRatio,
}


@dataclass(frozen=True, slots=True)
class Request:
    """One GET.

    Attributes:
        may_be_refused: whether a refusal is an answer too: there is no such thing.
    """

    path: str
    params: Mapping[str, str]
    may_be_refused: bool = False


def topic_of(fact: Message) -> Topic:
    """Give the topic that a fact is published on: its symbol's, or the venue's."""
    symbol = getattr(fact, "symbol", "")
    return Topic(REFERENCE, symbol=symbol) if symbol else Topic(VENUE)


@dataclass(frozen=True, slots=True)
class Begun:
    """How a task begins.

    Attributes:
        request: the first; None for the clock, which is measured.
        skipped_ns: how much of an outage lies too far back to be fetched.
    """

    request: Request | None
    skipped_ns: int = 0


@dataclass(slots=True)
class _Work:
    """A task under way."""

    facts: list[Message] = field(default_factory=list)
    pages: int = 0
    cursor: str = ""
    looks_for: list[tuple[str, str]] = field(default_factory=list)  # symbol and status
    is_looking: bool = False


class CollectorCore:
    """The collector without its wires.

    Args:
        symbols: whose facts are wanted.
        intervals_ns: market ns between two requests of a kind.
        reach_ns: how far back the rows of a series are fetched.
        now_ns: market time of the start.
        asks_for_venue: whether this process asks for what concerns the venue as a whole.
    """

    def __init__(
        self,
        symbols: Sequence[str],
        intervals_ns: Mapping[Kind, int],
        reach_ns: int,
        now_ns: int,
        *,
        asks_for_venue: bool = True,
    ) -> None:
        self.symbols = tuple(symbols)
        tasks = tasks_of(self.symbols, asks_for_venue=asks_for_venue)
        self.schedule = Schedule(tasks, intervals_ns, now_ns)
        self._series = {
            task: Series(ENDPOINTS[task.kind].most_rows, reach_ns) for task in tasks if task.kind in _SERIES
        }
        self._instruments: dict[str, InstrumentChanged] = {}
        self._tiers: dict[str, list[Message]] = {}
        self._latest: dict[tuple[type[Message], str], Message] = {}
        self._works: dict[Task, _Work] = {}

    def remember(self, symbol: str, published: Sequence[Message]) -> None:
        """Take what a symbol's stream holds from before the start, oldest first."""
        for kind, row_type in _SERIES.items():
            rows = [fact.ts_event for fact in published if isinstance(fact, row_type)]
            self._series[Task(kind, symbol)].last_ns = max(rows, default=None)
        tiers = [fact for fact in published if isinstance(fact, RiskTier)]
        if tiers:
            self._tiers[symbol] = list(last_tiers(tiers))
        for fact in published:
            if isinstance(fact, InstrumentChanged):
                self._instruments[symbol] = fact
            elif isinstance(fact, NextFunding | DayTicker):
                self._latest[type(fact), symbol] = fact

    def unknown_symbols(self) -> list[str]:
        """Name the symbols whose filters are not published."""
        return [symbol for symbol in self.symbols if symbol not in self._instruments]

    def begin(self, task: Task, now_ns: int) -> Begun:
        """Begin a task."""
        self._works[task] = _Work()
        self.schedule.begin(task, now_ns)
        if task.kind is Kind.CLOCK:
            return Begun(None)
        if task in self._series:
            span, skipped_ns = self._series[task].begin(now_ns)
            return Begun(self._request(task, span), skipped_ns)
        return Begun(self._request(task))

    def on_measured(self, task: Task, fact: Message) -> None:
        """Take what was measured instead of asked for."""
        self._works[task].facts.append(fact)

    def on_answer(self, task: Task, result: Any, now_ns: int) -> Request | None:
        """Take an answer; give the next request, or None when the task has all that it needs.

        Raises:
            BadAnswerError: it cannot be understood; names the page.
        """
        endpoint, work = ENDPOINTS[task.kind], self._works[task]
        ours = parse.read(lambda r: self._ours(task, r), result, endpoint.path)
        facts = parse.read(lambda r: sound(endpoint.read(r, now_ns)), ours, endpoint.path)
        work.pages += 1
        if work.pages > MOST_PAGES:
            raise BadAnswerError(0, f"{endpoint.path} has more than {MOST_PAGES} pages")
        if task in self._series:
            span = parse.read(self._series[task].take, facts, endpoint.path)
            return None if span is None else self._request(task, span)
        work.facts += facts
        if work.is_looking:
            return self._look_further(task, work)
        before, work.cursor = work.cursor, str(result.get("nextPageCursor") or "")
        if work.cursor and result["list"] and work.cursor != before:
            return self._request(task)
        return self._look_further(task, work) if task.kind is Kind.INSTRUMENT else None

    def news(self, task: Task, now_ns: int) -> list[Message]:
        """Give what is new in the answers of a task, in the order in which it is to be published."""
        facts = self._works[task].facts
        if task in self._series:
            return self._series[task].joined()
        if task.kind is Kind.INSTRUMENT:
            found = {fact.symbol: fact for fact in facts if isinstance(fact, InstrumentChanged)}
            news = (instrument_news(found.get(s), self._instruments.get(s), now_ns) for s in self.symbols)
            return [fact for fact in news if fact is not None]
        if task.kind is Kind.TICKER:
            return [fact for fact in facts if differ([fact], self._known(fact))]
        if task.kind is Kind.RISK_TIERS:
            return facts if facts and differ(facts, self._tiers.get(task.symbol, ())) else []
        return facts

    def on_published(self, task: Task, news: Sequence[Message], now_ns: int) -> None:
        """The rest of the news of a task is on the bus; it is done."""
        self.on_taken(task, news)
        del self._works[task]
        self.schedule.answered(task, now_ns)
        if task in self._series:
            self._series[task].published()

    def on_taken(self, task: Task, news: Sequence[Message]) -> None:
        """Some of the news of a task are on the bus, and are not given again."""
        if task in self._series:
            self._series[task].taken(news)
        if task.kind is Kind.RISK_TIERS and news:
            self._tiers[task.symbol] = list(news)
        for fact in news:
            if isinstance(fact, InstrumentChanged):
                self._instruments[fact.symbol] = fact
            elif isinstance(fact, NextFunding | DayTicker):
                self._latest[type(fact), fact.symbol] = fact

    def on_failure(self, task: Task, wall_ns: int) -> None:
        """A request failed: the task is begun again later, a series where it stopped."""
        del self._works[task]
        self.schedule.failed(task, wall_ns)

    def on_absence(self, task: Task, wall_ns: int) -> None:
        """The venue has no page of a kind."""
        del self._works[task]
        self.schedule.absent(task, wall_ns)

    def _request(self, task: Task, span: Span | None = None) -> Request:
        endpoint, params = ENDPOINTS[task.kind], {}
        if task.symbol:
            params["symbol"] = task.symbol
        if span is not None:
            params |= {"startTime": str(span.begin_ms), "endTime": str(span.end_ms)}
        if self._works[task].cursor:
            params["cursor"] = self._works[task].cursor
        return Request(endpoint.path, {**endpoint.params, **params})

    def _ours(self, task: Task, result: Any) -> Any:
        # what the venue says of other people's contracts need not make sense to us
        rows = result["list"]
        if not task.symbol:
            return {**result, "list": [row for row in rows if row.get("symbol", "") in (*self.symbols, "")]}
        for each in (result, *rows):
            if each.get("symbol", task.symbol) != task.symbol:
                raise ValueError(f"is of {each['symbol']!r}, and {task.symbol} was asked for")
        return result

    def _look_further(self, task: Task, work: _Work) -> Request | None:
        found = {fact.symbol for fact in work.facts if isinstance(fact, InstrumentChanged)}
        if not work.is_looking:
            work.looks_for = [(symbol, status) for symbol in self.symbols for status in NOT_TRADING]
            work.is_looking = True
        while work.looks_for:
            symbol, status = work.looks_for.pop(0)
            if symbol not in found:
                params = {**ENDPOINTS[task.kind].params, "symbol": symbol, "status": status}
                return Request(ENDPOINTS[task.kind].path, params, may_be_refused=True)
        return None

    def _known(self, fact: Message) -> list[Message]:
        known = self._latest.get((type(fact), getattr(fact, "symbol", "")))
        return [] if known is None else [known]
