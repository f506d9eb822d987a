"""The market as one task: each frame at its time goes to the board, to the core, then to the subscribers, byte for byte."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from services.venue.answers import PrivateEvent
from services.venue.board import Board
from services.venue.clock import VenueClock
from services.venue.faults.renumber import Renumbering
from services.venue.feed import Feed
from services.venue.private_socket import PrivateHub
from services.venue.public_socket import PublicHub
from services.venue.spot_floor import SpotFloor
from undertow.markets.ports import MarketFrame

PULSE_SECONDS: Final = 0.005
"""Wall seconds between two looks at what is due by time alone, when no frame comes."""
_FRAMES_AT_A_STRETCH: Final = 8
"""After so many frames clients get a turn."""


class TimedCore(Protocol):
    """What the market asks of the venue's core."""

    def on_frame(self, raw: bytes, now_ns: int) -> list[PrivateEvent]:
        """Take a frame."""
        ...

    def on_time(self, now_ns: int) -> list[PrivateEvent]:
        """Do what is due."""
        ...


class Replay:
    """Plays a market; when it ends the book stands and time goes on.

    Args:
        label: what the market is.
        frames_total: how many frames it has; None when it never ends.
        feed: the frames.
        clock: market time.
        core: the venue itself.
        board: for those who ask or join later.
        public: gets the frames.
        spot: moves with them.
        private: gets what happened to accounts.
        numbers: counts book updates after a restart.
        upkeep: called with market time before each frame and at each pulse.

    Attributes:
        frames_sent: of all frames, planted ones included.
        frames_injected: of the planted ones.
        finished: whether the market has ended.
    """

    def __init__(
        self,
        label: str,
        frames_total: int | None,
        feed: Feed,
        clock: VenueClock,
        core: TimedCore,
        board: Board,
        public: PublicHub,
        spot: SpotFloor,
        private: PrivateHub,
        numbers: Renumbering,
        upkeep: Callable[[int], None],
    ) -> None:
        self.label = label
        self.frames_total = frames_total
        self.frames_sent = 0
        self.frames_injected = 0
        self.finished = False
        self._feed = feed
        self._clock = clock
        self._core = core
        self._board = board
        self._public = public
        self._spot = spot
        self._private = private
        self._numbers = numbers
        self._upkeep = upkeep

    async def run(self) -> None:
        """Play until cancelled.

        Raises:
            ConfigurationError: the market turns out not to be had.
        """
        try:
            await self._play()
        finally:
            await self._feed.close()

    @property
    def frames_dropped(self) -> Mapping[str, int]:
        """Frames of a live market that could not be played, by reason."""
        return self._feed.dropped

    def unready_reason(self) -> str | None:
        """Say why no frames can come now, though the market has not ended."""
        return self._feed.unready_reason()

    async def _play(self) -> None:
        stretch = 0
        while True:
            now_ns = self._clock.now_ns()
            frame = self._feed.take()
            if frame is None:
                self.finished = self._feed.ended
                stretch = 0
                self._pass_time(now_ns)  # the next frame is later than this
                await self._feed.wait(PULSE_SECONDS)
                now_ns = self._clock.now_ns()
                self._upkeep(now_ns)
                self._tell(self._core.on_time(now_ns))
                continue
            if stretch >= _FRAMES_AT_A_STRETCH:
                await asyncio.sleep(0)
                stretch = 0
            stretch += 1
            self._send_out(frame, max(now_ns, frame.at_ns))

    def _send_out(self, frame: MarketFrame, now_ns: int) -> None:
        self._pass_time(frame.at_ns)
        self._upkeep(now_ns)
        shown = self._numbers.apply(frame.raw)
        topic = self._board.saw(shown)
        events = self._core.on_frame(frame.raw, now_ns)
        self._public.on_frame(topic, shown, frame.at_ns)
        self._spot.follow(topic, frame.at_ns)
        self._tell(events)
        self.frames_sent += 1
        self.frames_injected += frame.injected

    def _pass_time(self, now_ns: int) -> None:
        self._public.pass_time(now_ns)
        self._spot.hub.pass_time(now_ns)

    def _tell(self, events: Sequence[PrivateEvent]) -> None:
        if events:
            self._private.publish(events)
