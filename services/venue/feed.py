"""What the market's task asks for its next frame, and the feed of a source that is there in advance."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final, Protocol

from services.venue.clock import VenueClock
from undertow.markets.ports import MarketFrame

_SHORTEST_NAP_S: Final = 0.001
"""What a loop's timers can tell apart; a shorter nap would spin."""


class Feed(Protocol):
    """The frames of a market as they fall due."""

    @property
    def ended(self) -> bool:
        """Whether there will be no frame any more."""
        ...

    @property
    def dropped(self) -> Mapping[str, int]:
        """Frames that could not be played, by reason."""
        ...

    def take(self) -> MarketFrame | None:
        """Give the next frame if it is due, else None."""
        ...

    async def wait(self, longest_s: float) -> None:
        """Return when a frame may be due, at the latest after this many wall seconds."""
        ...

    def unready_reason(self) -> str | None:
        """Say why no frames can come now, though the market has not ended."""
        ...

    async def close(self) -> None:
        """Let go of what it holds."""
        ...


class Played:
    """A source that is there in advance: each frame falls due at its own market time, none before the market opens.

    Args:
        frames: begins the source; called when the market opens, so that a market of the wall clock can begin then.
        clock: market time.
    """

    dropped: Mapping[str, int] = MappingProxyType({})
    """What is there in advance was looked at before."""

    def __init__(self, frames: Callable[[], Iterator[MarketFrame]], clock: VenueClock) -> None:
        self._begin = frames
        self._clock = clock
        self._frames: Iterator[MarketFrame] | None = None
        self._next: MarketFrame | None = None
        self.ended = False

    def take(self) -> MarketFrame | None:
        """Give the next frame if it is due, else None."""
        if self._frames is None:
            if not self._clock.is_open:
                return None
            self._frames = self._begin()
            self._advance()
        frame = self._next
        if frame is None or frame.at_ns > self._clock.now_ns():
            return None
        self._advance()
        return frame

    async def wait(self, longest_s: float) -> None:
        """Return when the next frame is due, at the latest after this many wall seconds."""
        left = longest_s if self._next is None else self._clock.wall_seconds_until(self._next.at_ns)
        await asyncio.sleep(max(_SHORTEST_NAP_S, min(longest_s, left)))

    def unready_reason(self) -> str | None:
        """Give None: what is there in advance can always be played."""
        return None

    async def close(self) -> None:
        """Hold nothing."""

    def _advance(self) -> None:
        if self._frames is not None:
            self._next = next(self._frames, None)
            self.ended = self._next is None
