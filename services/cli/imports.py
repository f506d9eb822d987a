"""`undertow import`: archives into a store, one after the other, with a bar on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from services.cli.exits import CommandError, ExitCode
from services.cli.snapshots import chosen
from undertow.history.archive import ArchiveError
from undertow.history.importer import READERS, Importer, Outcome
from undertow.runtime.clock import SECOND_NS
from undertow.storage.errors import StorageError
from undertow.storage.store import Store

_SUFFIXES: Final = (".csv", ".csv.gz", ".zip", ".data", ".zst", ".rawlines", ".rawlines.gz")


def import_archives(source: str, files: Sequence[Path], into: str, screen: Console) -> list[dict[str, Any]]:
    """Import archives; give what each gave.

    Raises:
        CommandError: there are none, one of them is damaged (those before it are in), or the store cannot be written.
        ConfigurationError: the store does not let us in.
    """
    if source not in READERS:
        raise CommandError(
            ExitCode.BAD_CONFIGURATION, f"{source} is no source of archives; these are: {', '.join(READERS)}"
        )
    paths = _archives(files)
    try:
        return [_row(outcome) for outcome in _take(source, paths, chosen(into), screen)]
    except (ArchiveError, StorageError) as error:
        raise CommandError(ExitCode.ERROR, str(error)) from None


def _take(source: str, paths: Sequence[Path], store: Store, screen: Console) -> Iterator[Outcome]:
    importer = Importer(store)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=screen,
        transient=True,
    )
    with bar:
        task = bar.add_task("", total=sum(path.stat().st_size for path in paths))
        done = 0

        def told(position: int) -> None:
            bar.update(task, completed=done + position)

        for path in paths:
            bar.update(task, description=path.name, completed=done)
            yield importer.take(source, path, told)
            done += path.stat().st_size


def _archives(files: Sequence[Path]) -> list[Path]:
    paths: list[Path] = []
    for file in files:
        if file.is_dir():
            paths += sorted(path for path in file.rglob("*") if path.is_file() and path.name.endswith(_SUFFIXES))
        elif file.is_file():
            paths.append(file)
        else:
            raise CommandError(ExitCode.NOT_FOUND, f"there is no file {file}; check the path")
    if not paths:
        raise CommandError(ExitCode.NOT_FOUND, f"{files[0]} holds no archive ({', '.join(_SUFFIXES)}); check the path")
    return paths


def _row(outcome: Outcome) -> dict[str, Any]:
    return {
        "archive": outcome.path.name,
        "rows": outcome.rows if outcome.is_new else "in already",
        "gaps": outcome.gaps if outcome.is_new else "",
        "from": _moment(outcome.begin_ns),
        "to": _moment(outcome.end_ns),
    }


def _moment(at_ns: int) -> str:
    return f"{datetime.fromtimestamp(at_ns / SECOND_NS, UTC):%Y-%m-%d %H:%M:%S}" if at_ns else ""
