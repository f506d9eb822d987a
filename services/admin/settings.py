"""Settings of the admin service."""

from __future__ import annotations

from pydantic import Field

from undertow.runtime.settings import BusSettings, GuardianClientSettings, HttpSettings, Section, ServiceSettings


class AdminSettings(Section):
    """What it watches."""

    services: dict[str, str] = Field(default_factory=dict, description='JSON like {"guardian": "http://HOST:PORT"}')
    poll_seconds: float = Field(default=1.0, gt=0, le=10, description="wall seconds up to 10")
    chart_seconds: float = Field(default=1.0, gt=0, le=60, description="wall seconds between two points of the curve")


class Settings(ServiceSettings):
    """Everything admin is told."""

    http: HttpSettings = HttpSettings(port=8080)
    bus: BusSettings
    guardian: GuardianClientSettings
    admin: AdminSettings = AdminSettings()
