"""Child processes that cannot outlive the launcher: start, watch, restart, stop.

On Linux each child is killed by the kernel when the launcher dies (PR_SET_PDEATHSIG), even by `kill -9`. Children are leaders of their
own sessions, so a Ctrl-C in the terminal reaches the launcher alone and it stops them in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import monotonic

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
_MAX_BACKOFF_SECONDS = 5.0
_STEADY_SECONDS = 30.0
_MAX_RAPID_RESTARTS = 5


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """What to start.

    Attributes:
        log: file that gets what the process prints.
        essential: True when the run cannot go on without it and it must not be restarted (it owns the market).
        niceness: 0 for those on an order's way; above 0 for those that give way to them.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    log: Path
    essential: bool = False
    niceness: int = 0


@dataclass(slots=True)
class _Child:
    spec: ProcessSpec
    process: asyncio.subprocess.Process
    watcher: asyncio.Task[None] | None = None
    restarts: int = 0
    rapid_restarts: int = 0
    started: float = field(default_factory=monotonic)


class Supervisor:
    """Keeps the fleet's processes alive until told to stop.

    A process that ends is started again with growing pauses; one that ends `_MAX_RAPID_RESTARTS` times in a row without having
    stayed up for `_STEADY_SECONDS` is given up, which is reported through `on_failure` with the last line it printed.
    """

    def __init__(self, on_failure: Callable[[str, str], None]) -> None:
        self._children: dict[str, _Child] = {}
        self._on_failure = on_failure
        self._stopping = False

    @property
    def restarts(self) -> dict[str, int]:
        """How often each process was started again; those never restarted are absent."""
        return {name: child.restarts for name, child in self._children.items() if child.restarts}

    def pid(self, name: str) -> int:
        """Process id of a child."""
        return self._children[name].process.pid

    async def start(self, spec: ProcessSpec) -> None:
        """Start a process and keep it alive."""
        child = _Child(spec, await _spawn(spec))
        self._children[spec.name] = child
        child.watcher = asyncio.create_task(self._watch(child), name=f"watch {spec.name}")

    async def stop(self, name: str, grace_seconds: float) -> int:
        """Ask a process to end, insist after `grace_seconds`; give its exit code."""
        child = self._children[name]
        if child.watcher:
            child.watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await child.watcher
        return await _end(child.process, grace_seconds)

    async def stop_all(self, order: Sequence[str], grace_seconds: float = 8.0) -> dict[str, int]:
        """Stop the named processes one group after the other, then whatever is left; give the exit codes."""
        self._stopping = True
        codes: dict[str, int] = {}
        for name in [*order, *(n for n in self._children if n not in order)]:
            if name in self._children and name not in codes:
                codes[name] = await self.stop(name, grace_seconds)
        return codes

    async def _watch(self, child: _Child) -> None:
        while True:
            code = await child.process.wait()
            if self._stopping:
                return
            steady = monotonic() - child.started > _STEADY_SECONDS
            child.rapid_restarts = 0 if steady else child.rapid_restarts + 1
            if child.spec.essential or child.rapid_restarts > _MAX_RAPID_RESTARTS:
                self._on_failure(child.spec.name, f"ended with code {code}: {last_line(child.spec.log)}")
                return
            await asyncio.sleep(min(_MAX_BACKOFF_SECONDS, 0.2 * 2 ** (child.rapid_restarts - 1)) if not steady else 0)
            child.process = await _spawn(child.spec)
            child.started = monotonic()
            child.restarts += 1


async def run_to_end(spec: ProcessSpec) -> int:
    """Run a process that ends by itself; give its exit code. Cancelled, it takes the process along."""
    process = await _spawn(spec)
    try:
        return await process.wait()
    finally:
        await _end(process, 0.0)


async def _spawn(spec: ProcessSpec) -> asyncio.subprocess.Process:
    spec.log.parent.mkdir(parents=True, exist_ok=True)
    with spec.log.open("ab") as log:
        return await asyncio.create_subprocess_exec(
            *spec.argv,
            env=dict(spec.env),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=partial(_begin, os.getpid(), spec.niceness),
        )


def _begin(parent: int, niceness: int) -> None:
    os.nice(niceness)
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # the launcher died between fork and prctl
        os._exit(1)


async def _end(process: asyncio.subprocess.Process, grace_seconds: float) -> int:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(grace_seconds):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
    return await process.wait()


def last_line(log: Path) -> str:
    """Give the last line of a log, for the one line a person sees."""
    try:
        lines = log.read_text(errors="replace").strip().splitlines()
    except OSError:
        return "it left no log"
    return lines[-1] if lines else "it printed nothing"
