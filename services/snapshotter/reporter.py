"""Once a day the page of yesterday's data quality, written into the store as `_quality/YYYY-MM-DD.html`."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final

from undertow.storage.quality import days, measure
from undertow.storage.quality_page import page
from undertow.storage.store import Store
from undertow.storage.tidy import LATE_NS

QUALITY_FOLDER: Final = "_quality"


class Reporter:
    """Writes the page of the day that ended last, once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._done: date | None = None

    def report(self, now_ns: int) -> bool:
        """Write the page of the day before `now_ns` (market time) unless it is there; answer whether it was written.

        Raises:
            OSError: the disk refuses.
            StorageError: the store cannot be read.
        """
        yesterday = datetime.fromtimestamp((now_ns - LATE_NS) // 1_000_000_000, UTC).date() - timedelta(days=1)
        if yesterday == self._done:
            return False
        path = f"{QUALITY_FOLDER}/{yesterday}.html"
        written = yesterday in days(self._store) and self._store.files.read(path) is None
        if written:
            content = page(measure(self._store, yesterday)).encode()
            self._store.files.write(path, lambda file: file.write(content))
        self._done = yesterday
        return written
