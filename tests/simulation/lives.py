"""Processes within one process: a life is all that runs in one context; the loop can stop it, let it go on, or end it as `kill -9` does.

A life that is killed never runs again: not its tasks, not its timers, not its `finally`. One that is stopped (SIGSTOP) goes on where it
was, with everything that came due meanwhile. Threads take their time in virtual time and belong to the life that started them.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import heapq
import random
import warnings
from collections.abc import Callable, Coroutine
from typing import Any, Final

from tests.virtual.loop import VirtualLoop

LONGEST_THREAD_S: Final = 0.03


class Killed(BaseException):
    """Ends the callback in which a life dies; nothing of that life runs after it."""


class Life:
    """One process from start to end.

    Attributes:
        name: of the service.
        number: of its starts, the first is 1.
    """

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.number = number
        self.is_over = False
        self.is_stopped = False
        self.held: list[tuple[bool, Any]] = []  # whether it is a timer, and its handle
        self.signals: dict[int, Callable[[], None]] = {}
        self.tasks: list[asyncio.Task[Any]] = []
        self.farewells: list[Callable[[], None]] = []  # what the kernel does when it ends: its sockets are closed

    def __repr__(self) -> str:
        return f"{self.name}/{self.number}"


LIFE: Final[contextvars.ContextVar[Life | None]] = contextvars.ContextVar("LIFE", default=None)


class LivingLoop(VirtualLoop):
    """The loop."""

    def __init__(self, seed: int) -> None:
        self._threads = random.Random(f"threads of {seed}")
        super().__init__(seed)
        self.set_task_factory(_of_its_life)
        self._nothing = asyncio.Handle(lambda: None, (), self)
        self._nothing.cancel()

    def begin(self, life: Life, work: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
        """Start a process."""
        context = contextvars.Context()
        context.run(LIFE.set, life)
        return context.run(lambda: self.create_task(work(), name=repr(life)))

    def kill(self, life: Life) -> None:
        """End a process as `kill -9` does."""
        if life.is_over:
            return
        life.is_over = True
        life.held.clear()
        for handle in (*self._ready, *self._scheduled):
            if _life_of(handle) is life:
                handle.cancel()
        for farewell in life.farewells:
            farewell()

    def stop_life(self, life: Life) -> None:
        """SIGSTOP."""
        if life.is_stopped or life.is_over:
            return
        life.is_stopped = True
        for at, handle in enumerate(self._ready):
            if _life_of(handle) is life and not handle.cancelled():
                life.held.append((False, handle))
                self._ready[at] = self._nothing  # the loop counts what it is going through
        timers = [timer for timer in self._scheduled if _life_of(timer) is life and not timer.cancelled()]
        life.held += [(True, timer) for timer in timers]
        self._scheduled = [timer for timer in self._scheduled if timer.cancelled() or _life_of(timer) is not life]
        heapq.heapify(self._scheduled)

    def resume_life(self, life: Life) -> None:
        """SIGCONT."""
        if not life.is_stopped or life.is_over:
            return
        life.is_stopped = False
        held, life.held = life.held, []
        for is_timer, handle in held:
            if handle.cancelled():
                continue
            if is_timer:
                handle._scheduled = True
                heapq.heappush(self._scheduled, handle)
            else:
                self._ready.append(handle)

    def signal(self, life: Life, number: int) -> None:
        """Send a signal that it handles."""
        handler = life.signals.get(number)
        if handler is not None and not life.is_over:
            context = contextvars.Context()
            context.run(LIFE.set, life)
            self.call_soon(handler, context=context)

    # what asyncio asks of a loop

    def call_soon(self, callback: Any, *args: Any, context: contextvars.Context | None = None) -> asyncio.Handle:
        life = LIFE.get() if context is None else context.get(LIFE)
        if life is None or not (life.is_over or life.is_stopped):
            return super().call_soon(callback, *args, context=context)
        handle = asyncio.Handle(callback, args, self, context)
        if not life.is_over:
            life.held.append((False, handle))
        return handle

    def call_at(
        self, when: float, callback: Any, *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        life = LIFE.get() if context is None else context.get(LIFE)
        if life is None or not (life.is_over or life.is_stopped):
            return super().call_at(when, callback, *args, context=context)
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        if not life.is_over:
            life.held.append((True, timer))
        return timer

    def run_in_executor(self, _executor: Any, function: Any, *args: Any) -> Any:
        future = self.create_future()
        self.call_later(self._threads.uniform(0.0, LONGEST_THREAD_S), _work, future, function, args)
        return future

    def add_signal_handler(self, sig: int, callback: Callable[..., object], *args: Any) -> None:
        life = LIFE.get()
        assert life is not None
        life.signals[sig] = lambda: callback(*args)

    def remove_signal_handler(self, sig: int) -> bool:
        life = LIFE.get()
        assert life is not None
        return life.signals.pop(sig, None) is not None


def bury(lives: list[Life]) -> None:
    """Take the remains apart: what never ran to its end must not do it when the garbage collector comes by."""
    warnings.simplefilter("ignore", RuntimeWarning)  # coroutines that never began, and some that mind
    for life in lives:
        life.is_over = True
        for task in life.tasks:
            task._log_destroy_pending = False
            with contextlib.suppress(BaseException):  # what it says to its end is of no interest any more
                task.get_coro().close()
        life.tasks.clear()
        life.held.clear()


def _of_its_life(loop: asyncio.AbstractEventLoop, work: Any, **how: Any) -> asyncio.Task[Any]:
    task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, **how)
    context = how.get("context")
    life = LIFE.get() if context is None else context.get(LIFE)
    if life is not None:
        life.tasks.append(task)
    return task


def _work(future: asyncio.Future[Any], function: Any, args: Any) -> None:
    if future.cancelled():
        return
    try:
        future.set_result(function(*args))
    except Killed:
        raise
    except BaseException as error:  # noqa: BLE001 - it is told to who waits for the thread, whatever it was
        future.set_exception(error)


def _life_of(handle: asyncio.Handle) -> Life | None:
    context = handle._context
    return None if context is None else context.get(LIFE)
