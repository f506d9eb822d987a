"""Settings of the ingestor."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from undertow.runtime.settings import BusSettings, Section, ServiceSettings, VenueSettings


class FeedSettings(Section):
    """`UNDERTOW_FEED__*`."""

    depth: Literal[50, 200, 1000] = Field(default=200, description="an order book depth of the venue: 50, 200 or 1000")
    checkpoint_seconds: float = Field(default=10.0, gt=0, description="seconds between two full books, above 0")
    stale_seconds: float = Field(
        default=30.0, gt=0, description="wall seconds of silence before a new connection, above 0"
    )
    liquidation_silence_seconds: float = Field(
        default=7_200.0, gt=0, description="seconds without a liquidation on any symbol that are suspect, above 0"
    )
    symbols_per_connection: int = Field(default=20, ge=1, le=100, description="a number of symbols from 1 to 100")
    connects_per_five_minutes: int = Field(
        default=100, ge=1, le=350, description="1 to 350; all shards of an address together stay below the venue's 500"
    )
    proxy: str = Field(
        default="",
        pattern=r"^((https?|socks5h?|socks4a?)://\S+)?$",
        description="http://[USER:PASSWORD@]HOST:PORT or socks5h://…; empty takes SOCKS_PROXY, HTTPS_PROXY or ALL_PROXY",
    )


class Settings(ServiceSettings):
    """What the ingestor is told."""

    bus: BusSettings
    venue: VenueSettings
    feed: FeedSettings = FeedSettings()
