"""SQL over the snapshots, as `undertow.storage.query` answers it."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from services.cli.exits import CommandError, ExitCode
from services.cli.settings import Settings
from undertow.runtime.settings import ServiceSettings, load
from undertow.storage.address import open_store
from undertow.storage.errors import StorageError, StoreMissingError
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
