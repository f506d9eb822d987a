"""The model registry as the operator sees it."""

from __future__ import annotations

from typing import Any

import msgspec

from services.cli.exits import CommandError, ExitCode
from undertow.learning.errors import ModelError
from undertow.learning.registry import DEMONSTRATION, load_entry, read_champion
from undertow.learning.settings import ModelSettings


def entries() -> list[dict[str, Any]]:
    """List the registry's entries and the demonstration model that comes with the project."""
    root = ModelSettings().registry
    champion = read_champion(root)
    rows = []
    for place in (root, DEMONSTRATION):
        for path in sorted(p for p in place.glob("*") if p.is_dir()):
            entry = load_entry(place, path.name)
            rows.append(
                {
                    "hash": path.name,
                    "champion": path.name == champion,
                    "demonstration": entry.card.demonstration,
                    "trained_on": entry.card.data,
                }
            )
    return rows


def card(model_hash: str) -> Any:
    """Give one entry's card.

    Raises:
        CommandError: there is no such entry, or it is damaged.
    """
    for place in (ModelSettings().registry, DEMONSTRATION):
        if (place / model_hash).is_dir():
            try:
                return msgspec.to_builtins(load_entry(place, model_hash).card)
            except ModelError as error:
                raise CommandError(ExitCode.ERROR, str(error)) from None
    raise CommandError(ExitCode.NOT_FOUND, f"no model {model_hash}; `undertow model list` shows what there is")
