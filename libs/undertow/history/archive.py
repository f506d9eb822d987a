"""An archive file as lines, whatever it is packed in, and what is said when one of its lines makes no sense."""

from __future__ import annotations

import contextlib
import csv
import gzip
import hashlib
import io
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import BinaryIO, Final, TypeVar, cast

SECOND_NS: Final = 1_000_000_000
_GZIP: Final = b"\x1f\x8b"
_ZIP: Final = b"PK\x03\x04"
_PLAIN: Final = re.compile(r"\d{1,18}(\.\d{1,18})?", re.ASCII)
_SECONDS: Final = re.compile(r"(\d{9,10})(?:\.(\d{1,9}))?", re.ASCII)
_WHOLE: Final = re.compile(r"\d{1,18}", re.ASCII)
_SYMBOL: Final = re.compile(r"[A-Z0-9]{2,30}", re.ASCII)
_LONGEST_LINE: Final = 1 << 22
_BLOCK: Final = 1 << 16

T = TypeVar("T")


class ArchiveError(ValueError):
    """An archive that cannot be imported; nothing of it is.

    Attributes:
        path: the file.
        row: number of the line, from 1; 0 when the file as a whole is meant.
        rule: what it breaks.
        remedy: what to do.
    """

    def __init__(self, path: Path, row: int, rule: str, remedy: str = "download it again") -> None:
        where = f"{path}, line {row}" if row else f"{path}"
        super().__init__(f"{where}: {rule}; {remedy}")
        self.path = path
        self.row = row
        self.rule = rule
        self.remedy = remedy


class Archive:
    """One file, open for reading from its beginning to its end.

    Attributes:
        path: the file.
        row: number of the line that was read last.
    """

    def __init__(self, path: Path, raw: BinaryIO, lines: BinaryIO) -> None:
        self.path = path
        self.row = 0
        self._raw = raw
        self._lines = lines

    @property
    def position(self) -> int:
        """Bytes of the file that were read so far."""
        return self._raw.tell()

    def lines(self) -> Iterator[bytes]:
        """Yield the lines that are not empty."""
        for line in iter(lambda: self._lines.readline(_LONGEST_LINE + 1), b""):
            self.row += 1
            if len(line) > _LONGEST_LINE:
                raise self.fault(f"is longer than {_LONGEST_LINE} bytes")
            if line.strip():
                yield line

    def rewind(self) -> None:
        """Begin anew with the first line."""
        self._lines.seek(0)
        self.row = 0

    def backwards(self) -> Iterator[bytes]:
        """Yield all lines below the first, the last one first; unpacked, they lie in a temporary file meanwhile."""
        self.rewind()
        self._lines.readline()
        with tempfile.TemporaryFile() as spool:
            shutil.copyfileobj(self._lines, spool)
            for self.row, line in _turned(spool):
                if line.strip():
                    yield line

    def header(self) -> tuple[str, ...]:
        """Give the names of the columns of a table."""
        return tuple(next(_parted(self.lines()), ()))

    def require(self, header: Sequence[str], wanted: Sequence[str]) -> None:
        """Check that a table has these columns."""
        missing = [name for name in wanted if name not in header]
        if missing:
            there = ", ".join(header) or "none"
            raise self.fault(f"has no column {', '.join(missing)}; it has {there}", "check which source it is of")

    def cells(
        self, header: Sequence[str], wanted: Sequence[str], lines: Iterator[bytes] | None = None
    ) -> Iterator[tuple[str, ...]]:
        """Yield the wanted columns of each row: of those below the header, or of the given ones."""
        self.require(header, wanted)
        places = [header.index(name) for name in wanted]
        width = len(header)
        for row in _parted(self.lines() if lines is None else lines):
            if len(row) != width:
                raise self.fault(f"has {len(row)} columns, the header {width}")
            yield tuple([row[place] for place in places])

    def fault(self, rule: str, remedy: str = "download it again") -> ArchiveError:
        """Make the error of the line that was read last."""
        return ArchiveError(self.path, self.row, rule, remedy)

    def number(self, name: str, text: str, *, above_zero: bool = False) -> str:
        """Check a price or a size, which stays the archive's own text where that is plain decimal."""
        if _PLAIN.fullmatch(text) is None:
            text = self._plain(name, text)
        if above_zero and not text.strip("0."):
            raise self.fault(f"{name} {text} is not above 0")
        return text

    def whole(self, name: str, text: str) -> int:
        """Read a whole number."""
        if _WHOLE.fullmatch(text) is None:
            raise self.fault(f"{name} {text[:40]!r} is not a whole number")
        return int(text)

    def seconds_ns(self, name: str, text: str) -> int:
        """Read a time in seconds since 1970, with a fraction."""
        found = _SECONDS.fullmatch(text)
        if found is None:
            raise self.fault(f"{name} {text[:40]!r} is not a time in seconds since 1970")
        return int(found[1]) * SECOND_NS + int((found[2] or "").ljust(9, "0"))

    def choice(self, name: str, text: str, meanings: Mapping[str, T]) -> T:
        """Read one of several words."""
        if text not in meanings:
            raise self.fault(f"{name} {text[:40]!r} is none of {', '.join(meanings)}")
        return meanings[text]

    def symbol(self, text: str) -> str:
        """Check a contract's name."""
        if _SYMBOL.fullmatch(text) is None:
            raise self.fault(f"{text[:40]!r} is not a symbol")
        return text

    def _plain(self, name: str, text: str) -> str:
        try:
            number = Decimal(text)
        except InvalidOperation:
            number = Decimal("NaN")
        if not number.is_finite() or number < 0:
            raise self.fault(f"{name} {text[:40]!r} is not a price or size")
        return f"{number:f}"


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """Open a file that is plain, gzipped, or alone in a zip archive; told by its first bytes.

    Raises:
        ArchiveError: it cannot be read, is damaged, or whoever reads it finds a line that makes no sense.
    """
    archive: Archive | None = None
    try:
        with contextlib.ExitStack() as stack:
            archive = _archive(path, stack)
            yield archive
    except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile, csv.Error) as error:
        raise ArchiveError(path, archive.row if archive else 0, f"is damaged or cut short ({error})") from None
    except UnicodeDecodeError:
        raise ArchiveError(path, archive.row if archive else 0, "is not text") from None


