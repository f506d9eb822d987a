"""Settings of the snapshotter."""

from __future__ import annotations

from pydantic import Field

from undertow.runtime.settings import BusSettings, ServiceSettings
from undertow.storage.settings import StoreSettings


class SnapshotSettings(StoreSettings):
    """`UNDERTOW_SNAPSHOT__*`."""

    flush_seconds: float = Field(default=30.0, gt=0, description="seconds of market time above 0")
    flush_rows: int = Field(default=20_000, gt=0, description="a number of rows above 0")


class Settings(ServiceSettings):
    """What the snapshotter is told."""

    bus: BusSettings
    snapshot: SnapshotSettings = SnapshotSettings()
