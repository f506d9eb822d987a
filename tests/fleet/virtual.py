"""What a fleet in one process stands on: virtual time, streams without a server, the venue without a socket.

Nothing here waits: time is one priority queue of (time, sequence); what happens at the same time happens in the order of asking.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec

from services.venue.answers import PrivateEvent
from services.venue.core import VenueCore
from services.venue.pages import MarketPages
from undertow.bus.codec import Stamper, opened
from undertow.bus.ports import Delivery, Topic
from undertow.contracts.messages.base import Message
from undertow.exchange.bybit import parse
from undertow.exchange.bybit.http import BybitHttp

T = TypeVar("T")
MS: Final = 1_000_000
SECOND: Final = 1_000 * MS
PUBLIC: Final = ("/v5/market/", "/v5/system/")


class Timeline:
    """Virtual market time; a `Clock` to those who only ask for it."""

    rate = 1.0

    def __init__(self, origin_ns: int) -> None:
        self._now_ns = origin_ns
        self._sequence = 0
        self._due: list[tuple[int, int, Callable[[], None]]] = []

    def now_ns(self) -> int:
        return self._now_ns

    def at(self, when_ns: int, what: Callable[[], None]) -> None:
        """Do `what` then, after all that was asked for the same time before."""
        assert when_ns >= self._now_ns, "time does not run backwards"
        self._sequence += 1
        heapq.heappush(self._due, (when_ns, self._sequence, what))

    def after(self, wait_ns: int, what: Callable[[], None]) -> None:
        self.at(self._now_ns + wait_ns, what)

    def every(self, interval_ns: int, what: Callable[[], None]) -> None:
        """Do `what` now and again and again."""

        def again() -> None:
            what()
            self.after(interval_ns, again)

        self.after(0, again)

    def run(self, until_ns: int) -> None:
        """Let everything happen up to and including this time."""
        while self._due and self._due[0][0] <= until_ns:
            self._now_ns, _, what = heapq.heappop(self._due)
            what()
        self._now_ns = until_ns

    async def sleep(self, market_seconds: float) -> None:
        raise AssertionError(f"a core waits for {market_seconds} s: nothing may wait in virtual time")


@dataclass(frozen=True, slots=True)
class Published:
    """An entry of a stream: its key, its id, its bytes."""

    key: str
    entry_id: str
    raw: bytes


class Streams:
    """Every stream: sealed by the real codec, opened by it at each reader, one hop later."""

    def __init__(self, timeline: Timeline, hop_ns: int) -> None:
        self.published: list[Published] = []
        self.deliveries: list[Delivery] = []
        self._timeline = timeline
        self._hop_ns = hop_ns
        self._stampers: dict[str, Stamper] = {}
        self._entries: Counter[str] = Counter()
        self._readers: dict[str, list[Callable[[Delivery], None]]] = {}

    def read(self, topic: Topic, take: Callable[[Delivery], None]) -> None:
        self._readers.setdefault(topic.key, []).append(take)

    def publish(self, producer: str, topic: Topic, message: Message, hops: tuple[int, ...] = ()) -> None:
        if producer not in self._stampers:
            self._stampers[producer] = Stamper(producer, self._timeline.now_ns)
        key = topic.key
        assert producer in topic.stream.writers, f"{producer} may not write {key}"
        _, raw = self._stampers[producer].seal(key, message, hops)
        self._entries[key] += 1
        entry_id = f"{self._timeline.now_ns() // MS}-{self._entries[key]}"
        self.published.append(Published(key, entry_id, raw))
        self.deliveries.append(opened(topic, entry_id, raw))
        for take in self._readers.get(key, ()):
            self._timeline.after(self._hop_ns, lambda take=take: take(opened(topic, entry_id, raw)))

    def of(self, *streams: str) -> list[Published]:
        """Give the entries of these streams (the first word of their keys)."""
        return [entry for entry in self.published if entry.key.partition(":")[0] in streams]

    def messages(self, kind: type[T]) -> list[T]:
        return [delivery.message for delivery in self.deliveries if isinstance(delivery.message, kind)]


class DirectHttp(BybitHttp):
    """The venue's own client, straight on the venue's core: the same requests and parsers, no wire."""

    def __init__(
        self,
        venue: VenueCore,
        pages: MarketPages,
        uid: str,
        timeline: Timeline,
        tell: Callable[[list[PrivateEvent]], None],
    ) -> None:
        super().__init__("http://127.0.0.1", timeline)
        self._venue, self._market_pages, self._uid, self._timeline, self._tell = venue, pages, uid, timeline, tell

    async def _exchange(self, method: str, path: str, params: Mapping[str, Any], **how: Any) -> dict[str, Any]:
        return await self._once(method, path, params, **how)

    async def _once(self, method: str, path: str, params: Mapping[str, Any], **_how: Any) -> dict[str, Any]:
        now_ns = self._timeline.now_ns()
        asked = msgspec.json.decode(msgspec.json.encode(params))
        if path.startswith(PUBLIC):
            result = self._market_pages.answer(path, asked, now_ns)
            assert result is not None, f"the venue has no {path}"
            return msgspec.json.decode(msgspec.json.encode(result))
        serve = self._venue.get if method == "GET" else self._venue.post
        answer = serve(self._uid, path, asked, now_ns)
        self._tell(answer.events)
        if answer.ret_code:
            raise parse.error_for(answer.ret_code, answer.ret_msg, now_ns)
        return msgspec.json.decode(msgspec.json.encode(answer.result))


def finished(work: Coroutine[Any, Any, T]) -> T:
    """Give the value of a coroutine that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    work.close()
    raise AssertionError("it waits, and in virtual time nothing may")
