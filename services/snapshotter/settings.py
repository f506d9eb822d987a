"""Settings of the snapshotter."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from undertow.runtime.settings import BusSettings, ServiceSettings


class SnapshotSettings(BaseModel):
    """`UNDERTOW_SNAPSHOT__*`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    root: Path = Path("var/snapshots")
    flush_seconds: float = Field(default=30.0, gt=0)
    flush_rows: int = Field(default=20_000, gt=0)


class Settings(ServiceSettings):
    """What the snapshotter is told."""

    bus: BusSettings = BusSettings()
    snapshot: SnapshotSettings = SnapshotSettings()
