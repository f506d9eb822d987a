"""Writes the memory beside the event loop: a disk that refuses or hangs must not hold a kill back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from services.guardian.rules import Memory


class Scribe:
    """Keeps the newest memory; one write at a time, each the newest of its moment.

    Args:
        save: blocks until the disk has it.
        on_failed: told of a disk that refuses.
    """

    def __init__(self, save: Callable[[Memory], None], on_failed: Callable[[BaseException], None]) -> None:
        self._save = save
        self._on_failed = on_failed
        self._newest: Memory | None = None
        self._writing: asyncio.Task[None] | None = None

    def write(self, memory: Memory) -> None:
        """Begin to write; what is being written is followed by this."""
        self._newest = memory
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_newest(), name="write memory")

    async def settled(self, timeout_s: float) -> None:
        """Wait until the disk has answered for all that was written, but no longer than so many wall seconds."""
        if self._writing is not None:
            await asyncio.wait({self._writing}, timeout=timeout_s)

    async def _write_newest(self) -> None:
        while self._newest is not None:
            memory, self._newest = self._newest, None
            try:
                await asyncio.to_thread(self._save, memory)
            except OSError as error:
                self._on_failed(error)
