from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from undertow.domain.state import Mode
from undertow.runtime.errors import ConfigurationError
from undertow.runtime.settings import (
    BusSettings,
    Credentials,
    GuardianClientSettings,
    ServiceSettings,
    VenueSettings,
    credentials_for,
    load,
)


class Settings(ServiceSettings):
    bus: BusSettings
    venue: VenueSettings
    guardian: GuardianClientSettings


GOOD = {
    "UNDERTOW_BUS__URL": "redis://127.0.0.1:6379/0",
    "UNDERTOW_VENUE__REST_URL": "http://127.0.0.1:1234",
    "UNDERTOW_GUARDIAN__URL": "http://127.0.0.1:1235",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_the_defaults_are_paper_and_four_symbols(environment: pytest.MonkeyPatch) -> None:
    settings = load(Settings)
    assert settings.mode is Mode.PAPER
    assert settings.symbols == ("BTCUSDT", "ETHUSDT", "SOLUSDT", "DOGEUSDT")
    assert settings.bus.url == GOOD["UNDERTOW_BUS__URL"]


def test_the_paper_sockets_follow_from_the_rest_address(environment: pytest.MonkeyPatch) -> None:
    venue = load(Settings).venue
    assert venue.public_url == "ws://127.0.0.1:1234/v5/public/linear"
    assert venue.private_url == "ws://127.0.0.1:1234/v5/private"
    assert venue.trade_url == "ws://127.0.0.1:1234/v5/trade"
    environment.setenv("UNDERTOW_VENUE__REST_URL", "https://h/")
    environment.setenv("UNDERTOW_VENUE__TRADE_URL", "wss://other/v5/trade")
    venue = load(Settings).venue
    assert venue.private_url == "wss://h/v5/private"
    assert venue.trade_url == "wss://other/v5/trade"


@pytest.mark.parametrize(
    ("mode", "rest", "public", "trade"),
    [
        ("live", "https://api.bybit.com", "wss://stream.bybit.com/v5/public/linear", True),
        ("testnet", "https://api-testnet.bybit.com", "wss://stream-testnet.bybit.com/v5/public/linear", True),
        ("demo", "https://api-demo.bybit.com", "wss://stream.bybit.com/v5/public/linear", False),
    ],
)
def test_real_venues_have_their_known_addresses(
    environment: pytest.MonkeyPatch, mode: str, rest: str, public: str, *, trade: bool
) -> None:
    environment.delenv("UNDERTOW_VENUE__REST_URL")
    environment.setenv("UNDERTOW_MODE", mode)
    venue = load(Settings).venue
    assert (venue.rest_url, venue.public_url, bool(venue.trade_url)) == (rest, public, trade)


@pytest.mark.parametrize("text", ["BTCUSDT,ETHUSDT", '["BTCUSDT", "ETHUSDT"]', " BTCUSDT, ETHUSDT ,"])
def test_symbols_may_be_a_list_or_json(environment: pytest.MonkeyPatch, text: str) -> None:
    environment.setenv("UNDERTOW_SYMBOLS", text)
    assert load(Settings).symbols == ("BTCUSDT", "ETHUSDT")


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        ("UNDERTOW_BUS__URL", None, "UNDERTOW_BUS__URL: is missing; set it to redis://"),
        ("UNDERTOW_GUARDIAN__URL", None, "UNDERTOW_GUARDIAN__URL: is missing; set it to http://"),
        ("UNDERTOW_VENUE__REST_URL", None, "UNDERTOW_VENUE__REST_URL: the paper venue has no default address; set it"),
        ("UNDERTOW_BUS__URL", "localhost", "UNDERTOW_BUS__URL: string should match"),
        ("UNDERTOW_BUS__URL", "redis://one:1,two:2", "UNDERTOW_BUS__URL: string should match"),
        ("UNDERTOW_BUS__URL", "redis+cluster://one:1/2", "UNDERTOW_BUS__URL: string should match"),
        ("UNDERTOW_BUS__URL", "unix:///a.sock?db=one", "UNDERTOW_BUS__URL: string should match"),
        (
            "UNDERTOW_BUS__URL",
            "redis://u:secret@one:99999/0",
            "UNDERTOW_BUS__URL: 'one:99999' is not HOST or HOST:PORT",
        ),
        ("UNDERTOW_BUS__URL", "redis+cluster://one:1,:2", "UNDERTOW_BUS__URL: ':2' is not HOST or HOST:PORT"),
        ("UNDERTOW_CLOCK__URL", "http://one:0/control/clock", "UNDERTOW_CLOCK__URL: 'one:0' is not HOST"),
        ("UNDERTOW_VENUE__REST_URL", "localhost", "UNDERTOW_VENUE__REST_URL: string should match"),
        ("UNDERTOW_MODE", "papr", "UNDERTOW_MODE: input should be 'paper', 'demo'"),
        ("UNDERTOW_SYMBOLS", "", "UNDERTOW_SYMBOLS: "),
        ("UNDERTOW_SYMBOLS", "btc", "UNDERTOW_SYMBOLS: 'btc' is not a symbol; set it to symbols like"),
        ("UNDERTOW_SYMBOLS", "A,A", "UNDERTOW_SYMBOLS: a symbol is named twice"),
        ("UNDERTOW_HTTP__PORT", "x", "UNDERTOW_HTTP__PORT: input should be a valid integer"),
        ("UNDERTOW_HTTP__PORT", "65536", "UNDERTOW_HTTP__PORT: input should be less than or equal to 65535"),
        ("UNDERTOW_HTTP__PROT", "1", "UNDERTOW_HTTP__PROT: is not a setting; correct the name or unset it"),
        ("UNDERTOW_LOG__LEVEL", "loud", "UNDERTOW_LOG__LEVEL: input should be 'debug'"),
        ("UNDERTOW_INSTANCE", "a b", "UNDERTOW_INSTANCE: string should match"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    environment: pytest.MonkeyPatch, variable: str, value: str | None, line: str
) -> None:
    if value is None:
        environment.delenv(variable)
    else:
        environment.setenv(variable, value)
    with pytest.raises(ConfigurationError) as caught:
        load(Settings)
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)
    assert caught.value.remedy


