"""Which writers of the store are this process's: one for each symbol of its shard; the first shard also stores what has no symbol.

A writer's name is its symbol's, so what is known of it is found by whichever shard has the symbol at the next start, however many there
are. Writers whose symbol nobody has any more are the first shard's to tidy.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from services.snapshotter.core import FAMILY, Memory, decoded, writer_of
from services.snapshotter.settings import Settings
from undertow.runtime.errors import ConfigurationError
from undertow.storage.errors import StorageError, StoreRefusedError
from undertow.storage.settings import ROOT_VARIABLE
from undertow.storage.store import Store, Writer


@dataclass(frozen=True, slots=True)
class Claims:
    """What is ours until the end of this process.

    Attributes:
        writers: by name, for what this shard reads.
        left: of symbols that are no longer among the fleet's.
        stored: what each of `writers` has stored.
    """

    writers: dict[str, Writer]
    left: dict[str, Writer]
    stored: dict[str, Memory]

    @property
    def all(self) -> tuple[Writer, ...]:
        """Every writer whose files are ours to tidy."""
        return (*self.writers.values(), *self.left.values())

    def give_up(self) -> None:
        """Let others have them."""
        for writer in self.all:
            writer.close()


def claimed(store: Store, settings: Settings) -> Claims:
    """Open the writers of a shard.

    Raises:
        ConfigurationError: the store refuses, is damaged, or another process has one of the symbols.
    """
    of_no_symbol = ("",) if settings.is_first_shard else ()
    try:
        writers = store.writers(writer_of(symbol) for symbol in (*settings.own_symbols, *of_no_symbol))
        left = _left(store, settings.symbols) if settings.is_first_shard else {}
    except StoreRefusedError as error:
        raise ConfigurationError(ROOT_VARIABLE, error.rule, error.remedy) from None
    except StorageError as error:
        raise ConfigurationError(ROOT_VARIABLE, str(error), "correct it, or name another place") from None
    return Claims(writers, left, {name: _remembered(store, writer) for name, writer in writers.items()})


def _left(store: Store, symbols: Iterable[str]) -> dict[str, Writer]:
    of_the_fleet = {writer_of(symbol) for symbol in ("", *symbols)}
    return store.writers(name for name in store.progress(FAMILY) if name not in of_the_fleet)


def _remembered(store: Store, writer: Writer) -> Memory:
    try:
        return decoded(bytes(writer.progress.state))
    except msgspec.MsgspecError as error:
        raise ConfigurationError(
            ROOT_VARIABLE, f"the progress of {writer.name} in {store.address} is none of ours ({error})", "name another"
        ) from None
