"""Settings from the environment: prefix `UNDERTOW_`, nested with `__`, each also as `NAME_FILE` (a path whose content is the value).

A service has one frozen model that extends `ServiceSettings`; it is read once, in `__main__`. What is wrong is one
`ConfigurationError` that names the variable, the rule and the remedy.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from undertow.domain.state import Mode
from undertow.runtime.addresses import check_places
from undertow.runtime.errors import ConfigurationError

PREFIX: Final = "UNDERTOW_"
FILE_SUFFIX: Final = "_FILE"
LONGEST_SECONDS: Final = 100_000_000
"""Three years; beyond it a time is a slip, and would not fit market nanoseconds."""
DEFAULT_SYMBOLS: Final = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "DOGEUSDT")

S = TypeVar("S", bound=BaseSettings)


class Section(BaseModel):
    """A nested group of settings: numbers are finite, times (`…_seconds`, `…_ms`) below three years, addresses possible."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*")
    @classmethod
    def _is_a_time(cls, value: Any, info: ValidationInfo) -> Any:
        for suffix, most in (("_seconds", LONGEST_SECONDS), ("_ms", LONGEST_SECONDS * 1_000)):
            if str(info.field_name).endswith(suffix) and isinstance(value, int | float) and value > most:
                raise ValueError(f"{value:g} is more than {most:g}")
        return value

    @field_validator("*")
    @classmethod
    def _is_an_address(cls, value: Any, info: ValidationInfo) -> Any:
        name = str(info.field_name)
        is_one = isinstance(value, str) and (name in ("url", "proxy") or name.endswith("_url"))
        return check_places(value) if is_one else value


class HttpSettings(Section):
    """Where health, metrics and the service's own routes listen."""

    host: str = Field(default="127.0.0.1", description="an address of this machine")
    port: int = Field(default=0, ge=0, le=65535, description="a free port, or 0 for any")


