"""What is in a recording: counts by topic, its span, where it is silent, where the recorder lost its connection, where a book breaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from undertow.markets.notes import Back, End, Head, Lost, Note, decode_note
from undertow.markets.rawlines import TapeError, read_lines

_SECOND_NS: Final = 1_000_000_000


class _Peek(msgspec.Struct):
    topic: str = ""
    stream: str = ""
    type: str = ""
    data: msgspec.Raw = msgspec.Raw(b"null")


class _BookId(msgspec.Struct):
    update_id: int = msgspec.field(name="u", default=0)


_PEEK: Final = msgspec.json.Decoder(_Peek)
_BOOK: Final = msgspec.json.Decoder(_BookId)


@dataclass(slots=True)
class Track:
    """One topic of one symbol, as the venue spells it.

    Attributes:
        silence_ns: the longest time between two of its frames.
        breaks: book frames that do not follow the one before.
    """

    topic: str
    frames: int = 0
    bytes: int = 0
    silence_ns: int = 0
    breaks: int = 0
    last_ns: int = 0
    last_update: int = 0

    def follow(self, kind: str, book: _BookId | None) -> None:
        """Look whether a frame of a book, if it is one, follows the one before."""
        if book is None:
            return
        if kind == "delta" and book.update_id not in (1, self.last_update + 1):
            self.breaks += 1
        self.last_update = book.update_id


@dataclass(frozen=True, slots=True)
class Hole:
    """A stretch without a connection; one that was never mended has `until_ns` None."""

    from_ns: int
    until_ns: int | None
    reason: str


@dataclass(slots=True)
class Survey:
    """What was found in one file or in several that belong together.

    Attributes:
        heads: what the recorder said of itself, one a file; none in files of other recorders.
        is_closed: False when a file of ours has no last line: its recorder was killed, or still runs.
        size: bytes on disk.
        other_lines: notes, acknowledgements, and whatever else has no topic.
    """

    heads: list[Head] = field(default_factory=list)
    is_closed: bool = True
    size: int = 0
    begin_ns: int = 0
    end_ns: int = 0
    other_lines: int = 0
    tracks: dict[str, Track] = field(default_factory=dict)
    holes: list[Hole] = field(default_factory=list)
    silence_ns: int = 0
    silence_at_ns: int = 0

    @property
    def frames(self) -> int:
        """All market frames."""
        return sum(track.frames for track in self.tracks.values())

    @property
    def bytes(self) -> int:
        """All market frames as they came."""
        return sum(track.bytes for track in self.tracks.values())

    @property
    def seconds(self) -> float:
        """From the first frame to the last."""
        return (self.end_ns - self.begin_ns) / _SECOND_NS

    def figures(self) -> dict[str, Any]:
        """Give everything for scripts."""
        return {
            "begin_ns": self.begin_ns,
            "end_ns": self.end_ns,
            "seconds": self.seconds,
            "frames": self.frames,
            "frame_bytes": self.bytes,
            "file_bytes": self.size,
            "closed": self.is_closed,
            "other_lines": self.other_lines,
            "longest_silence_seconds": self.silence_ns / _SECOND_NS,
            "longest_silence_at_ns": self.silence_at_ns,
            "gaps": [{"from_ns": h.from_ns, "until_ns": h.until_ns, "reason": h.reason} for h in self.holes],
            "recorders": [msgspec.to_builtins(head) for head in self.heads],
            "topics": [
                {
                    "topic": track.topic,
                    "frames": track.frames,
                    "bytes": track.bytes,
                    "longest_silence_seconds": track.silence_ns / _SECOND_NS,
                    "book_breaks": track.breaks,
                }
                for track in self.by_name()
            ],
        }

    def by_name(self) -> list[Track]:
        """Give the tracks, sorted."""
        return [self.tracks[name] for name in sorted(self.tracks)]


def survey(paths: Sequence[Path]) -> Survey:
    """Read files from end to end.

    Raises:
        TapeError: one of them cannot be read.
    """
    found = Survey()
    for path in paths:
        _read(path, found)
        found.size += path.stat().st_size
    found.holes.sort(key=lambda hole: hole.from_ns)
    return found


def _read(path: Path, found: Survey) -> None:
    latest_ns, lost, is_ours, is_ended = 0, None, False, False
    for number, received_ns, raw in read_lines(path):
        try:
            note, frame, book = _opened(raw)
        except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
            raise TapeError(path, number, f"is not a JSON object that can be read: {error}") from None
        if topic := frame.topic or frame.stream:
            track = _count(found, topic, received_ns, len(raw))
            track.follow(frame.type, book)
            if latest_ns and received_ns - latest_ns > found.silence_ns:
                found.silence_ns, found.silence_at_ns = received_ns - latest_ns, latest_ns
            latest_ns = received_ns
            continue
        found.other_lines += 1
        match note:
            case Head():
                found.heads.append(note)
                is_ours = True
            case Lost():
                lost = (received_ns, note.reason)
            case Back() if lost:
                found.holes.append(Hole(lost[0], received_ns, lost[1]))
                lost = None
            case End():
                is_ended = True
    if lost:
        found.holes.append(Hole(lost[0], None, lost[1]))
    found.is_closed = found.is_closed and (is_ended or not is_ours)


def _opened(raw: bytes) -> tuple[Note | None, _Peek, _BookId | None]:
    frame = _PEEK.decode(raw)
    return decode_note(raw), frame, _BOOK.decode(frame.data) if frame.topic.startswith("orderbook.") else None


def _count(found: Survey, topic: str, received_ns: int, size: int) -> Track:
    track = found.tracks.get(topic)
    if track is None:
        track = found.tracks[topic] = Track(topic, last_ns=received_ns)
    found.begin_ns = min(found.begin_ns or received_ns, received_ns)
    found.end_ns = max(found.end_ns, received_ns)
    track.frames += 1
    track.bytes += size
    track.silence_ns = max(track.silence_ns, received_ns - track.last_ns)
    track.last_ns = received_ns
    return track