def digest(path: Path) -> str:
    """Give what tells a file from any other, whatever its name.

    Raises:
        ArchiveError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError as error:
        raise ArchiveError(path, 0, f"cannot be read ({error.strerror})", "check the path") from None


def _parted(lines: Iterator[bytes]) -> Iterator[list[str]]:
    # nobody's archives have quotes; heeding one that damage has made would join the lines after it to one field
    return csv.reader((line.decode() for line in lines), quoting=csv.QUOTE_NONE)


def _turned(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield number, from 2, and text of each line, the last one first."""
    number, end = 2, file.tell()
    file.seek(0)
    for block in iter(lambda: file.read(_BLOCK), b""):
        number += block.count(b"\n")
    rest = b""
    while end:
        begin = max(0, end - _BLOCK)
        file.seek(begin)
        rest, *lines = (file.read(end - begin) + rest).split(b"\n")
        for line in reversed(lines):
            yield number, line
            number -= 1
        end = begin
    yield number, rest


def _archive(path: Path, stack: contextlib.ExitStack) -> Archive:
    try:
        raw = stack.enter_context(path.open("rb"))
        return Archive(path, raw, _unpacked(path, raw, stack))
    except gzip.BadGzipFile:
        raise
    except OSError as error:  # what comes later need not be the archive's: whoever reads it may write meanwhile
        raise ArchiveError(path, 0, f"cannot be read ({error.strerror or error})", "check the path") from None
    except (NotImplementedError, RuntimeError) as error:  # of a zip: its version, its method, a password
        raise ArchiveError(path, 0, f"cannot be unpacked ({error})", "unpack it, and import the file") from None


def _unpacked(path: Path, raw: BinaryIO, stack: contextlib.ExitStack) -> BinaryIO:
    start = raw.read(len(_ZIP))
    raw.seek(0)
    if start.startswith(_GZIP):
        return cast("BinaryIO", stack.enter_context(gzip.GzipFile(fileobj=raw)))
    if start != _ZIP:
        return raw
    members = stack.enter_context(zipfile.ZipFile(raw))
    names = [each.filename for each in members.infolist() if not each.is_dir()]
    if len(names) != 1:
        raise ArchiveError(path, 0, f"holds {len(names)} files, not one", "unpack it, and import the files")
    return io.BufferedReader(cast("io.RawIOBase", stack.enter_context(members.open(names[0]))), buffer_size=1 << 16)
