"""A disk in memory that forgets: what was written and not synced is lost, or half lost, when the power goes; names of files too.

Held to what `undertow.runtime.disk` says; the end of a process loses nothing that was written, and frees its locks.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from tests.simulation.lives import LIFE, Life


class Inode:
    """A file: its bytes, and how many of them the disk has for certain."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.synced = 0


class SimulatedDisk:
    """Implements `Disk`.

    Args:
        chance: decides what half of a lost write survives.
        at_port: called with the name of each verb before it is done, and with the name and "+" after it; may end the process.
    """

    def __init__(self, chance: random.Random, at_port: Callable[[str], None]) -> None:
        self._chance = chance
        self._at_port = at_port
        self._names: dict[Path, Inode] = {}
        self._safe_names: dict[Path, Inode] = {}
        self._locks: dict[Path, Life | None] = {}

    def lose_power(self) -> None:
        """Keep what was synced, and of the rest what chance spares."""
        names = dict(self._safe_names)
        for path, inode in self._names.items():
            if names.get(path) is not inode and self._chance.random() < 0.5:  # the directory reached the disk by itself
                names[path] = inode
        self._names = names
        self._safe_names = dict(names)
        for inode in set(map(id, names.values())):
            file = next(each for each in names.values() if id(each) == inode)
            unsynced = len(file.data) - file.synced
            if unsynced:
                kept = self._chance.choice((0, 0, self._chance.randint(0, unsynced)))
                del file.data[file.synced + kept :]
            file.synced = len(file.data)

    def safe(self, path: Path) -> bytes:
        """Give what the disk has of a file for certain."""
        inode = self._safe_names.get(path)
        return b"" if inode is None else bytes(inode.data[: inode.synced])

    # Disk

    def make_directory(self, path: Path) -> None:
        self._at_port("disk.make_directory")

    def lock(self, path: Path) -> SimulatedLock:
        self._at_port("disk.lock")
        holder = self._locks.get(path)
        if holder is not None and not holder.is_over:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        self._locks[path] = LIFE.get()
        return SimulatedLock(self._locks, path)

    def read(self, path: Path) -> bytes:
        self._at_port("disk.read")
        inode = self._names.get(path)
        if inode is None:
            raise FileNotFoundError(2, "No such file or directory", str(path))
        return bytes(inode.data)

    def append(self, path: Path) -> SimulatedFile:
        self._at_port("disk.open")
        return SimulatedFile(self._names.setdefault(path, Inode()), self._at_port)

    def create(self, path: Path) -> SimulatedFile:
        self._at_port("disk.open")
        inode = self._names.setdefault(path, Inode())
        inode.data.clear()
        inode.synced = 0
        return SimulatedFile(inode, self._at_port)

    def link(self, path: Path, also: Path) -> None:
        self._at_port("disk.link")
        self._names[also] = self._names[path]

    def replace(self, path: Path, by: Path) -> None:
        self._at_port("disk.replace")
        self._names[path] = self._names.pop(by)
        self._safe_names = {
            **{name: inode for name, inode in self._safe_names.items() if name.parent != path.parent},
            **{name: inode for name, inode in self._names.items() if name.parent == path.parent},
        }
        self._at_port("disk.replace+")


class SimulatedFile:
    """Implements `File`."""

    def __init__(self, inode: Inode, at_port: Callable[[str], None]) -> None:
        self._inode = inode
        self._at_port = at_port

    def write(self, data: bytes) -> None:
        self._at_port("disk.write")
        self._inode.data += data
        self._at_port("disk.write+")

    def sync(self) -> None:
        self._at_port("disk.sync")
        self._inode.synced = len(self._inode.data)
        self._at_port("disk.sync+")

    def truncate(self, length: int) -> None:
        self._at_port("disk.truncate")
        del self._inode.data[length:]
        self._inode.synced = min(self._inode.synced, length)

    def close(self) -> None:
        self._at_port("disk.close")


class SimulatedLock:
    """Implements `Lock`."""

    def __init__(self, locks: dict[Path, Life | None], path: Path) -> None:
        self._locks = locks
        self._path = path

    def close(self) -> None:
        self._locks.pop(self._path, None)
