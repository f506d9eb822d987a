"""The router's write-ahead: one append-only file of framed records, and what to make of a file that a crash left behind.

    file   = magic (8 bytes) frame*
    frame  = marker (2) length (4, little-endian) crc32 (4, of length and payload) payload (MessagePack)

A torn tail (the last frame cut short, garbled or zero-filled: a crash in the middle of a write) is cut off and reported; it was
never acted upon, because `Send` waits for the write. A bad frame with a good one behind it is corruption: the journal refuses to
open rather than forget an order. A lock on the file keeps a second router of the same account out.
"""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from undertow.runtime.disk import Disk, File, LocalDisk
from undertow.trading.records import AnyRecord

MAGIC: Final = b"UNDERJ\x00\x01"
MARKER: Final = b"\xa5\x5a"
_HEADER: Final = struct.Struct("<2sII")
_LENGTH: Final = struct.Struct("<I")
MAX_PAYLOAD: Final = 64 * 1024 * 1024


class JournalError(Exception):
    """The journal cannot be used; says where and what to do."""


class Journal:
    """An open journal, positioned at its end.

    Args:
        path: of the file; its directory is made when missing.
        timer: seconds of the wall.
        disk: on which it is.

    Attributes:
        records: what the file held, in order; drop it once it is folded.
        cut_bytes: length of a torn tail that was cut off.
        sync_seconds: duration of the last flush to the disk, wall time.

    Raises:
        JournalError: it is corrupt, not a journal, or open in another process.
    """

    def __init__(self, path: Path, timer: Callable[[], float] = time.perf_counter, disk: Disk | None = None) -> None:
        self._path = path
        self._timer = timer
        self._disk = disk = disk or LocalDisk()
        self._encode = msgspec.msgpack.Encoder().encode
        self.sync_seconds = 0.0
        disk.make_directory(path.parent)
        try:
            self._lock = disk.lock(path.with_suffix(".lock"))
        except OSError:
            raise JournalError(f"{path} is open in another order_router; only one may trade an account") from None
        try:
            self._file: File = disk.append(path)
            self.records, self.cut_bytes = self._load()
        except BaseException:  # interrupted too: the lock is given free whatever ended the reading
            self._lock.close()
            raise

    def append(self, records: Sequence[AnyRecord], *, durable: bool) -> None:
        """Write records in one go; return when the kernel has them, and, if `durable`, the disk too.

        Raises:
            OSError: the disk refuses; nothing may be sent.
        """
        self._file.write(b"".join(frame(self._encode(record)) for record in records))
        if durable:
            began = self._timer()
            self._file.sync()
            self.sync_seconds = self._timer() - began

    def rewrite(self, records: Sequence[AnyRecord]) -> None:
        """Replace the content by these records; a crash leaves the old or the new file, never half. The old one stays as `.previous`."""
        beside = self._path.with_suffix(".new")
        file = self._disk.create(beside)
        file.write(MAGIC + b"".join(frame(self._encode(record)) for record in records))
        file.sync()
        self._disk.link(self._path, self._path.with_suffix(".previous"))
        self._disk.replace(self._path, beside)
        self._file.close()
        self._file = file

    def close(self) -> None:
        """Flush and let go."""
        self._file.sync()
        self._file.close()
        self._lock.close()

    def _load(self) -> tuple[list[AnyRecord], int]:
        content = self._disk.read(self._path)
        if not content:
            self._file.write(MAGIC)
            self._file.sync()
            return [], 0
        try:
            records, whole = parse(content)
        except JournalError as error:
            raise JournalError(f"{self._path}: {error}") from None
        if whole < len(content):
            self._file.truncate(whole)
            if whole < len(MAGIC):
                self._file.write(MAGIC)
            self._file.sync()
        return records, len(content) - whole


def frame(payload: bytes) -> bytes:
    """Put a payload into its frame."""
    length = _LENGTH.pack(len(payload))
    return _HEADER.pack(MARKER, len(payload), zlib.crc32(payload, zlib.crc32(length))) + payload


def parse(content: bytes) -> tuple[list[AnyRecord], int]:
    """Give the records and the length up to which the content is whole.

    Raises:
        JournalError: not a journal, or corrupt before its tail.
    """
    if content[: len(MAGIC)] != MAGIC:
        if MAGIC.startswith(content):
            return [], 0  # torn at its birth
        raise JournalError(
            "is not a journal of order_router; move it away, or name another in UNDERTOW_ROUTER__JOURNAL"
        )
    decoder = msgspec.msgpack.Decoder(AnyRecord)
    records: list[AnyRecord] = []
    at = len(MAGIC)
    while at < len(content):
        payload = _payload_at(content, at)
        if payload is None:
            _refuse_corruption(content, at)
            break
        try:
            records.append(decoder.decode(payload))
        except msgspec.MsgspecError as error:
            raise JournalError(f"record {len(records) + 1} at byte {at} cannot be read ({error}); {_REMEDY}") from None
        at += _HEADER.size + len(payload)
    return records, at


_REMEDY: Final = (
    "restore it from the .previous file beside it, or move it away with no position and no order open at the venue"
)


def _payload_at(content: bytes, at: int) -> bytes | None:
    if at + _HEADER.size > len(content):
        return None
    marker, length, crc = _HEADER.unpack_from(content, at)
    begin = at + _HEADER.size
    if marker != MARKER or length > MAX_PAYLOAD or begin + length > len(content):
        return None
    payload = content[begin : begin + length]
    return payload if zlib.crc32(payload, zlib.crc32(_LENGTH.pack(length))) == crc else None


def _refuse_corruption(content: bytes, at: int) -> None:
    later = content.find(MARKER, at + 1)
    while later >= 0:
        if _payload_at(content, later) is not None:
            raise JournalError(f"is corrupt at byte {at}, and whole again at byte {later}; {_REMEDY}")
        later = content.find(MARKER, later + 1)
