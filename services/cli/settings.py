"""What the launcher itself is told; the services read their own."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from undertow.runtime.settings import ServiceSettings


class Settings(ServiceSettings):
    """Settings of the command."""

    console_port: int = Field(default=8080, ge=1, le=65535, description="a free port from 1 to 65535")
    var: Path = Field(default=Path("var"), description="a folder for what runs write")

    @field_validator("var", mode="before")
    @classmethod
    def _named(cls, value: object) -> object:
        if not str(value).strip():
            raise ValueError("is empty")
        return value
