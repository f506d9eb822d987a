"""Once a day the page of yesterday's data quality, written into the store as `_quality/YYYY-MM-DD.html`.

The page is made in a process of its own: what a whole day needs in memory goes with it.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from multiprocessing import get_context
from typing import Final

from undertow.storage.address import open_store
from undertow.storage.errors import StorageError
from undertow.storage.layout import LATE_NS
from undertow.storage.settings import StoreSettings
from undertow.storage.store import Store

QUALITY_FOLDER: Final = "_quality"


class Reporter:
    """Has the page of the day that ended last written, once.

    Args:
        store: what is reported.
        settings: how the other process opens the same store.
    """

    def __init__(self, store: Store, settings: StoreSettings) -> None:
        self._store = store
        self._settings = settings
        self._done: date | None = None

    def report(self, now_ns: int) -> bool:
        """Write the page of the day before `now_ns` (market time) unless it is there; answer whether it was written.

        Raises:
            OSError: the disk refuses.
            StorageError: the store cannot be read, or the page could not be made.
        """
        yesterday = datetime.fromtimestamp((now_ns - LATE_NS) // 1_000_000_000, UTC).date() - timedelta(days=1)
        if yesterday == self._done:
            return False
        wanted = self._store.files.read(_path(yesterday)) is None and bool(self._store.part_files(dates={yesterday}))
        if wanted:
            process = get_context("spawn").Process(target=write_page, args=(self._settings, yesterday), daemon=True)
            process.start()
            process.join()
            if process.exitcode:
                raise StorageError(
                    f"the quality page of {yesterday} could not be made; `undertow quality {yesterday}` says why"
                )
        self._done = yesterday
        return wanted


def write_page(settings: StoreSettings, day: date) -> None:
    """Measure a day and write its page into the store.

    Raises:
        OSError: the disk refuses.
        StorageError: the store cannot be read.
    """
    from undertow.storage.quality import measure  # noqa: PLC0415 - duckdb loads only in this process
    from undertow.storage.quality_page import page  # noqa: PLC0415

    store = open_store(settings)
    content = page(measure(store, day)).encode()
    store.files.write(_path(day), lambda file: file.write(content))


def _path(day: date) -> str:
    return f"{QUALITY_FOLDER}/{day}.html"
