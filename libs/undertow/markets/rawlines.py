"""Files of lines `<receive ns> <raw json>`, plain, gzipped or in zstd blocks, as recorders write them."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import zstandard

from undertow.markets.blocks import open_lines
from undertow.markets.notes import START

_REMEDY: Final = "record it again or give another file"
_MOST_DIGITS: Final = 19  # until the year 2286
_LONGEST_LINE: Final = 2**22
_SUFFIXES: Final = (".gz", ".zst", ".rawlines", ".jsonl", ".txt")


class TapeError(ValueError):
    """A tape that cannot be replayed.

    Attributes:
        path: the file.
        line: number of the line, from 1; 0 when the file as a whole is meant.
        rule: what it breaks.
        remedy: what to do.
    """

    def __init__(self, path: Path, line: int, rule: str, remedy: str = _REMEDY) -> None:
        where = f"{path}, line {line}" if line else f"{path}"
        super().__init__(f"{where}: {rule}; {remedy}")
        self.path = path
        self.line = line
        self.rule = rule
        self.remedy = remedy


def read_lines(path: Path) -> Iterator[tuple[int, int, bytes]]:
    """Yield number, receive time and JSON of each line that is not empty, by ascending receive time.

    A recording of our own that was never closed, or still grows, ends with its last whole line; any other file must be whole.

    Raises:
        TapeError: the file cannot be read, or a line breaks a rule that the text names.
    """
    number = latest_ns = 0
    is_ours = False
    try:
        file, blocks = open_lines(path)
        with file:
            for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE + 1), b""), start=1):
                if not line.strip() or (is_ours and not line.endswith(b"\n")):
                    continue
                received_ns, raw = _parted(path, number, line)
                if received_ns < latest_ns:
                    raise TapeError(path, number, f"receive time {received_ns} is before {latest_ns} of the line above")
                latest_ns = received_ns
                is_ours = is_ours or (number == 1 and raw.startswith(START))
                yield number, received_ns, raw
            if blocks is not None and blocks.is_cut and not is_ours:
                raise TapeError(path, number + 1, "the zstd stream is cut short")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise TapeError(path, number + 1, f"the gzip stream is damaged or cut short ({error})") from error
    except zstandard.ZstdError as error:
        raise TapeError(path, number + 1, f"the zstd stream is damaged ({error})") from error
    except OSError as error:
        raise TapeError(path, 0, f"cannot be read ({error.strerror})", "check the path") from error


def first_ns(path: Path) -> int:
    """Give the receive time of the first line; 0 when there is none.

    Raises:
        TapeError: as `read_lines`.
    """
    return next((received_ns for _, received_ns, _ in read_lines(path)), 0)


def stem(path: Path) -> str:
    """Give the file's name without the suffixes of a recording."""
    name = path.name
    while (suffix := Path(name).suffix) in _SUFFIXES:
        name = name.removesuffix(suffix)
    return name


def _parted(path: Path, number: int, line: bytes) -> tuple[int, bytes]:
    if len(line) > _LONGEST_LINE:
        raise TapeError(path, number, f"is longer than {_LONGEST_LINE} bytes")
    stamp, _, raw = line.rstrip(b"\r\n").partition(b" ")
    if not stamp.isdigit() or not raw:
        raise TapeError(path, number, "is not `<receive ns> <json>`")
    if len(stamp) > _MOST_DIGITS:
        raise TapeError(path, number, f"receive time {stamp.decode()[:40]} is not in nanoseconds")
    return int(stamp), raw
