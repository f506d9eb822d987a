"""Settings of the snapshotter."""

from __future__ import annotations

from pydantic import Field

from undertow.runtime.settings import BusSettings, ServiceSettings
from undertow.storage.settings import StoreSettings


class SnapshotSettings(StoreSettings):
    """`UNDERTOW_SNAPSHOT__*`."""

    flush_seconds: float = Field(default=30.0, gt=0, description="seconds of market time above 0")
    flush_rows: int = Field(default=20_000, gt=0, description="a number of rows above 0")
    tidy_seconds: float = Field(
        default=60.0, gt=0, description="wall seconds above 0 between two looks for small files"
    )
    most_files: int = Field(default=32, gt=1, description="files above 1 of a partition before its hour is over")
    grace_seconds: float = Field(
        default=600.0, ge=0, description="wall seconds that a replaced file stays for its readers"
    )
    keep_days: int = Field(default=0, ge=0, description="days to keep, 0 for ever")


class Settings(ServiceSettings):
    """What the snapshotter is told."""

    bus: BusSettings
    snapshot: SnapshotSettings = SnapshotSettings()
