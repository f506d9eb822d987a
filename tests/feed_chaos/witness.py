"""What happened between the venue and the ingestor, noted by neither of them: what was shown, what arrived, and what follows from both.

The venue's frames of a book topic have places: the first is 1, the second 2, whatever their update ids say; a snapshot for one who joins
has the place of the last frame shown. From the places alone follows what a reader must have lost: this is how the ingestor is judged,
which knows update ids only.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from services.venue.public_socket import PublicHub
from undertow.exchange.bybit import socket

LOST = "lost"
DISCONNECTED = "disconnected"
PERHAPS = "disconnected, if the ingestor lived to see it"
SNAPSHOT = "snapshot"


@dataclass
class Line:
    """One connection: what its owner took from it, in order, and after how many frames it hung up."""

    frames: list[bytes] = field(default_factory=list)
    hung_up_at: int | None = None
    orphans: set[str] = field(default_factory=set)  # symbols whose owner may have died before it


@dataclass
class Verdict:
    """What a faultless ingestor makes of a symbol's frames.

    Attributes:
        gaps: `lost`, `disconnected` or `PERHAPS`, in order.
        applied: of the book: whether a snapshot, update id, sequence.
        dropped: frames that nobody can use, by why.
        liquidated: frames that told of liquidations.
    """

    gaps: list[str] = field(default_factory=list)
    applied: list[tuple[bool, int, int]] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    trades: list[str] = field(default_factory=list)
    liquidations: list[tuple[str, str]] = field(default_factory=list)
    liquidated: set[bytes] = field(default_factory=set)
    others: Counter[str] = field(default_factory=Counter)


def is_told(gaps: Sequence[str], expected: Sequence[str]) -> bool:
    """Say whether exactly these gaps were told, in this order."""
    if not expected:
        return not gaps
    head, *rest = expected
    if head == PERHAPS:
        return is_told(gaps, rest) or is_told(gaps, [DISCONNECTED, *rest])
    return gaps[:1] == [head] and is_told(gaps[1:], rest)


class Witness:
    """Sees one venue and one ingestor.

    Attributes:
        lines: the ingestor's connections, oldest first.
        latest: by book topic: the frame that the venue has shown last.
    """

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.latest: dict[str, bytes] = {}
        self.is_closed = False
        self._places: dict[str, dict[bytes, int]] = {}
        self._shown: Counter[str] = Counter()
        self._states: dict[str, tuple[int, int]] = {}

    def watch(self, hub: PublicHub) -> None:
        """Note what the hub shows, before any fault has touched it."""
        broadcast, joined = hub.broadcast, hub._joined

        def noted(topic: str, raw: bytes) -> None:
            if topic.startswith("orderbook."):
                self._on_shown(topic, raw)
            broadcast(topic, raw)

        def greeted(topic: str, *, is_first: bool) -> bytes | None:
            snapshot = joined(topic, is_first=is_first)
            if snapshot is not None and topic.startswith("orderbook."):
                self._places.setdefault(topic, {})[snapshot] = self._shown[topic]
                self._states[topic] = _state(snapshot)
            return snapshot

        hub.broadcast = noted
        hub._joined = greeted

    def _on_shown(self, topic: str, raw: bytes) -> None:
        state = _state(raw)
        if state != self._states.get(topic):  # else a book begun anew at once again: who misses it misses nothing
            self._shown[topic] += 1
        self._states[topic] = state
        self._places.setdefault(topic, {})[raw] = self._shown[topic]
        self.latest[topic] = raw

    def orphan(self, first: int, counted: Mapping[str, int]) -> None:
        """The ingestor has died: nobody can tell of what its connections lose, nor of what it has taken and not looked at.

        Args:
            first: its first line.
            counted: by symbol: frames that it has looked at.
        """
        left = Counter(counted)
        last: dict[str, Line] = {}
        for line in self.lines[first:]:
            looked_at = []
            for raw in line.frames:
                symbol = json.loads(raw)["topic"].rpartition(".")[2]
                left[symbol] -= 1
                if left[symbol] >= 0:
                    looked_at.append(raw)
                    last[symbol] = line
            line.frames = looked_at
        for symbol, line in last.items():
            line.orphans.add(symbol)

    @property
    def received(self) -> int:
        """How many market frames were taken from all connections."""
        return sum(len(line.frames) for line in self.lines)

    def verdict(self, symbol: str, topic: str) -> Verdict:
        """Judge one symbol; `topic` is that of its book."""
        verdict = Verdict()
        for line in self.lines:
            self._judge(verdict, line, symbol, topic)
        return verdict

    def _judge(self, verdict: Verdict, line: Line, symbol: str, book: str) -> None:
        at: int | None = None
        hang_up = PERHAPS if symbol in line.orphans else DISCONNECTED
        for number, (frame, raw) in enumerate(_decoded(line)):
            if (
                number == line.hung_up_at and at is not None
            ):  # whoever hangs up knows what comes of it before the last frames are there
                at = None
                verdict.gaps.append(hang_up)
            if not frame["topic"].endswith(f".{symbol}"):
                continue
            data = frame["data"]
            match frame["topic"].partition(".")[0]:
                case "orderbook":
                    place, is_snapshot = self._places[book][raw], frame["type"] == SNAPSHOT
                    if is_snapshot or (at is not None and place == at + 1):
                        at = place
                        verdict.applied.append((is_snapshot, data["u"], data["seq"]))
                    elif at is None:
                        verdict.dropped["before a snapshot"] += 1
                    elif place <= at:
                        verdict.dropped["old"] += 1
                    else:
                        at = None
                        verdict.gaps.append(LOST)
                        verdict.dropped[LOST] += 1
                case "publicTrade":
                    new = [each["i"] for each in data if each["i"] not in verdict.trades]
                    verdict.trades += new
                    verdict.dropped["told before"] += not new
                case "allLiquidation":
                    if raw in verdict.liquidated:
                        verdict.dropped["told before"] += 1
                    else:
                        verdict.liquidated.add(raw)
                        verdict.liquidations += [(each["p"], each["v"]) for each in data]
                case "kline":
                    verdict.others["kline"] += len(data)
                case other:
                    verdict.others[other] += 1
        if at is not None and line.hung_up_at is not None:
            verdict.gaps.append(hang_up)


def _state(raw: bytes) -> tuple[int, int]:
    data = json.loads(raw)["data"]
    return data["u"], data["seq"]


def _decoded(line: Line) -> Iterator[tuple[dict[str, Any], bytes]]:
    for raw in line.frames:
        yield json.loads(raw), raw


WITNESS: ContextVar[Witness] = ContextVar("WITNESS")


class WitnessedConnection(socket.Connection):
    """The fleet's end of a socket, which tells the witness of this context what was taken from it."""

    def __init__(self, *args: Any, **how: Any) -> None:
        super().__init__(*args, **how)
        self._witness, self._line = WITNESS.get(), Line()
        self._witness.lines.append(self._line)

    async def recv(self, *args: Any, **how: Any) -> Any:
        raw = await super().recv(*args, **how)
        if b'"topic"' in raw and not self._witness.is_closed:
            self._line.frames.append(raw)
        return raw

    async def close(self, *args: Any, **how: Any) -> None:
        if not self._witness.is_closed and self._line.hung_up_at is None:
            self._line.hung_up_at = len(self._line.frames)
        await super().close(*args, **how)
