"""The model registry as the operator sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from services.cli.exits import CommandError, ExitCode
from undertow.learning.errors import ModelError
from undertow.learning.registry import DEMONSTRATION, load_entry, read_champion
from undertow.learning.settings import ModelSettings
from undertow.runtime.settings import ServiceSettings, load


class RegistrySettings(ServiceSettings):
    """Where the registry is."""

    model: ModelSettings = ModelSettings()


def entries() -> list[dict[str, Any]]:
    """List the registry's entries and the demonstration model that comes with the project.

    Raises:
        CommandError: one of them is damaged.
    """
    root = _root()
    try:
        return _entries(root)
    except ModelError as error:
        raise CommandError(ExitCode.ERROR, str(error)) from None


def _entries(root: Path) -> list[dict[str, Any]]:
    champion = read_champion(root)
    served = champion or read_champion(DEMONSTRATION)
    rows = []
    for place in (root, DEMONSTRATION):
        for path in sorted(p for p in place.glob("*") if p.is_dir()):
            entry = load_entry(place, path.name)
            rows.append(
                {
                    "hash": path.name,
                    "serves": path.name == served,
                    "demonstration": entry.card.demonstration,
                    "trained_on": entry.card.data.get("source", "unknown"),
                    "triggers": entry.card.data.get("triggers", "unknown"),
                }
            )
    return rows


def card(model_hash: str) -> Any:
    """Give one entry's card.

    Raises:
        CommandError: there is no such entry, or it is damaged.
    """
    for place in (_root(), DEMONSTRATION):
        if (place / model_hash).is_dir():
            try:
                return msgspec.to_builtins(load_entry(place, model_hash).card)
            except ModelError as error:
                raise CommandError(ExitCode.ERROR, str(error)) from None
    raise CommandError(ExitCode.NOT_FOUND, f"no model {model_hash}; `undertow model list` shows what there is")


def _root() -> Path:
    return load(RegistrySettings).model.registry
