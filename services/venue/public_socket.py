"""A public socket: who wants which topic, the market's own frames to them byte for byte, and what the venue makes of them on time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from heapq import heappop, heappush
from typing import Any, ClassVar, Final, Protocol

from services.venue.board import Board
from services.venue.channels import Channel
from services.venue.faults.catalogue import EVENT, PUBLIC, SUBSCRIBE
from services.venue.faults.verdicts import Coded, Performed
from services.venue.mischief import Mischief
from services.venue.offer import MOST_ARGUMENT_CHARACTERS, Offer
from services.venue.session import Session
from undertow.domain.time import NS_PER_MS

_BOOK: Final = "orderbook."


class PublicHub:
    """All subscriptions of one public socket.

    Args:
        board: what the market has shown, for those who join in the middle.
        offer: the topics.
        mischief: what goes wrong.

    Attributes:
        sessions: the clients.
    """

    def __init__(self, board: Board, offer: Offer, mischief: Mischief) -> None:
        self.mischief = mischief
        self.sessions: dict[PublicSession, None] = {}
        self._board = board
        self._offer = offer
        self._subscribers: dict[str, dict[PublicSession, None]] = {}
        self._channels: dict[str, Channel] = {}
        self._stirred: dict[str, dict[Channel, None]] = {}
        self._due: dict[Channel, int] = {}
        self._timetable: list[tuple[int, str, Channel]] = []

    @property
    def most_arguments(self) -> int | None:
        """How many topics one request may name; None for any number."""
        return self._offer.most_arguments

    def on_frame(self, topic: str, raw: bytes, at_ns: int) -> None:
        """Send one of the market's own frames to everybody who wants its topic; the board has seen it."""
        stirred = self._stirred.get(topic)
        if stirred:
            at_ms = at_ns // NS_PER_MS
            for channel in stirred:
                self._plan(channel, channel.next_ms(at_ms))
        self.broadcast(topic, raw)

    def broadcast(self, topic: str, raw: bytes) -> None:
        """Send one frame to everybody who wants its topic."""
        subscribers = self._subscribers.get(topic, ())
        if self.mischief.lets_frames_be:
            for session in subscribers:
                session.send(raw)
        elif subscribers and not self.mischief.loses(topic, raw):
            for session in subscribers:
                session.pass_on(topic, raw, EVENT)

    @property
    def topics(self) -> tuple[str, ...]:
        """All topics."""
        kinds = sorted({*self._offer.own, *self._offer.made})
        return tuple(f"{kind}.{symbol}" for kind in kinds for symbol in self._board.symbols)

    def books(self, pattern: str) -> Iterator[tuple[str, bytes]]:
        """Yield the market's own book topic and its snapshot for each symbol of which some book topic matches."""
        own = next(kind for kind in self._offer.own if kind.startswith(_BOOK))
        kinds = [own, *(kind for kind in self._offer.made if kind.startswith(_BOOK))]
        for symbol in self._board.symbols:
            topic = f"{own}.{symbol}"
            is_meant = any(fnmatchcase(f"{kind}.{symbol}", pattern) for kind in kinds)
            snapshot = self._board.of(symbol).snapshot(topic) if is_meant else None
            if snapshot is not None:
                yield topic, snapshot

    def pass_time(self, now_ns: int) -> None:
        """Push what is due at this moment of the market, or has been before."""
        board, timetable, now_ms = self._board, self._timetable, now_ns // NS_PER_MS
        board.now_ms = max(board.now_ms, now_ms)
        while timetable and timetable[0][0] <= now_ms:
            due_ms, _, channel = heappop(timetable)
            if self._due.get(channel) != due_ms:
                continue  # planned anew, or nobody listens any more
            del self._due[channel]
            raw = channel.push(due_ms)
            if raw is not None:
                self.broadcast(channel.topic, raw)
            idle_ms = channel.idle_ms(due_ms)
            if idle_ms is not None:
                self._plan(channel, max(idle_ms, channel.next_ms(now_ms - 1)))  # what has gone by meanwhile is skipped

    def why_not(self, topic: str) -> str | None:
        """Say why a topic cannot be had, or None."""
        kind, _, symbol = topic.rpartition(".")
        reason = self._offer.why_not(kind)
        if reason is not None:
            return f"error:handler not found,topic:{topic} ({reason})"
        if symbol not in self._board:
            return f"error:handler not found,topic:{topic} (this market has {', '.join(self._board.symbols)})"
        return None

    def add(self, session: PublicSession, topics: Iterable[str]) -> None:
        """Subscribe; whoever joins in the middle starts with a snapshot."""
        for topic in topics:
            subscribers = self._subscribers.setdefault(topic, {})
            if session in subscribers:
                continue
            snapshot = self._joined(topic, is_first=not subscribers)
            subscribers[session] = None
            if snapshot is not None:
                session.pass_on(topic, snapshot, EVENT)

    def remove(self, session: PublicSession, topics: Iterable[str]) -> None:
        """Unsubscribe."""
        for topic in topics:
            subscribers = self._subscribers.get(topic, {})
            if session not in subscribers:
                continue
            del subscribers[session]
            channel = self._channels.get(topic)
            if channel is not None and not subscribers:
                self._close(channel)

    def clients_of(self, address: str) -> int:
        """Count the clients from an address."""
        return sum(session.address == address for session in self.sessions)

    def join(self, address: str) -> PublicSession:
        """Open a session for a client of that address."""
        session = PublicSession(self, address)
        self.sessions[session] = None
        return session

    def _joined(self, topic: str, *, is_first: bool) -> bytes | None:
        kind, _, symbol = topic.rpartition(".")
        board = self._board.of(symbol)
        if kind in self._offer.own:
            return board.snapshot(topic)
        if topic not in self._channels:
            self._channels[topic] = self._offer.made[kind](board)
        channel = self._channels[topic]
        if is_first:
            channel.opens(self._board.now_ms)
            for own in self._offer.own:
                if own.partition(".")[0] in channel.stirred_by:
                    self._stirred.setdefault(f"{own}.{symbol}", {})[channel] = None
            idle_ms = channel.idle_ms(self._board.now_ms)
            if idle_ms is not None:
                self._plan(channel, idle_ms)
        return channel.hello(self._board.now_ms)

    def _close(self, channel: Channel) -> None:
        channel.closes()
        self._due.pop(channel, None)
        for stirred in self._stirred.values():
            stirred.pop(channel, None)

    def _plan(self, channel: Channel, due_ms: int) -> None:
        planned = self._due.get(channel)
        if planned is None or due_ms < planned:
            self._due[channel] = due_ms
            heappush(self._timetable, (due_ms, channel.topic, channel))


