"""The public socket: who wants which topic, and the market's frames to them, byte for byte."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Any, ClassVar, Final, Protocol

from services.venue.board import Board
from services.venue.faults.catalogue import EVENT, PUBLIC
from services.venue.mischief import Mischief
from services.venue.session import Session

MOST_ARGUMENT_CHARACTERS: Final = 21_000
OFFERED_INTERVAL: Final = "1"


class PublicHub:
    """All public subscriptions.

    Args:
        board: what the market has shown, for those who join in the middle.
        book_depth: the one depth that this market has.
        mischief: what goes wrong.
    """

    def __init__(self, board: Board, book_depth: int, mischief: Mischief) -> None:
        self.mischief = mischief
        self._board = board
        self._depth = book_depth
        self._subscribers: dict[str, dict[PublicSession, None]] = {}
        self.sessions: dict[PublicSession, None] = {}
        self._kinds = (
            f"orderbook.{book_depth}",
            "publicTrade",
            "tickers",
            f"kline.{OFFERED_INTERVAL}",
            "allLiquidation",
        )

    def broadcast(self, topic: str, raw: bytes) -> None:
        """Send one frame to everybody who wants its topic."""
        subscribers = self._subscribers.get(topic, ())
        if self.mischief.lets_frames_be:
            for session in subscribers:
                session.send(raw)
        elif subscribers and not self.mischief.loses(topic, raw):
            for session in subscribers:
                session.pass_on(topic, raw, EVENT)

    def books(self, pattern: str) -> Iterator[tuple[str, bytes]]:
        """Yield the book topics that match and their snapshots, where there is a book."""
        for symbol in self._board.symbols:
            topic = f"orderbook.{self._depth}.{symbol}"
            snapshot = self._board.of(symbol).snapshot(topic, self._depth) if fnmatchcase(topic, pattern) else None
            if snapshot is not None:
                yield topic, snapshot

    def why_not(self, topic: str) -> str | None:
        """Say why a topic cannot be had, or None."""
        kind, _, symbol = topic.rpartition(".")
        if kind not in self._kinds:
            return f"error:handler not found,topic:{topic} (this market offers {', '.join(self._kinds)})"
        if symbol not in self._board:
            return f"error:handler not found,topic:{topic} (this market has {', '.join(self._board.symbols)})"
        return None

    def add(self, session: PublicSession, topics: Iterable[str]) -> None:
        """Subscribe; whoever joins in the middle starts with a snapshot."""
        for topic in topics:
            subscribers = self._subscribers.setdefault(topic, {})
            if session in subscribers:
                continue
            subscribers[session] = None
            snapshot = self._board.of(topic.rpartition(".")[2]).snapshot(topic, self._depth)
            if snapshot is not None:
                session.pass_on(topic, snapshot, EVENT)

    def remove(self, session: PublicSession, topics: Iterable[str]) -> None:
        """Unsubscribe."""
        for topic in topics:
            self._subscribers.get(topic, {}).pop(session, None)

    def join(self, _address: str) -> PublicSession:
        """Open a session; it matters to nobody from where."""
        session = PublicSession(self)
        self.sessions[session] = None
        return session


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
    """One client of the public socket."""

    where: ClassVar[str] = PUBLIC

    def __init__(self, hub: Topics) -> None:
        super().__init__(None, hub.mischief)
        self._hub = hub
        self._topics: dict[str, None] = {}

    def hear(self, message: dict[str, Any]) -> None:
        """Answer subscribe, unsubscribe and ping."""
        operation = message.get("op")
        if operation == "ping":
            self._reply(message, success=True, text="pong")
        elif operation in ("subscribe", "unsubscribe"):
            topics = message.get("args")
            if not isinstance(topics, list) or not topics or not all(isinstance(topic, str) for topic in topics):
                self._reply(message, success=False, text="error:args must be a list of topics")
            elif operation == "subscribe":
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
        if sum(map(len, wanted)) > MOST_ARGUMENT_CHARACTERS:
            refused = f"error:args of one connection exceed {MOST_ARGUMENT_CHARACTERS} characters"
        if refused:
            self._reply(message, success=False, text=refused)
            return
        self._topics = wanted
        self._hub.add(self, topics)  # snapshots leave before the acknowledgement, as the venue does it
        self._reply(message, success=True, text="")

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
