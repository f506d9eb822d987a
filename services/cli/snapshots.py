"""SQL over the snapshots, as `undertow.storage.query` answers it."""

from __future__ import annotations

import csv
import sys
from datetime import date
from pathlib import Path
from typing import Any

from services.cli.exits import CommandError, ExitCode
from services.cli.settings import Settings
from undertow.runtime.settings import ServiceSettings, load
from undertow.storage.address import open_store
from undertow.storage.errors import StorageError, StoreMissingError
from undertow.storage.quality import days, measure
from undertow.storage.quality_page import page
from undertow.storage.query import Answer, answer
from undertow.storage.settings import StoreSettings
from undertow.storage.store import Store


class SnapshotSettings(ServiceSettings):
    """What the snapshotter is told about its store."""

    snapshot: StoreSettings = StoreSettings()


def chosen(address: str | None) -> Store:
    """Open the named store; without a name the snapshotter's own, and without that the newest run's.

    Raises:
        ConfigurationError: it does not let us in.
    """
    settings = load(SnapshotSettings).snapshot
    if address is None and "root" not in settings.model_fields_set:
        address = str(latest(load(Settings).var))
    return open_store(settings if address is None else settings.model_copy(update={"root": address}))


def latest(var: Path) -> Path:
    """Give the snapshots of the newest run below `var`; those of a fleet outside paper mode when there was no paper run."""
    runs = sorted(var.glob("runs/*/snapshots")) or sorted(var.glob("live/*/snapshots"))
    return runs[-1] if runs else var / "runs"


def ask(store: Store, sql: str) -> Answer:
    """Answer a query.

    Raises:
        CommandError: there are no snapshots, or the SQL is wrong.
    """
    try:
        return answer(store, sql)
    except StoreMissingError as error:
        raise CommandError(
            ExitCode.NOT_FOUND,
            f"{error}; run the fleet first (they come each half a minute), or name the place with --data",
        ) from None
    except StorageError as error:
        raise CommandError(ExitCode.ERROR, str(error)) from None


def print_csv(found: Answer) -> None:
    """Write an answer to the standard output, with a line of names."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(found.columns)
    writer.writerows(found.rows)


def examined(store: Store, day: str | None) -> tuple[dict[str, Any], str]:
    """Give the figures of a day's quality, and the page that shows them.

    Raises:
        CommandError: it is no date, or nothing is stored of it.
    """
    try:
        stored = days(store)
        chosen_day = date.fromisoformat(day) if day else stored[-1] if stored else None
    except ValueError:
        raise CommandError(ExitCode.BAD_CONFIGURATION, f"{day} is not a date; write it as YYYY-MM-DD") from None
    except StorageError as error:
        raise CommandError(ExitCode.ERROR, str(error)) from None
    if chosen_day is None or chosen_day not in stored:
        there = f"there are {stored[0]} to {stored[-1]}" if stored else "run the fleet first"
        raise CommandError(ExitCode.NOT_FOUND, f"no snapshots in {store.address} of {day or 'any day'}; {there}")
    quality = measure(store, chosen_day)
    figures = {
        "day": str(chosen_day),
        "rows": quality.rows,
        "findings": quality.findings,
        "missing": quality.missing,
        "duplicates": quality.duplicates,
        "repeated_trades": quality.repeated_trades,
        "silences": len(quality.silences),
        "crossed_books": len(quality.crossed),
        "book_gaps": sum(quality.gaps.values()),
        "feed_suspicions": sum(quality.suspicions.values()),
    }
    return figures, page(quality)
