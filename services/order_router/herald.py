"""Tells the fleet: a queue in front of the bus, so that nothing that trades ever waits for Redis.

What the journal holds is published in order, at least once. When the queue runs empty on a bus that answers, the journal gets a mark;
a restart publishes again from the mark before the last, and a bus that comes back gets the last messages again, because Redis
may lose its newest second. Readers know what they have seen: executions by id, orders by their state.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from undertow.bus.errors import BusError
from undertow.bus.ports import Bus, Topic
from undertow.contracts.messages.base import Message

MOST_WAITING: Final = 200_000
KEPT_FOR_A_RETURN: Final = 5_000
BATCH: Final = 256
RETRY_S: Final = 0.25
MARK_EVERY_S: Final = 1.0

Item = tuple[Topic, Message, tuple[int, ...]]


class Herald:
    """Publishes in order.

    Args:
        on_marked: everything that was told so far has reached the bus.
        on_failed: told of an error that it survived.
    """

    def __init__(self, bus: Bus, on_marked: Callable[[], None], on_failed: Callable[[BaseException], None]) -> None:
        self._bus = bus
        self._on_marked = on_marked
        self._on_failed = on_failed
        self._waiting: deque[Item] = deque(maxlen=MOST_WAITING)
        self._recent: deque[Item] = deque(maxlen=KEPT_FOR_A_RETURN)
        self._something = asyncio.Event()
        self._unmarked = 0
        self._marked_at = 0.0

    @property
    def waiting(self) -> int:
        """How many messages have not reached the bus."""
        return len(self._waiting)

    def tell(self, topic: Topic, message: Message, hops: tuple[int, ...] = ()) -> None:
        """Queue one message."""
        self._waiting.append((topic, message, hops))
        self._something.set()

    def tell_again(self) -> None:
        """The bus has come back: repeat what it may have lost."""
        self._waiting.extendleft(reversed(self._recent))
        self._recent.clear()
        self._something.set()

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            await self._something.wait()
            self._something.clear()
            while self._waiting:
                if not await self._publish():
                    await asyncio.sleep(RETRY_S)
            await self._mark()

    async def drain(self) -> None:
        """Publish what waits, once, before the end."""
        while self._waiting and await self._publish():
            pass

    async def _publish(self) -> bool:
        batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        try:
            await self._bus.publish_many(batch)
        except BusError as error:
            self._put_back(batch)
            self._on_failed(error)
            return False
        except BaseException:  # cancelled too: what was not told is told again
            self._put_back(batch)
            raise
        self._recent.extend(batch)
        self._unmarked += len(batch)
        return True

    async def _mark(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._unmarked and now - self._marked_at >= MARK_EVERY_S and await self._bus.connected():
            self._marked_at, self._unmarked = now, 0
            self._on_marked()

    def _put_back(self, batch: Iterable[Item]) -> None:
        self._waiting.extendleft(reversed(list(batch)))
