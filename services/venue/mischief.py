"""The shells' one door to the faults: asked before a request is handled and before a frame goes to a client; keeps what is put off.

While there is no fault every question ends at one flag. What is put off (late effects, slow answers, held frames) is done by `tick`, which
the market's task calls, so that its order against the market's frames is that of market time.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
from collections.abc import Awaitable, Callable
from typing import ClassVar, Final, NoReturn, Protocol, TypeVar

import msgspec

from services.venue.answers import Refusal
from services.venue.faults.catalogue import AUTH, DELTA, EVENT, PUBLIC
from services.venue.faults.core import Faults
from services.venue.faults.fault import Frame, Request
from services.venue.faults.lanes import Lane
from services.venue.faults.verdicts import Coded, Performed, Plain, RequestFault, Silence
from services.venue.keys import ApiKey, KeyRing
from services.venue.limits import RAISABLE, Grant
from services.venue.refusals import HttpRefusal, RateRefusal
from undertow.contracts.metrics import VENUE_FAULTS
from undertow.domain.time import NS_PER_MS
from undertow.runtime.clock import Clock
from undertow.runtime.metrics import Metrics

_SECOND_NS: Final = 1_000_000_000
_LIMIT: Final = RAISABLE["order/create"]
T = TypeVar("T")
Work = Callable[[], T]


class _Typed(msgspec.Struct):
    type: str = ""


_TYPED: Final = msgspec.json.Decoder(_Typed)


class Client(Protocol):
    """What the faults need of a session."""

    where: ClassVar[str]
    key: ApiKey | None

    def send(self, raw: bytes) -> None:
        """Queue a frame."""

    def close(self, code: int, reason: str) -> None:
        """Close after what is queued."""

    def cut(self) -> None:
        """Cut without a farewell."""


class Mischief:
    """The venue's faults at work.

    Args:
        faults: which there are.
        clock: market time.
        ring: tells whose a key is.
        metrics: where hits are counted.
        survived: takes an unexpected error of what was put off.
    """

    def __init__(
        self,
        faults: Faults,
        clock: Clock,
        ring: KeyRing,
        metrics: Metrics,
        survived: Callable[..., None],
    ) -> None:
        self.faults = faults
        self._clock = clock
        self._ring = ring
        self._metrics = metrics
        self._survived = survived
        self._told: dict[str, int] = {}
        self._later: list[tuple[int, int, Callable[[], object]]] = []
        self._order = itertools.count()
        self._lanes: dict[Client, Lane] = {}

    # requests

    def on_request(
        self, where: str, endpoint: str, key: str = "", address: str = "", joined_ns: int = 0
    ) -> RequestFault | None:
        """Say what becomes of a request; None where nothing goes wrong."""
        if not self.faults.watches_requests:
            return None
        known = self._ring.find(key)
        uid = known.uid if known is not None else ""
        return self.faults.on_request(Request(where, endpoint, key, uid, address, joined_ns), self._clock.now_ns())

    async def serve(
        self,
        fault: RequestFault,
        transport: asyncio.Transport | None,
        admit: Callable[[], Awaitable[Work[T]]],
        left_ms: Callable[[], int],
    ) -> T:
        """Let an HTTP request meet its fault.

        Args:
            fault: what becomes of it.
            transport: its connection.
            admit: checks it and gives what is left to do.
            left_ms: how long its receive window is still open, once it is admitted.

        Returns:
            Its own answer.

        Raises:
            Refusal: the fault's, or the request's own.
            HttpRefusal: the same.
        """
        work: Work[T] | None = None
        if fault.performed is not Performed.NEVER:
            work = await admit()
        if work is not None and fault.performed is Performed.LATE:
            self.put_off(min(fault.late_ns, left_ms() * NS_PER_MS), work)
        if fault.answer is None and work is not None:
            answer = work()
            await self._clock.sleep(fault.wait_ns / _SECOND_NS)
            return answer
        if work is not None and fault.performed is Performed.NOW:
            self.hide(work)
        if isinstance(fault.answer, Silence):
            await _no_answer(fault.answer, transport)
        raise refusal_of(fault.answer)

    def log_in(self, where: str, args: object, work: Callable[[], None]) -> bool:
        """Let an authentication meet its fault, or be done; False where it gets no answer.

        Raises:
            Refusal: the fault's, behind which it may be done all the same, or its own.
        """
        claimed = args[0] if isinstance(args, list) and args else ""
        fault = self.on_request(where, AUTH, str(claimed))
        if fault is None:
            work()
            return True
        if fault.performed is Performed.NOW:
            self.hide(work)
        if isinstance(fault.answer, Silence):
            return False
        raise refusal_of(fault.answer)

    def put_off(self, by_ns: int, work: Callable[[], object]) -> None:
        """Do something after this much market time."""
        heapq.heappush(self._later, (self._clock.now_ns() + by_ns, next(self._order), work))

    @staticmethod
    def hide(work: Callable[[], object]) -> None:
        """Do something whose refusal nobody hears."""
        with contextlib.suppress(Refusal, HttpRefusal):
            work()

    # frames

    @property
    def lets_frames_be(self) -> bool:
        """True while every frame is simply sent."""
        return not self.faults.watches_frames and not self._lanes

    def loses(self, topic: str, raw: bytes) -> bool:
        """Say whether a public frame is a book delta that all clients lose."""
        is_delta = topic.startswith("orderbook.") and _TYPED.decode(raw).type == DELTA
        return is_delta and self.faults.loses(topic, self._clock.now_ns())

    def pass_on(self, client: Client, topic: str, raw: bytes, kind: str) -> None:
        """Send a frame to a client, or what the faults make of it."""
        key = client.key
        if kind == EVENT and client.where == PUBLIC:
            kind = _TYPED.decode(raw).type or EVENT
        frame = Frame(client.where, topic, kind, key.key if key else "", key.uid if key else "")
        now_ns = self._clock.now_ns()
        fault = self.faults.on_frame(frame, now_ns)
        if fault is not None and fault.close_code is not None:
            if fault.abrupt:
                client.cut()
            else:
                client.close(fault.close_code, "disconnected by a fault")
            return
        lane = self._lanes.setdefault(client, Lane())
        for ready in lane.offer(raw, fault, now_ns):
            client.send(ready)
        if lane.is_empty:
            del self._lanes[client]

    # time

    def tick(self, now_ns: int) -> None:
        """Do what is due."""
        while self._later and self._later[0][0] <= now_ns:
            _, _, work = heapq.heappop(self._later)
            try:
                self.hide(work)
            except Exception as error:  # noqa: BLE001 - one request must not end the venue; it is counted and logged
                self._survived("late_request_failed", error)
        if self._lanes:
            for client, lane in list(self._lanes.items()):
                for ready in lane.due(now_ns):
                    client.send(ready)
                if lane.is_empty:
                    del self._lanes[client]
        if self.faults.hits != self._told:
            for action, hits in self.faults.hits.items():
                self._metrics.counter(VENUE_FAULTS, action=action).inc(hits - self._told.get(action, 0))
            self._told = dict(self.faults.hits)


async def _no_answer(silence: Silence, transport: asyncio.Transport | None) -> NoReturn:
    if silence.hangs_up and transport is not None:
        transport.abort()
    await asyncio.Event().wait()  # until the client has gone, or the venue
    raise AssertionError("an event that nobody sets was set")


def refusal_of(answer: Coded | Plain | None) -> Refusal | HttpRefusal:
    """Give a fault's answer as the venue's edge says it."""
    match answer:
        case Plain():
            return HttpRefusal(answer.status, answer.text)
        case Coded(reset_ns=int(reset_ns)):
            return RateRefusal(Grant(_LIMIT, 0, 0, reset_ns))
        case Coded():
            return Refusal(answer.code, answer.message)
        case None:
            raise ValueError("a request's own answer is no refusal")
