"""Writes a value beside the event loop: a disk that refuses or hangs must not hold back who has more urgent things to do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Scribe(Generic[T]):
    """Keeps the newest value; one write at a time, each the newest of its moment.

    Args:
        save: blocks until the disk has it.
        on_failed: told of a disk that refuses.
    """

    def __init__(self, save: Callable[[T], None], on_failed: Callable[[BaseException], None]) -> None:
        self._save = save
        self._on_failed = on_failed
        self._newest: list[T] = []
        self._writing: asyncio.Task[None] | None = None

    def write(self, value: T) -> None:
        """Begin to write; what is being written is followed by this."""
        self._newest = [value]
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_newest(), name="write memory")

    async def settled(self, timeout_s: float) -> None:
        """Wait until the disk has answered for all that was written, but no longer than so many wall seconds."""
        if self._writing is not None:
            await asyncio.wait({self._writing}, timeout=timeout_s)

    async def _write_newest(self) -> None:
        while self._newest:
            value = self._newest.pop()
            try:
                await asyncio.to_thread(self._save, value)
            except OSError as error:
                self._on_failed(error)
