"""Settings of the macro collector."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import NoDecode

from services.macro_collector.sources import BINANCE_LIQUIDATIONS, READY_MADE, Source
from undertow.exchange.binance.liquidations import URL
from undertow.runtime.settings import BusSettings, Section, ServiceSettings, comma_separated

_KNOWN = ", ".join([*READY_MADE, BINANCE_LIQUIDATIONS])


class MacroSettings(Section):
    """`UNDERTOW_MACRO__*`; without sources the service has nothing to do, and asks nobody anything.

    Attributes:
        ready_made: names of sources that come with the project.
        sources: further ones.
        binance_stream_url: of Binance's USD-M liquidations.
    """

    ready_made: Annotated[tuple[str, ...], NoDecode] = Field(default=(), description=f"names out of {_KNOWN}")
    sources: tuple[Source, ...] = Field(default=(), description="a JSON list of sources, see docs/macro.md")
    binance_stream_url: str = Field(default=URL, pattern=r"^wss?://\S+$", description="ws(s)://HOST[:PORT]/PATH")

    @field_validator("ready_made", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return comma_separated(value)

    @field_validator("ready_made")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name not in READY_MADE and name != BINANCE_LIQUIDATIONS:
                raise ValueError(f"there is no ready-made source {name!r}")
        return value

    @field_validator("sources", mode="before")
    @classmethod
    def _each(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise ValueError("is not a list")  # noqa: TRY004 - pydantic takes a ValueError
        return [_source(number, each) for number, each in enumerate(value, start=1)]

    @model_validator(mode="after")
    def _distinct(self) -> MacroSettings:
        names = [*self.ready_made, *(source.name for source in self.sources)]
        for name in names:
            is_taken = name in READY_MADE or name == BINANCE_LIQUIDATIONS
            if names.count(name) > 1 or (is_taken and name not in self.ready_made):
                raise ValueError(f"two sources have the name {name!r}")
        return self

    @model_validator(mode="after")
    def _one_source_a_slot(self) -> MacroSettings:
        feeds: dict[str, str] = {}
        for source in self.asked:
            if source.slot and feeds.setdefault(source.slot, source.name) != source.name:
                raise ValueError(
                    f"two sources feed the slot {source.slot!r}: {feeds[source.slot]!r} and {source.name!r}"
                )
        return self

    @property
    def asked(self) -> tuple[Source, ...]:
        """The sources that are asked, ready-made ones first."""
        return (*(READY_MADE[name] for name in self.ready_made if name in READY_MADE), *self.sources)

    @property
    def has_binance_liquidations(self) -> bool:
        """Whether the neighbour's liquidations are wanted."""
        return BINANCE_LIQUIDATIONS in self.ready_made


class Settings(ServiceSettings):
    """What the macro collector is told."""

    bus: BusSettings
    macro: MacroSettings = MacroSettings()


def _source(number: int, given: Any) -> Source:
    if isinstance(given, Source):
        return given
    name = repr(given["name"]) if isinstance(given, dict) and "name" in given else f"number {number}"
    try:
        return Source.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"source {name}: {field + ': ' if field else ''}{first['msg']}") from None