def test_an_address_of_another_mode_is_a_contradiction(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("UNDERTOW_MODE", "demo")
    environment.setenv("UNDERTOW_VENUE__REST_URL", "https://api.bybit.com")
    with pytest.raises(ConfigurationError, match="is the address of live, but UNDERTOW_MODE is demo"):
        load(Settings)


def test_a_market_clock_outside_paper_is_a_contradiction(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("UNDERTOW_MODE", "live")
    environment.delenv("UNDERTOW_VENUE__REST_URL")
    environment.setenv("UNDERTOW_CLOCK__URL", "http://127.0.0.1:1/control/clock")
    with pytest.raises(ConfigurationError, match="UNDERTOW_CLOCK__URL: only the paper venue owns market time"):
        load(Settings)


def test_any_setting_may_come_from_a_file(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "bus-url"
    file.write_text("redis://:secret@h:1/2\n")
    environment.delenv("UNDERTOW_BUS__URL")
    environment.setenv("UNDERTOW_BUS__URL_FILE", str(file))
    assert load(Settings).bus.url == "redis://:secret@h:1/2"


def test_a_setting_given_twice_is_a_contradiction(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.setenv("UNDERTOW_BUS__URL_FILE", str(tmp_path / "x"))
    with pytest.raises(ConfigurationError, match="UNDERTOW_BUS__URL: is given twice, here and in UNDERTOW_BUS__URL_FI"):
        load(Settings)


def test_an_unreadable_file_is_named(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.delenv("UNDERTOW_BUS__URL")
    environment.setenv("UNDERTOW_BUS__URL_FILE", str(tmp_path / "missing"))
    with pytest.raises(ConfigurationError, match=r"UNDERTOW_BUS__URL_FILE: .*missing cannot be read \(No such file"):
        load(Settings)


def test_settings_do_not_change(environment: pytest.MonkeyPatch) -> None:
    settings = load(Settings)
    with pytest.raises(ValueError, match="frozen"):
        settings.mode = Mode.LIVE


@pytest.mark.parametrize(
    ("mode", "role", "name"),
    [
        (Mode.LIVE, "router", "BYBIT_API_"),
        (Mode.LIVE, "reader", "BYBIT_API_"),
        (Mode.LIVE, "guardian", "BYBIT_GUARDIAN_API_"),
        (Mode.DEMO, "router", "BYBIT_DEMO_API_"),
        (Mode.TESTNET, "guardian", "BYBIT_TESTNET_GUARDIAN_API_"),
    ],
)
def test_each_role_has_its_key(mode: Mode, role: str, name: str, tmp_path: Path) -> None:
    credentials = credentials_for(mode, role, {f"{name}KEY": "k", f"{name}SECRET": "s"})
    assert (credentials.api_key, credentials.api_secret.get_secret_value()) == ("k", "s")
    file = tmp_path / "secret"
    file.write_text("from-file\n")
    credentials = credentials_for(mode, role, {f"{name}KEY": "k", f"{name}SECRET_FILE": str(file)})
    assert credentials.api_secret.get_secret_value() == "from-file"
    with pytest.raises(ConfigurationError, match=f"{name}KEY: is missing; set it, or {name}KEY_FILE"):
        credentials_for(mode, role, {})
    with pytest.raises(ConfigurationError, match=f"{name}SECRET: is given twice"):
        credentials_for(mode, role, {f"{name}KEY": "k", f"{name}SECRET": "s", f"{name}SECRET_FILE": str(file)})


def test_paper_has_built_in_keys() -> None:
    assert credentials_for(Mode.PAPER, "reader", {}).api_key == "paper-reader"
    assert credentials_for(Mode.PAPER, "guardian", {}).api_secret.get_secret_value() == "paper-guardian-secret"


def test_a_secret_never_shows() -> None:
    credentials = Credentials(api_key="k", api_secret=SecretStr("hidden"))
    assert "hidden" not in f"{credentials!r} {credentials} {credentials.model_dump_json()}"


@pytest.mark.parametrize("value", ['["BTCUSDT"', "[BTCUSDT]", "BTCUSDT;ETHUSDT", '"BTCUSDT"'])
def test_symbols_are_a_list_by_commas_or_in_json(environment: pytest.MonkeyPatch, value: str) -> None:
    environment.setenv("UNDERTOW_SYMBOLS", value)
    with pytest.raises(ConfigurationError) as caught:
        load(Settings)
    assert caught.value.variable == "UNDERTOW_SYMBOLS"
    environment.setenv("UNDERTOW_SYMBOLS", '["BTCUSDT", "ETHUSDT"]')
    assert load(Settings).symbols == ("BTCUSDT", "ETHUSDT")


def test_an_empty_file_is_named_and_not_taken_for_a_value(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "mode").write_text(" \n")
    environment.setenv("UNDERTOW_MODE_FILE", str(tmp_path / "mode"))
    with pytest.raises(ConfigurationError, match="is empty") as caught:
        load(Settings)
    assert caught.value.variable == "UNDERTOW_MODE_FILE"


@pytest.mark.parametrize("key", [" ", "two words", "line\nbreak", "schlüssel"])
def test_what_no_key_can_be_is_refused(key: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        credentials_for(Mode.LIVE, "router", {"BYBIT_API_KEY": key, "BYBIT_API_SECRET": "secret"})
    assert caught.value.variable == "BYBIT_API_KEY"
    assert key.strip() == "" or key not in str(caught.value)


def test_shards_share_the_symbols_and_a_symbol_added_last_moves_none(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("UNDERTOW_SYMBOLS", "A,B,C,D,E")
    assert load(Settings).own_symbols == ("A", "B", "C", "D", "E")
    environment.setenv("UNDERTOW_SHARD", "0/2")
    assert load(Settings).own_symbols == ("A", "C", "E")
    environment.setenv("UNDERTOW_SHARD", "1/2")
    assert load(Settings).own_symbols == ("B", "D")
    environment.setenv("UNDERTOW_SYMBOLS", "A,B,C,D,E,F")
    assert load(Settings).own_symbols == ("B", "D", "F")


@pytest.mark.parametrize("shard", ["2/2", "0/0", "1", "a/b", "-1/2", "1/2/3"])
def test_a_shard_that_there_is_not_is_refused(environment: pytest.MonkeyPatch, shard: str) -> None:
    environment.setenv("UNDERTOW_SHARD", shard)
    with pytest.raises(ConfigurationError, match=r"UNDERTOW_SHARD: .*0/2 and 1/2"):
        load(Settings)


def test_a_shard_without_symbols_is_a_mistake(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("UNDERTOW_SYMBOLS", "A,B")
    environment.setenv("UNDERTOW_SHARD", "2/3")
    with pytest.raises(ConfigurationError, match="2/3 has none of the 2 symbols"):
        _ = load(Settings).own_symbols
