import os
import shutil

import pytest

from services.cli.preflight import check_before_start, check_names
from tests.support import recorded
from undertow.domain.state import Mode
from undertow.learning.registry import DEMONSTRATION
from undertow.runtime.errors import ConfigurationError


@pytest.fixture(autouse=True)
def bare(monkeypatch, tmp_path):
    for name in list(os.environ):
        if name.startswith(("UNDERTOW_", "BYBIT_")):
            monkeypatch.delenv(name)
    (tmp_path / "models").mkdir()
    monkeypatch.setenv("UNDERTOW_MODEL__REGISTRY", str(tmp_path / "models"))


def refused(mode: Mode = Mode.PAPER) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        check_before_start(mode)
    assert "\n" not in str(caught.value)
    return caught.value


def test_what_a_clone_brings_passes():
    check_before_start(Mode.PAPER)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("UNDERTOW_MOED", "UNDERTOW_MODE"),
        ("UNDERTOW_PAPER__SEDE", "UNDERTOW_PAPER__SEED"),
        ("UNDERTOW_RISK__PER_TRAED", "UNDERTOW_RISK__PER_TRADE"),
        ("UNDERTOW_GUARD_DRAWDOWN_LIMIT", "UNDERTOW_GUARD__DRAWDOWN_LIMIT"),
        ("UNDERTOW_CONSOLE_PROT", "UNDERTOW_CONSOLE_PORT"),
        ("UNDERTOW_TRAINING__TREE", "UNDERTOW_TRAINING__TREES"),
    ],
)
def test_a_misspelt_setting_is_refused_with_the_name_that_was_meant(name, meant):
    with pytest.raises(ConfigurationError, match=f"did you mean {meant}\\?") as caught:
        check_names({name: "1"})
    assert caught.value.variable == name


def test_a_key_below_a_setting_of_many_keys_is_no_setting():
    with pytest.raises(ConfigurationError, match="THRESHOLDS_USDT__BTCUSDT: is not a setting"):
        check_names({"UNDERTOW_FEATURES__THRESHOLDS_USDT__BTCUSDT": "5"})


def test_a_name_in_small_letters_is_refused_since_services_do_not_get_it():
    with pytest.raises(ConfigurationError, match=r"undertow_mode: .*set UNDERTOW_MODE"):
        check_names({"undertow_mode": "live"})


def test_names_that_are_read_pass_as_values_files_and_sections():
    check_names(
        {
            "UNDERTOW_MODE": "paper",
            "UNDERTOW_RISK__PER_TRADE": "0.001",
            "UNDERTOW_BUS__URL_FILE": "/run/secrets/bus",
            "UNDERTOW_PAPER": "{}",
            "UNDERTOW_TRAINING__TREES": "10",
            "UNDERTOW_VAR": "var",
            "UNDERTOW_GIT_SHA": "0",
            "UNDERTOW_TEST_SEEDS": "3",
            "PATH": "/bin",
        }
    )


@pytest.mark.parametrize(
    "name",
    [
        "UNDERTOW_HTTP",
        "UNDERTOW_HTTP__PORT",
        "UNDERTOW_STATE_DIR",
        "UNDERTOW_SHARD",
        "UNDERTOW_ADMIN__SERVICES",
        "UNDERTOW_VENUE__TRADE_URL",
        "UNDERTOW_CLOCK__URL",
        "UNDERTOW_PAPER__START",
    ],
)
def test_what_the_launcher_chooses_itself_is_refused_rather_than_ignored(monkeypatch, name):
    monkeypatch.setenv(name, "1")
    error = refused()
    assert (error.variable, error.rule) == (name, "has no effect here, `undertow run` chooses it for each service")


def test_a_bus_may_be_given_by_its_address_or_by_a_file_that_holds_it(monkeypatch, tmp_path):
    (tmp_path / "bus").write_text("redis://127.0.0.1:1/0")
    monkeypatch.setenv("UNDERTOW_BUS__URL_FILE", str(tmp_path / "bus"))
    check_before_start(Mode.PAPER)
    monkeypatch.delenv("UNDERTOW_BUS__URL_FILE")
    monkeypatch.setenv("UNDERTOW_BUS__URL", "redis://127.0.0.1:1/0")
    check_before_start(Mode.PAPER)
    monkeypatch.setenv("UNDERTOW_BUS__URL", "127.0.0.1:1")
    assert refused().variable == "UNDERTOW_BUS__URL"