class Topics(Protocol):
    """What a session asks of the hub that has its topics."""

    @property
    def mischief(self) -> Mischief:
        """What goes wrong."""
        ...

    @property
    def sessions(self) -> dict[PublicSession, None]:
        """All clients."""
        ...

    @property
    def most_arguments(self) -> int | None:
        """How many topics one request may name; None for any number."""
        ...

    def why_not(self, topic: str) -> str | None:
        """Say why a topic cannot be had, or None."""
        ...

    def add(self, session: PublicSession, topics: Iterable[str]) -> None:
        """Subscribe."""
        ...

    def remove(self, session: PublicSession, topics: Iterable[str]) -> None:
        """Unsubscribe."""
        ...


class PublicSession(Session):
    """One client of a public socket."""

    where: ClassVar[str] = PUBLIC

    def __init__(self, hub: Topics, address: str) -> None:
        super().__init__(None, hub.mischief)
        self.address = address
        self._hub = hub
        self._topics: dict[str, None] = {}

    def hear(self, message: dict[str, Any]) -> None:
        """Answer subscribe, unsubscribe and ping."""
        operation = message.get("op")
        if operation == "ping":
            self._reply(message, success=True, text="pong")
        elif operation in (SUBSCRIBE, "unsubscribe"):
            topics = message.get("args")
            if not isinstance(topics, list) or not topics or not all(isinstance(topic, str) for topic in topics):
                self._reply(message, success=False, text="error:args must be a list of topics")
            elif operation == SUBSCRIBE:
                self._subscribe(message, topics)
            else:
                for topic in topics:
                    self._topics.pop(topic, None)
                self._hub.remove(self, topics)
                self._reply(message, success=True, text="")
        else:
            self._reply(message, success=False, text=f"error:unknown op {operation!r}")

    def malformed(self) -> None:
        """Say that the text is no JSON object."""
        self._reply({}, success=False, text="error:not a JSON object")

    def left(self) -> None:
        """Drop all subscriptions."""
        self._hub.remove(self, self._topics)
        self._hub.sessions.pop(self, None)

    def _subscribe(self, message: dict[str, Any], topics: list[str]) -> None:
        refused = next((why for topic in topics if (why := self._hub.why_not(topic))), None)
        wanted = {**self._topics, **dict.fromkeys(topics)}
        most = self._hub.most_arguments
        if sum(map(len, wanted)) > MOST_ARGUMENT_CHARACTERS:
            refused = f"error:args of one connection exceed {MOST_ARGUMENT_CHARACTERS} characters"
        elif most is not None and len(topics) > most:
            refused = f"error:args of one request exceed {most} topics"
        if refused:
            self._reply(message, success=False, text=refused)
            return
        fault = self._mischief.on_request(self.where, SUBSCRIBE)
        if fault is None or fault.performed is Performed.NOW:
            self._topics = wanted
            self._hub.add(self, topics)  # snapshots leave before the acknowledgement, as the venue does it
        if fault is None:
            self._reply(message, success=True, text="")
        elif isinstance(fault.answer, Coded):
            self._reply(message, success=False, text=fault.answer.message)

    def _reply(self, message: dict[str, Any], *, success: bool, text: str) -> None:
        self.say(
            {
                "success": success,
                "ret_msg": text,
                "conn_id": self.conn_id,
                "req_id": str(message.get("req_id", "")),
                "op": str(message.get("op", "")),
            }
        )
