"""Recordings as the operator meets them: what `undertow record` and `undertow replay` take, and what they show."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import re
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console, RenderableType
from rich.table import Table

from services.cli.exits import CommandError, ExitCode
from services.cli.record import Recording, RecordOptions, RecordSettings
from undertow.domain.state import Mode
from undertow.markets.rawlines import TapeError, read_lines
from undertow.markets.recordings import files_of
from undertow.markets.survey import Survey, survey
from undertow.runtime.clock import SECOND_NS
from undertow.runtime.errors import ConfigurationError
from undertow.runtime.settings import PREFIX, load

_TAPE: Final = f"{PREFIX}PAPER__TAPE"


def options(
    out: Path,
    topics: str,
    seconds: float | None,
    sync_seconds: float,
    rotate_hours: float | None,
    rotate_mb: float | None,
) -> RecordOptions:
    """Check what was asked for.

    Raises:
        CommandError: a number or a topic makes no sense, or the file is there already.
    """
    numbers = {
        "--for": seconds,
        "--sync-seconds": sync_seconds,
        "--rotate-hours": rotate_hours,
        "--rotate-mb": rotate_mb,
    }
    for name, value in numbers.items():
        if value is not None and not 0 < value < math.inf:
            raise _bad(f"{name} {value:g}: must be a number above 0")
    kinds = tuple(kind for kind in re.split(r"[\s,]+", topics) if kind)
    if not kinds or len(set(kinds)) != len(kinds):
        raise _bad(f"--topics {topics!r}: must name some, each once, such as publicTrade,allLiquidation")
    asked = RecordOptions(
        out=out,
        kinds=kinds,
        seconds=seconds,
        sync_seconds=sync_seconds,
        rotate_hours=rotate_hours,
        rotate_mb=rotate_mb,
    )
    if not out.parent.is_dir():
        raise _bad(f"--out {out}: there is no folder {out.parent}; make it, or name another")
    if out.exists() and not asked.rotates:
        raise CommandError(ExitCode.ERROR, f"{out} is there already; name another file, or remove it")
    return asked


def record(asked: RecordOptions, symbols: str, screen: Console) -> dict[str, Any]:
    """Record; give the figures.

    Raises:
        CommandError: it could not be done.
        ConfigurationError: a setting is wrong.
    """
    if symbols:
        os.environ[f"{PREFIX}SYMBOLS"] = symbols
    settings = load(RecordSettings)
    return asyncio.run(Recording(asked, settings, screen).run())


def found(file: Path) -> list[Path]:
    """Give the files that are meant.

    Raises:
        CommandError: there are none.
    """
    try:
        paths = files_of(file)
    except TapeError as error:
        raise CommandError(ExitCode.NOT_FOUND, str(error)) from None
    missing = next((path for path in paths if not path.is_file()), None)
    if missing is not None:
        raise CommandError(ExitCode.NOT_FOUND, f"there is no file {missing}; check the path")
    return paths


@contextlib.contextmanager
def as_tape() -> Iterator[None]:
    """Say what is wrong with a recording as such: it is no setting of the person's.

    Raises:
        CommandError: the recording cannot be played, or there is no paper venue to play it.
    """
    mode = os.environ.get(f"{PREFIX}MODE", Mode.PAPER)
    if mode != Mode.PAPER:
        raise _bad(f"a recording is played in paper mode, but {PREFIX}MODE is {mode}; unset it")
    try:
        yield
    except ConfigurationError as error:
        if error.variable == _TAPE:
            raise CommandError(ExitCode.ERROR, f"{error.rule}; {error.remedy}") from None
        raise


def surveyed(paths: Sequence[Path]) -> Survey:
    """Read recordings from end to end.

    Raises:
        CommandError: one of them is damaged or no recording.
    """
    try:
        seen = survey(paths)
    except TapeError as error:
        raise CommandError(ExitCode.ERROR, str(error)) from None
    if not seen.frames:
        raise CommandError(ExitCode.ERROR, f"{paths[0]} holds no market frame; give a recording")
    return seen


def print_lines(paths: Sequence[Path], seconds: float | None) -> None:
    """Write the lines to stdout, one file after the other.

    Args:
        paths: the files.
        seconds: of recorded time, from the first line of each file; None for all.

    Raises:
        CommandError: one of them is damaged or no recording.
    """
    out = sys.stdout.buffer
    try:
        for path in paths:
            begin_ns = None
            for _, received_ns, raw in read_lines(path):
                begin_ns = received_ns if begin_ns is None else begin_ns
                if seconds is not None and received_ns - begin_ns > seconds * SECOND_NS:
                    break
                out.write(b"%d %s\n" % (received_ns, raw))
        out.flush()
    except TapeError as error:
        out.flush()
        raise CommandError(ExitCode.ERROR, str(error)) from None
    except BrokenPipeError:  # whoever reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def tables(seen: Survey) -> list[RenderableType]:
    """Show what was found."""
    summary = Table(show_header=False, title="recording")
    rows = {
        "from": _moment(seen.begin_ns),
        "to": _moment(seen.end_ns),
        "seconds": f"{seen.seconds:,.1f}",
        "frames": f"{seen.frames:,}",
        "on disk": f"{seen.size:,} bytes, {seen.size / seen.frames:,.1f} a frame of {seen.bytes / seen.frames:,.0f}",
        "longest silence": f"{seen.silence_ns / SECOND_NS:,.3f} s at {_moment(seen.silence_at_ns)}",
        "closed": "yes" if seen.is_closed else "no: its recorder was killed, or still runs",
    }
    if seen.heads:
        rows["recorded from"] = (
            f"{seen.heads[0].source} ({seen.heads[0].mode}, times of the {seen.heads[0].clock} clock)"
        )
    for name, value in rows.items():
        summary.add_row(name, value)
    topics = Table("topic", "frames", "bytes", "longest silence, s", "book breaks")
    for track in seen.by_name():
        silence = f"{track.silence_ns / SECOND_NS:,.3f}"
        topics.add_row(track.topic, f"{track.frames:,}", f"{track.bytes:,}", silence, str(track.breaks))
    shown: list[RenderableType] = [summary, topics]
    if seen.holes:
        holes = Table("not recorded from", "seconds", "why")
        for hole in seen.holes:
            length = "to the end" if hole.until_ns is None else f"{(hole.until_ns - hole.from_ns) / SECOND_NS:,.3f}"
            holes.add_row(_moment(hole.from_ns), length, hole.reason)
        shown.append(holes)
    return shown


def _moment(at_ns: int) -> str:
    return f"{datetime.fromtimestamp(at_ns / SECOND_NS, UTC):%Y-%m-%d %H:%M:%S.%f} UTC"


def _bad(words: str) -> CommandError:
    return CommandError(ExitCode.BAD_CONFIGURATION, words)
