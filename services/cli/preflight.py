"""Everything that can be wrong before anything is started: names, settings of every service, market, model. Nothing is half-started."""

from __future__ import annotations

import difflib
import importlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, get_args

from services.cli.fleet import SERVICES
from services.cli.registry import RegistrySettings
from services.cli.settings import Settings as CommandSettings
from undertow.domain.state import Mode
from undertow.learning.errors import ModelError
from undertow.learning.registry import load_serving
from undertow.runtime.errors import ConfigurationError
from undertow.runtime.settings import FILE_SUFFIX, PREFIX, Role, ServiceSettings, credentials_for, load, variables

_GIVEN_BY_THE_LAUNCHER: Final = {
    f"{PREFIX}BUS__URL": "unix:///launcher.sock",
    f"{PREFIX}GUARDIAN__URL": "http://127.0.0.1:1",
}
_GIVEN_IN_PAPER: Final = {f"{PREFIX}VENUE__REST_URL": "http://127.0.0.1:1"}
_LAUNCHERS: Final = frozenset({"GUARDIAN", "HTTP", "STATE_DIR", "SHARD", "ADMIN__SERVICES"})
_LAUNCHERS_IN_PAPER: Final = frozenset({"VENUE", "CLOCK", "PAPER__START"})
_NOT_SETTINGS: Final = (f"{PREFIX}GIT_SHA", f"{PREFIX}TEST_")


def check_before_start(mode: Mode) -> tuple[str, ...]:
    """Check what the fleet will be told, with the services' own settings models.

    Returns:
        The symbols of the paper venue's market; none outside paper mode.

    Raises:
        ConfigurationError: a setting, the tape or the model is wrong; names it, the rule and the remedy.
    """
    check_names(os.environ)
    _check_reach(os.environ, mode)
    with _as_the_launcher_will_tell(mode):
        told = {name: load(_settings_of(name)) for name in SERVICES}
    _check_places(told)
    symbols = check_market() if mode is Mode.PAPER else ()
    _check_keys(mode)
    check_model(mode)
    return symbols


def check_names(environment: Mapping[str, str]) -> None:
    """Refuse a variable with our prefix that nobody reads: a misspelt setting would be ignored in silence.

    Raises:
        ConfigurationError: with the nearest name that is read.
    """
    known = _known_names()
    for name in sorted(environment):
        if not name.upper().startswith(PREFIX) or name in known or name.startswith(_NOT_SETTINGS):
            continue
        if name.upper() in known:
            raise ConfigurationError(name, "is not in capitals, so services would not get it", f"set {name.upper()}")
        near = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.7)
        remedy = f"did you mean {near[0]}? correct the name or unset it" if near else "correct the name or unset it"
        raise ConfigurationError(name, "is not a setting of any service", remedy)


def check_market() -> tuple[str, ...]:
    """Open the market that the paper venue would show, and its certificate if it speaks TLS; give the market's symbols.

    Raises:
        ConfigurationError: the tape cannot be replayed, a symbol is not to be had, or the certificate cannot be used.
    """
    settings: Any = load(_settings_of("venue"))
    market = importlib.import_module("services.venue.market_choice").open_market(settings)
    importlib.import_module("services.venue.tls").open_tls(settings.paper)
    symbols: tuple[str, ...] = market.symbols
    return symbols


def check_model(mode: Mode) -> None:
    """Verify the model that would serve.

    Raises:
        ConfigurationError: there is none for this mode, or it is damaged.
    """
    variable, model = f"{PREFIX}MODEL__REGISTRY", load(RegistrySettings).model
    if "registry" in model.model_fields_set and not model.registry.is_dir():
        raise ConfigurationError(variable, f"{model.registry} is not a folder", "correct it, or make the folder")
    try:
        load_serving(model.registry, mode)
    except ModelError as error:
        raise ConfigurationError(variable, error.problem, error.remedy) from None


def _check_places(told: Mapping[str, Any]) -> None:
    journal: Path | None = told["order_router"].router.journal
    if journal is not None:
        if journal.is_dir():
            raise ConfigurationError(f"{PREFIX}ROUTER__JOURNAL", f"{journal} is a folder", "name a file")
        _check_folder(f"{PREFIX}ROUTER__JOURNAL", journal.parent)
    store = told["snapshotter"].snapshot
    if "root" in store.model_fields_set and store.is_local:
        _check_folder(f"{PREFIX}SNAPSHOT__ROOT", Path(store.root))
    kill_file: Path | None = told["guardian"].guard.kill_file
    if kill_file is not None and kill_file.exists():
        rule = f"{kill_file} is there, so the guardian would halt at once"
        raise ConfigurationError(f"{PREFIX}GUARD__KILL_FILE", rule, "remove it, or name another")


def _check_folder(variable: str, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ConfigurationError(
            variable, f"{folder} cannot be written ({error.strerror})", "name a place of your own"
        ) from None


def _check_keys(mode: Mode) -> None:
    keys = {role: credentials_for(mode, role, os.environ).api_key for role in get_args(Role)}
    if keys["guardian"] == keys["router"]:
        rule = "is the fleet's own key, and what stops that key would stop the guardian too"
        raise ConfigurationError("the guardian's API key", rule, "make a key of its own for it")


def _check_reach(environment: Mapping[str, str], mode: Mode) -> None:
    in_paper = mode is Mode.PAPER
    chosen = _LAUNCHERS | _LAUNCHERS_IN_PAPER if in_paper else _LAUNCHERS
    for name in sorted(name for name in environment if name.startswith(PREFIX)):
        setting = name.removeprefix(PREFIX).removesuffix(FILE_SUFFIX)
        section = setting.partition("__")[0]
        if not chosen.isdisjoint({setting, section}):
            remedy = f"unset it; the console's port is {PREFIX}CONSOLE_PORT" if section == "HTTP" else "unset it"
            raise ConfigurationError(name, "has no effect here, `undertow run` chooses it for each service", remedy)
        if section == "PAPER" and not in_paper:
            raise ConfigurationError(
                name, f"is for the paper venue, but {PREFIX}MODE is {mode}", f"unset it or set {PREFIX}MODE to paper"
            )


def _settings_of(service: str) -> type[ServiceSettings]:
    settings: type[ServiceSettings] = importlib.import_module(f"services.{service}.settings").Settings
    return settings


def _known_names() -> frozenset[str]:
    known: set[str] = set()
    models: list[type[ServiceSettings]] = [CommandSettings]
    models += [_settings_of(name) for name in (*SERVICES, "venue", "trainer")]
    for model in models:
        values = variables(model)
        known.update(values, (value + FILE_SUFFIX for value in values))
        known.update(value.partition("__")[0] for value in values)  # a whole section as JSON
    return frozenset(known)


def _is_given(variable: str) -> bool:
    return not os.environ.keys().isdisjoint({variable, variable + FILE_SUFFIX, variable.partition("__")[0]})


@contextmanager
def _as_the_launcher_will_tell(mode: Mode) -> Iterator[None]:
    told = _GIVEN_BY_THE_LAUNCHER | (_GIVEN_IN_PAPER if mode is Mode.PAPER else {})
    absent = {name: value for name, value in told.items() if not _is_given(name)}
    os.environ.update(absent)
    try:
        yield
    finally:
        for name in absent:
            del os.environ[name]
