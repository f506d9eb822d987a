"""Settings that the model server and the trainer share."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from undertow.runtime.settings import Section


class ModelSettings(Section):
    """`UNDERTOW_MODEL__*`."""

    registry: Path = Field(default=Path("var/models"), description="the folder of the model registry")
