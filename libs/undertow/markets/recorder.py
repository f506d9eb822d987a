"""What a recorder writes where: frames into parts, each of which plays by itself. Pure.

A part begins with a `Head` and the contracts, and every book and ticker in it begins with a snapshot. So at a change of parts the recorder
asks for each of them anew; until its snapshot comes, what is left of the topic still belongs to the part before, everything else to the
new one. No frame is recorded twice or left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from undertow.markets.notes import Answer, Back, End, Head, Lost, Note, encode_note

DEFAULT_TOPICS: Final = ("orderbook.200", "publicTrade", "tickers", "kline.1", "allLiquidation")
"""What the fleet trades on."""
ASK_AGAIN_NS: Final = 10_000_000_000
_WITH_SNAPSHOTS: Final = ("orderbook.", "tickers.")


class _Peek(msgspec.Struct):
    topic: str = ""
    type: str = ""


@dataclass(slots=True)
class Part:
    """One file.

    Attributes:
        name: of the file.
        lines: that are not on disk yet.
        is_done: nothing will follow these lines.
    """

    name: str
    lines: list[bytes] = field(default_factory=list)
    is_done: bool = False


class Recorder:
    """Sorts frames into parts.

    Args:
        head: what each part says of itself; where it continues another it says so too.

    Attributes:
        frames: recorded so far.
        garbled: frames that are no JSON object, left out: nobody could play them.
        lost: connections lost so far.
    """

    def __init__(self, head: Head) -> None:
        self.frames = 0
        self.garbled = 0
        self.lost = 0
        self._head = head
        self._parts: list[Part] = []
        self._awaited: set[str] = set()
        self._asked_ns = 0
        self._latest_ns = 0
        self._lost_ns: int | None = None
        self._peek = msgspec.json.Decoder(_Peek)

    @property
    def is_changing(self) -> bool:
        """Whether a part has begun and the one before still waits for the snapshots of some topics."""
        return bool(self._awaited)

    def begin(self, name: str, answers: Sequence[Answer], now_ns: int) -> list[str]:
        """Begin a part, not while parts are changing; give the topics to subscribe again, none for the first part."""
        before = self._parts[-1].name if self._parts else ""
        self._parts.append(Part(name))
        self._note(msgspec.structs.replace(self._head, continues=before), now_ns)
        for answer in answers:
            self._note(answer, now_ns)
        is_fresh = not before or self._lost_ns is not None  # a new connection begins with snapshots
        topics = [] if is_fresh else [topic for topic in self._head.topics if topic.startswith(_WITH_SNAPSHOTS)]
        if not topics:
            self._close_old()
        self._awaited = set(topics)
        return self._ask(now_ns)

    def on_frames(self, frames: Iterable[tuple[bytes, int]]) -> None:
        """Take market frames with the times of their receipt."""
        for raw, received_ns in frames:
            try:
                frame = self._peek.decode(raw)
            except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
                self.garbled += 1
                continue
            part = self._part_of(frame) if self._awaited else self._parts[-1]
            line = raw.replace(b"\n", b" ")  # between two tokens, for no JSON text has one within
            part.lines.append(b"%d %s\n" % (self._stamp(received_ns), line))
            self.frames += 1

    def on_connected(self, now_ns: int) -> None:
        """Note the end of a gap."""
        if self._lost_ns is not None:
            self._note(Back(after_ns=max(0, now_ns - self._lost_ns)), now_ns)
            self._lost_ns = None

    def on_disconnected(self, reason: str, now_ns: int) -> None:
        """Note the beginning of a gap, once."""
        if self._lost_ns is not None or not self.frames:
            return
        self._close_old()
        self._note(Lost(reason=reason), now_ns)
        self._lost_ns = now_ns
        self.lost += 1

    def on_time(self, now_ns: int) -> list[str]:
        """Give the topics to ask for once more."""
        return self._ask(now_ns) if self._awaited and now_ns - self._asked_ns >= ASK_AGAIN_NS else []

    def end(self, reason: str, now_ns: int) -> None:
        """Write the last line of each part."""
        self._close_old()
        self._note(End(reason=reason), now_ns)
        self._parts[-1].is_done = True

    def take(self) -> list[Part]:
        """Give what is not on disk yet, part by part; a part that is done is given for the last time."""
        given = [Part(part.name, part.lines, part.is_done) for part in self._parts if part.lines]
        for part in self._parts:
            part.lines = []
        self._parts = [part for part in self._parts if not part.is_done or part is self._parts[-1]]
        return given

    def _part_of(self, frame: _Peek) -> Part:
        if frame.topic not in self._awaited:
            return self._parts[-1]
        if frame.type != "snapshot":
            return self._parts[-2]
        self._awaited.remove(frame.topic)
        if not self._awaited:
            self._close_old()
        return self._parts[-1]

    def _close_old(self) -> None:
        self._awaited.clear()
        for part in self._parts[:-1]:
            if not part.is_done:
                line = encode_note(End(reason="continued", continued=self._parts[-1].name))
                part.lines.append(b"%d %s\n" % (self._latest_ns, line))
                part.is_done = True

    def _ask(self, now_ns: int) -> list[str]:
        self._asked_ns = now_ns
        return sorted(self._awaited)

    def _note(self, note: Note, now_ns: int) -> None:
        self._parts[-1].lines.append(b"%d %s\n" % (self._stamp(now_ns), encode_note(note)))

    def _stamp(self, at_ns: int) -> int:
        self._latest_ns = max(self._latest_ns, at_ns)  # the wall clock may be set back, a recording is not
        return self._latest_ns
