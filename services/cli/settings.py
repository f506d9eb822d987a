"""What the launcher itself is told; the services read their own."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from undertow.runtime.settings import ServiceSettings


class Settings(ServiceSettings):
    """Settings of the command."""

    console_port: int = Field(default=8080, ge=1, le=65535)
    var: Path = Path("var")