def test_settings_of_the_paper_venue_are_refused_where_real_money_trades(monkeypatch):
    monkeypatch.setenv("UNDERTOW_PAPER__TAPE", "tape.gz")
    assert refused(Mode.LIVE).variable == "UNDERTOW_PAPER__TAPE"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("UNDERTOW_PAPER__INJECT", "true"),
        ("UNDERTOW_PAPER__RATE", "0"),
        ("UNDERTOW_SYMBOLS", "FOOUSDT"),
        ("UNDERTOW_RISK__PER_TRADE", "2"),
        ("UNDERTOW_SNAPSHOT__FLUSH_ROWS", "many"),
        ("UNDERTOW_SNAPSHOT__FLUSH_SECONDS", "inf"),
        ("UNDERTOW_POLICY__PRIOR_SD_BPS", "inf"),
        ("UNDERTOW_SIGNAL__VALID_MS", "1e300"),
        ("UNDERTOW_MODEL__REGISTRY", "/nowhere/models"),
        ("UNDERTOW_ROUTER__JOURNAL", "/proc/nowhere/orders.journal"),
        ("UNDERTOW_ROUTER__JOURNAL", "/"),
        ("UNDERTOW_SNAPSHOT__ROOT", "/dev/null"),
        ("UNDERTOW_GUARD__KILL_FILE", "/dev/null"),
    ],
)
def test_a_wrong_value_is_named_before_anything_starts(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    assert refused().variable == name


@pytest.mark.parametrize(
    ("name", "value", "other", "against"),
    [
        ("UNDERTOW_RISK__SYMBOL_FRACTION", "0.1", "UNDERTOW_RISK__GROSS_FRACTION", "0.05"),
        ("UNDERTOW_WATCH__DRAWDOWN_WARNING", "0.2", "UNDERTOW_WATCH__DRAWDOWN_LIMIT", "0.1"),
        ("UNDERTOW_GUARD__REDUCE_AFTER_SECONDS", "20", "UNDERTOW_GUARD__HALT_AFTER_SECONDS", "15"),
    ],
)
def test_settings_that_contradict_each_other_are_named_both(monkeypatch, name, value, other, against):
    monkeypatch.setenv(name, value)
    monkeypatch.setenv(other, against)
    error = refused()
    assert error.variable == name
    assert other in error.rule


def test_a_certificate_that_cannot_be_used_is_named(monkeypatch, tmp_path):
    (tmp_path / "rubbish.pem").write_text("rubbish")
    monkeypatch.setenv("UNDERTOW_PAPER__TLS_CERTIFICATE", str(tmp_path / "rubbish.pem"))
    monkeypatch.setenv("UNDERTOW_PAPER__TLS_KEY", str(tmp_path / "rubbish.pem"))
    assert refused().variable == "UNDERTOW_PAPER__TLS_CERTIFICATE"


def test_a_symbol_that_the_tape_lacks_is_named(monkeypatch):
    monkeypatch.setenv("UNDERTOW_PAPER__TAPE", str(recorded("bybit/linear-20260809.rawlines.gz")))
    monkeypatch.setenv("UNDERTOW_SYMBOLS", "XRPUSDT")
    assert "holds no XRPUSDT" in refused().rule


def test_the_symbols_of_the_market_are_told(monkeypatch):
    monkeypatch.setenv("UNDERTOW_PAPER__TAPE", str(recorded("binance/usdm_ethusdt_20240808.gz")))
    assert check_before_start(Mode.PAPER) == ("ETHUSDT",)


@pytest.mark.parametrize("wrong", [b"", b"\0\xff\n", b"1786310819526357000 {}\n"])
def test_a_tape_that_cannot_be_played_is_named(monkeypatch, tmp_path, wrong):
    tape = tmp_path / "tape.txt"
    tape.write_bytes(wrong)
    monkeypatch.setenv("UNDERTOW_PAPER__TAPE", str(tape))
    error = refused()
    assert error.variable == "UNDERTOW_PAPER__TAPE"
    assert str(tape) in error.rule


@pytest.mark.parametrize("name", ["return.onnx", "fill.onnx", "card.json", "champion"])
def test_a_truncated_model_is_named(monkeypatch, tmp_path, name):
    registry = tmp_path / "registry"
    shutil.copytree(DEMONSTRATION, registry)
    damaged = next(registry.rglob(name))
    damaged.write_bytes(damaged.read_bytes()[:10])
    named = tmp_path / "named"
    named.write_text(f"{registry}\n")
    for variable, value in (("UNDERTOW_MODEL__REGISTRY", registry), ("UNDERTOW_MODEL__REGISTRY_FILE", named)):
        monkeypatch.delenv("UNDERTOW_MODEL__REGISTRY", raising=False)
        monkeypatch.setenv(variable, str(value))
        error = refused()
        assert error.variable == "UNDERTOW_MODEL__REGISTRY"
        assert str(damaged) in error.rule


def test_a_key_that_is_missing_is_named(monkeypatch):
    monkeypatch.setenv("BYBIT_API_KEY", "key of the other venue")
    monkeypatch.setenv("UNDERTOW_MODE", "demo")
    assert refused(Mode.DEMO).variable == "BYBIT_DEMO_API_KEY"


def test_the_guardian_needs_a_key_of_its_own(monkeypatch):
    monkeypatch.setenv("UNDERTOW_MODE", "demo")
    for name in ("BYBIT_DEMO_API_", "BYBIT_DEMO_GUARDIAN_API_"):
        monkeypatch.setenv(f"{name}KEY", "same")
        monkeypatch.setenv(f"{name}SECRET", "secret")
    assert refused(Mode.DEMO).variable == "the guardian's API key"
