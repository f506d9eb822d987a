"""The router's write-ahead: one append-only file of framed records, and what to make of a file that a crash left behind.

    file   = magic (8 bytes) frame*
    frame  = marker (2) length (4, little-endian) crc32 (4, of length and payload) payload (MessagePack)

A torn tail (the last frame cut short, garbled or zero-filled: a crash in the middle of a write) is cut off and reported; it was
never acted upon, because `Send` waits for the write. A bad frame with a good one behind it is corruption: the journal refuses to
open rather than forget an order. A lock on the file keeps a second router of the same account out.
"""

from __future__ import annotations

import fcntl
import os
import struct
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

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

    Attributes:
        records: what the file held, in order; drop it once it is folded.
        cut_bytes: length of a torn tail that was cut off.
        sync_seconds: duration of the last flush to the disk, wall time.

    Raises:
        JournalError: it is corrupt, not a journal, or open in another process.
    """

    def __init__(self, path: Path, timer: Callable[[], float] = time.perf_counter) -> None:
        self._path = path
        self._timer = timer
        self._encode = msgspec.msgpack.Encoder().encode
        self.sync_seconds = 0.0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise JournalError(f"{path} is open in another order_router; only one may trade an account") from None
        try:
            self._file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_APPEND, 0o600)
            self.records, self.cut_bytes = self._load()
        except BaseException:  # interrupted too: the lock is given free whatever ended the reading
            os.close(self._lock)
            raise

    def append(self, records: Sequence[AnyRecord], *, durable: bool) -> None:
        """Write records in one go; return when the kernel has them, and, if `durable`, the disk too.

        Raises:
            OSError: the disk refuses; nothing may be sent.
        """
        self._write(self._file, b"".join(frame(self._encode(record)) for record in records))
        if durable:
            began = self._timer()
            os.fdatasync(self._file)
            self.sync_seconds = self._timer() - began

    def rewrite(self, records: Sequence[AnyRecord]) -> None:
        """Replace the content by these records; a crash leaves the old or the new file, never half. The old one stays as `.previous`."""
        beside = self._path.with_suffix(".new")
        file = os.open(beside, os.O_CREAT | os.O_RDWR | os.O_TRUNC | os.O_APPEND, 0o600)
        self._write(file, MAGIC + b"".join(frame(self._encode(record)) for record in records))
        os.fsync(file)
        previous = self._path.with_suffix(".previous")
        previous.unlink(missing_ok=True)
        os.link(self._path, previous)
        beside.replace(self._path)
        directory = os.open(self._path.parent, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)
        os.close(self._file)
        self._file = file

    def close(self) -> None:
        """Flush and let go."""
        os.fsync(self._file)
        os.close(self._file)
        os.close(self._lock)

    def _load(self) -> tuple[list[AnyRecord], int]:
        content = self._path.read_bytes()
        if not content:
            self._write(self._file, MAGIC)
            os.fsync(self._file)
            return [], 0
        try:
            records, whole = parse(content)
        except JournalError as error:
            raise JournalError(f"{self._path}: {error}") from None
        if whole < len(content):
            os.ftruncate(self._file, whole)
            if whole < len(MAGIC):
                self._write(self._file, MAGIC)
            os.fsync(self._file)
        return records, len(content) - whole

    @staticmethod
    def _write(file: int, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(file, view) :]


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
