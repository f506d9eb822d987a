"""Files of lines `<receive ns> <raw json>`, plain or gzipped, as recorders write them."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_REMEDY: Final = "record it again or give another file"
_MOST_DIGITS: Final = 19  # until the year 2286
_LONGEST_LINE: Final = 2**22
_SUFFIXES: Final = (".gz", ".rawlines", ".jsonl", ".txt")


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

    Raises:
        TapeError: the file cannot be read, or a line breaks a rule that the text names.
    """
    number = latest_ns = 0
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE + 1), b""), start=1):
                if len(line) > _LONGEST_LINE:
                    raise TapeError(path, number, f"is longer than {_LONGEST_LINE} bytes")
                if not line.strip():
                    continue
                stamp, _, raw = line.rstrip(b"\r\n").partition(b" ")
                if not stamp.isdigit() or not raw:
                    raise TapeError(path, number, "is not `<receive ns> <json>`")
                if len(stamp) > _MOST_DIGITS:
                    raise TapeError(path, number, f"receive time {stamp.decode()[:40]} is not in nanoseconds")
                received_ns = int(stamp)
                if received_ns < latest_ns:
                    raise TapeError(path, number, f"receive time {received_ns} is before {latest_ns} of the line above")
                latest_ns = received_ns
                yield number, received_ns, raw
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise TapeError(path, number + 1, f"the gzip stream is damaged or cut short ({error})") from error
    except OSError as error:
        raise TapeError(path, 0, f"cannot be read ({error.strerror})", "check the path") from error


def stem(path: Path) -> str:
    """Give the file's name without the suffixes of a recording."""
    name = path.name
    while (suffix := Path(name).suffix) in _SUFFIXES:
        name = name.removesuffix(suffix)
    return name
