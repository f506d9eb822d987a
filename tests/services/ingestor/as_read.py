"""What readers get of the ingestor's effects: books as they come off the wire."""

from __future__ import annotations

from typing import Final

import msgspec

from services.ingestor.core import Effect, IngestorCore, Publish
from undertow.contracts.messages.market import Book, PackedBook

_FROM_BYTES: Final = msgspec.msgpack.Decoder(Book).decode


def as_read(effects: list[Effect]) -> list[Effect]:
    """Give the same effects with books opened."""
    return [
        Publish(effect.symbol, opened(effect.fact))
        if isinstance(effect, Publish) and isinstance(effect.fact, PackedBook)
        else effect
        for effect in effects
    ]


def opened(book: PackedBook) -> Book:
    """Send a book over the wire."""
    return _FROM_BYTES(msgspec.msgpack.encode(book))


class ReadCore(IngestorCore):
    """The ingestor's core, and the wire behind it."""

    def on_frame(self, raw: bytes, recv_ns: int) -> list[Effect]:
        return as_read(super().on_frame(raw, recv_ns))

    def on_unpublished(self, symbols, now_ns):
        return as_read(super().on_unpublished(symbols, now_ns))