class LogSettings(Section):
    """How loud, and in which shape, the log on stderr is."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="one of debug, info, warning, error"
    )
    format: Literal["json", "console"] = Field(default="json", description="json or console")


class ClockSettings(Section):
    """Whose market time is followed."""

    url: str = Field(
        default="", pattern=r"^(https?://\S+)?$", description="http://HOST:PORT/control/clock of the paper venue"
    )


class BusSettings(Section):
    """Where Redis is, and how much is kept there for readers that are away."""

    url: str = Field(
        pattern=r"^(redis://(?:[^\s@]*@)?[^\s/,@]+(/\d+)?|unix://(?:[^\s@]*@)?/[^\s?]+(\?db=\d+)?"
        r"|redis\+cluster://(?:[^\s@]*@)?[^\s/,@]+(,[^\s/,@]+)*)$",
        description="redis://[USER:PASSWORD@]HOST:PORT/DB, unix:///PATH.sock or "
        "redis+cluster://[USER:PASSWORD@]HOST:PORT[,HOST:PORT…]",
    )
    outage_seconds: float = Field(
        default=1800.0, gt=0, description="seconds above 0 that streams keep for absent readers"
    )
    outage_bytes: int = Field(
        default=2_000_000_000,
        gt=0,
        description="bytes above 0 that the streams of one publisher keep for absent readers",
    )


class GuardianClientSettings(Section):
    """Where the guardian listens."""

    url: str = Field(pattern=r"^https?://\S+$", description="http://HOST:PORT of the guardian")


class VenueSettings(Section):
    """The venue's addresses; what is empty follows from the mode (live, testnet, demo) or from `rest_url` (paper).

    `trade_url` stays empty in demo, which has no trade socket.
    """

    rest_url: str = Field(default="", pattern=r"^(https?://\S+)?$", description="http(s)://HOST[:PORT]")
    public_url: str = Field(default="", pattern=r"^(wss?://\S+)?$", description="ws(s)://HOST[:PORT]/v5/public/linear")
    private_url: str = Field(default="", pattern=r"^(wss?://\S+)?$", description="ws(s)://HOST[:PORT]/v5/private")
    trade_url: str = Field(default="", pattern=r"^(wss?://\S+)?$", description="ws(s)://HOST[:PORT]/v5/trade")

    def resolved(self, mode: Mode) -> VenueSettings:
        """Fill in what is empty.

        Raises:
            ConfigurationError: paper without `rest_url`, or an address that belongs to another mode.
        """
        for field, host in (
            ("rest_url", self.rest_url),
            ("private_url", self.private_url),
            ("trade_url", self.trade_url),
        ):
            for other, known in VENUES.items():
                if other is not mode and host and host == getattr(known, field):
                    raise ConfigurationError(
                        f"{PREFIX}VENUE__{field.upper()}",
                        f"is the address of {other}, but {PREFIX}MODE is {mode}",
                        "unset it or change the mode",
                    )
        if mode in VENUES:
            default = VENUES[mode]
        elif self.rest_url:
            socket = re.sub(r"^http", "ws", self.rest_url.rstrip("/"))
            default = VenueSettings(
                public_url=f"{socket}/v5/public/linear",
                private_url=f"{socket}/v5/private",
                trade_url=f"{socket}/v5/trade",
            )
        else:
            raise ConfigurationError(
                f"{PREFIX}VENUE__REST_URL",
                "the paper venue has no default address",
                "set it to http://HOST:PORT of the venue",
            )
        given = {name: value for name, value in self.model_dump().items() if value}
        return default.model_copy(update=given)


VENUES: Final[Mapping[Mode, VenueSettings]] = {
    Mode.LIVE: VenueSettings(
        rest_url="https://api.bybit.com",
        public_url="wss://stream.bybit.com/v5/public/linear",
        private_url="wss://stream.bybit.com/v5/private",
        trade_url="wss://stream.bybit.com/v5/trade",
    ),
    Mode.TESTNET: VenueSettings(
        rest_url="https://api-testnet.bybit.com",
        public_url="wss://stream-testnet.bybit.com/v5/public/linear",
        private_url="wss://stream-testnet.bybit.com/v5/private",
        trade_url="wss://stream-testnet.bybit.com/v5/trade",
    ),
    Mode.DEMO: VenueSettings(
        rest_url="https://api-demo.bybit.com",
        public_url="wss://stream.bybit.com/v5/public/linear",  # demo trades on the real market's data
        private_url="wss://stream-demo.bybit.com/v5/private",
    ),
}


class FileAwareEnvironment(EnvSettingsSource):
    """The environment, in which `NAME_FILE` stands for `NAME` with the content of a file."""

    def _load_env_vars(self) -> Mapping[str, str | None]:
        known = {name.lower() for name in variables(self.settings_cls)}
        found = dict(super()._load_env_vars())
        for name, path in list(found.items()):
            base = name.removesuffix(FILE_SUFFIX.lower())
            if base != name and base in known and name not in known:
                del found[name]
                if path and found.get(base):
                    raise _both_given(base.upper())
                if path:
                    found[base] = _content(name.upper(), path)
        return found


class ServiceSettings(BaseSettings):
    """What every service needs to know.

    Attributes:
        owns_market_clock: True for the paper venue alone, whose clock the others follow.
        has_own_server: True for the paper venue alone, which answers HTTP and WebSocket on its one port by itself.
        symbols: comma separated or a JSON list.
        shard: which of the instances of a service that share the symbols among them this is, `i/n`; `own_symbols` are its own. A symbol
            belongs to the instance that its place in `symbols` says, modulo n: whoever adds symbols at the end moves none of the others.
        instance: distinguishes the replicas of a service.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        frozen=True,
        extra="ignore",
        nested_model_default_partial_update=True,
    )
    owns_market_clock: ClassVar[bool] = False
    has_own_server: ClassVar[bool] = False

    mode: Mode = Field(default=Mode.PAPER, description="one of paper, demo, testnet, live")
    symbols: Annotated[tuple[str, ...], NoDecode] = Field(
        default=DEFAULT_SYMBOLS, min_length=1, description="symbols like BTCUSDT,ETHUSDT"
    )
    shard: str = Field(default="0/1", pattern=r"^\d{1,4}/\d{1,4}$", description="i/n with 0 <= i < n, as 0/2 and 1/2")
    http: HttpSettings = HttpSettings()
    log: LogSettings = LogSettings()
    clock: ClockSettings = ClockSettings()
    instance: str = Field(default="0", pattern=r"^[A-Za-z0-9_.-]+$", description="letters, digits, dots, dashes")

    @field_validator("symbols", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return comma_separated(value)

    @field_validator("symbols")
    @classmethod
    def _distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for symbol in value:
            if not re.fullmatch(r"[A-Z0-9]+", symbol):
                raise ValueError(f"{symbol!r} is not a symbol")
        if len(set(value)) != len(value):
            raise ValueError("a symbol is named twice")
        return value

    @field_validator("shard")
    @classmethod
    def _one_of_them(cls, value: str) -> str:
        index, count = map(int, value.split("/"))
        if index >= count:
            raise ValueError(f"{value} is not one of {count} shards")
        return value

    @property
    def own_symbols(self) -> tuple[str, ...]:
        """The symbols of this shard.

        Raises:
            ConfigurationError: there are none.
        """
        index, count = map(int, self.shard.split("/"))
        own = self.symbols[index::count]
        if not own:
            raise ConfigurationError(
                f"{PREFIX}SHARD",
                f"{self.shard} has none of the {len(self.symbols)} symbols",
                f"run at most {len(self.symbols)} shards, or name more symbols",
            )
        return own

    @property
    def is_first_shard(self) -> bool:
        """Whether what has no symbol is this shard's: it is the first one's."""
        return int(self.shard.partition("/")[0]) == 0

    @model_validator(mode="before")
    @classmethod
    def _open_sections(cls, data: dict[str, Any]) -> dict[str, Any]:
        # so that a missing field is reported as UNDERTOW_BUS__URL, not as UNDERTOW_BUS
        sections: dict[str, Any] = {name: {} for name in _sections(cls) if name not in data}
        return {**sections, **data}

    @model_validator(mode="after")
    def _resolve(self) -> ServiceSettings:
        if self.clock.url and self.mode is not Mode.PAPER:
            raise ConfigurationError(
                f"{PREFIX}CLOCK__URL",
                f"only the paper venue owns market time, but {PREFIX}MODE is {self.mode}",
                "unset it",
            )
        venue = getattr(self, "venue", None)
        if isinstance(venue, VenueSettings):
            object.__setattr__(self, "venue", venue.resolved(self.mode))
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments first, then the environment; nothing else."""
        del env_settings, dotenv_settings, file_secret_settings
        return (init_settings, FileAwareEnvironment(settings_cls))


def comma_separated(value: Any) -> Any:
    """Split a variable's text, comma separated or a JSON list; what is no text is given back.

    Raises:
        ValueError: a JSON list that cannot be read.
    """
    if not isinstance(value, str):
        return value
    if value.strip().startswith("["):
        try:
            return json.loads(value)
        except ValueError:
            raise ValueError("is neither a comma separated nor a JSON list") from None
    return [item for item in re.split(r"[\s,]+", value) if item]


def load(settings: type[S]) -> S:
    """Read the settings of a service.

    Raises:
        ConfigurationError: the first thing that is wrong, in one line.
    """
    try:
        return settings()
    except ValidationError as error:
        raise _explained(settings, error) from None
    except SettingsError as error:
        field = re.search(r'field "(\w+)"', str(error))
        name = PREFIX + (field.group(1).upper() if field else "*")
        raise ConfigurationError(
            name, "cannot be read", "set it to valid JSON, or its parts one by one with __"
        ) from None


def variables(model: type[BaseModel], prefix: str = PREFIX) -> list[str]:
    """Name the variables that a settings model reads, one for each value; without the `_FILE` forms."""
    names: list[str] = []
    sections = _sections(model)
    for name in model.model_fields:
        if name in sections:
            names += variables(sections[name], f"{prefix}{name.upper()}__")
        else:
            names.append(f"{prefix}{name.upper()}")
    return names


class Credentials(Section):
    """An API key of the venue; the secret never shows in a log."""

    api_key: str
    api_secret: SecretStr


Role = Literal["router", "guardian", "reader"]


def credentials_for(mode: Mode, role: Role, environment: Mapping[str, str]) -> Credentials:
    """Give the key of a role: its own for the guardian, one for the rest of the fleet; built-in ones in paper.

    Args:
        mode: which venue.
        role: who signs.
        environment: `os.environ`.

    Raises:
        ConfigurationError: missing, unreadable, or given twice.
    """
    if mode is Mode.PAPER:
        return Credentials(api_key=f"paper-{role}", api_secret=SecretStr(f"paper-{role}-secret"))
    venue = "" if mode is Mode.LIVE else f"{mode.upper()}_"
    own = "GUARDIAN_" if role == "guardian" else ""
    name = f"BYBIT_{venue}{own}API_"
    return Credentials(
        api_key=_secret(f"{name}KEY", environment), api_secret=SecretStr(_secret(f"{name}SECRET", environment))
    )


def _secret(name: str, environment: Mapping[str, str]) -> str:
    value, path = environment.get(name, ""), environment.get(name + FILE_SUFFIX, "")
    if value and path:
        raise _both_given(name)
    if path:
        value = _content(name + FILE_SUFFIX, path)
    if not value:
        raise ConfigurationError(name, "is missing", f"set it, or {name}{FILE_SUFFIX} to a file that contains it")
    if not re.fullmatch(r"[!-~]+", value):
        raise ConfigurationError(name, "has spaces, line breaks or letters that no key has", "copy it again")
    return value


def _both_given(name: str) -> ConfigurationError:
    return ConfigurationError(name, f"is given twice, here and in {name}{FILE_SUFFIX}", "unset one of them")


def _content(name: str, path: str) -> str:
    try:
        content = Path(path).read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise ConfigurationError(name, f"{path} cannot be read ({reason})", "name a readable file") from None
    if not content:
        raise ConfigurationError(name, f"{path} is empty", "write the value into it, or unset it")
    return content


def _sections(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    return {
        name: field.annotation
        for name, field in model.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    }


def _explained(settings: type[BaseModel], error: ValidationError) -> ConfigurationError:
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    model, description = settings, ""
    for depth, part in enumerate(path):
        if part not in model.model_fields:  # an element of a list, or an unknown name
            path = path[: depth + 1] if first["type"] == "extra_forbidden" else path[:depth]
            break
        description = model.model_fields[part].description or ""
        model = _sections(model).get(part, model)
    variable = PREFIX + "__".join(path).upper()
    if first["type"] == "extra_forbidden":
        return ConfigurationError(variable, "is not a setting", "correct the name or unset it")
    if first["type"] == "missing":
        return ConfigurationError(variable, "is missing", f"set it to {description or 'a value'}")
    rule = first["msg"].removeprefix("Value error, ")
    return ConfigurationError(
        variable, rule[0].lower() + rule[1:], f"set it to {description}" if description else "correct it"
    )
