"""Everything that can be wrong before anything is started: settings of every service, tape, model. Nothing is half-started."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import get_args

from services.cli.fleet import SERVICES
from undertow.domain.state import Mode
from undertow.learning.errors import ModelError
from undertow.learning.registry import load_serving
from undertow.learning.settings import ModelSettings
from undertow.markets.tape import TapeError, TapeSource
from undertow.runtime.errors import ConfigurationError
from undertow.runtime.settings import PREFIX, Role, credentials_for, load

_GIVEN_BY_THE_LAUNCHER = {
    "UNDERTOW_BUS__URL": "unix:///launcher.sock",
    "UNDERTOW_GUARDIAN__URL": "http://127.0.0.1:1",
    "UNDERTOW_VENUE__REST_URL": "http://127.0.0.1:1",
}


def check_before_start(mode: Mode) -> None:
    """Check what the fleet will be told, with the services' own settings models.

    Raises:
        ConfigurationError: a setting, the tape or the model is wrong; names it, the rule and the remedy.
    """
    names = (*SERVICES, "venue") if mode is Mode.PAPER else SERVICES
    absent = {name: value for name, value in _GIVEN_BY_THE_LAUNCHER.items() if name not in os.environ}
    if mode is not Mode.PAPER:
        absent.pop("UNDERTOW_VENUE__REST_URL", None)
    os.environ.update(absent)
    try:
        for name in names:
            load(importlib.import_module(f"services.{name}.settings").Settings)
    finally:
        for name in absent:
            del os.environ[name]
    for role in get_args(Role):
        credentials_for(mode, role, os.environ)
    tape = os.environ.get(f"{PREFIX}PAPER__TAPE")
    if tape and mode is Mode.PAPER:
        try:
            TapeSource(Path(tape))
        except TapeError as error:
            raise ConfigurationError(
                f"{PREFIX}PAPER__TAPE", str(error).removesuffix(f"; {error.remedy}"), error.remedy
            ) from None
    try:
        load_serving(Path(os.environ.get(f"{PREFIX}MODEL__REGISTRY") or ModelSettings().registry), mode)
    except ModelError as error:
        raise ConfigurationError(f"{PREFIX}MODEL__REGISTRY", error.problem, error.remedy) from None
