"""`undertow record`: the public stream into files, each frame as it came with the time of its receipt; no keys, nothing traded."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any, Final

from rich.console import Console

from services.cli.exits import CommandError, ExitCode
from undertow.domain.state import Mode
from undertow.exchange.budget.circuit import Circuit
from undertow.exchange.bybit.http import BybitHttp
from undertow.exchange.bybit.public_ws import BybitPublicStream, Connected, Disconnected, SubscriptionRefusedError
from undertow.exchange.errors import VenueError
from undertow.markets.blocks import BlockFile
from undertow.markets.notes import INSTRUMENTS, RISK_LIMIT, Answer, Head
from undertow.markets.rawlines import stem
from undertow.markets.recorder import Recorder
from undertow.runtime.clock import SECOND_NS, ClockFollower, MarketClock, WallClock, wall_ns
from undertow.runtime.settings import PREFIX, ServiceSettings, VenueSettings

SUFFIX: Final = ".rawlines.zst"
CONNECT_S: Final = 20.0
_MOST_CHARACTERS: Final = 21_000  # of the topics of one connection
_TURN_S: Final = 0.25
_HOUR_NS: Final = 3600 * SECOND_NS


class RecordSettings(ServiceSettings):
    """Where the stream is."""

    venue: VenueSettings = VenueSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordOptions:
    """What the person asked for.

    Attributes:
        out: the file; with rotation the stem of the files.
        kinds: of topics.
        seconds: counted from the first subscription; None = until Ctrl-C.
        sync_seconds: longest time between a frame's receipt and its being on disk.
        rotate_hours: begin a new file at each multiple of so many hours, UTC; None = never.
        rotate_mb: begin a new file when one has reached so many megabytes; None = never.
    """

    out: Path
    kinds: tuple[str, ...]
    seconds: float | None
    sync_seconds: float
    rotate_hours: float | None
    rotate_mb: float | None

    @property
    def rotates(self) -> bool:
        """Whether there will be several files."""
        return self.rotate_hours is not None or self.rotate_mb is not None


class Recording:
    """One recording, from the first connection to the last line.

    Args:
        options: what to record, and where.
        settings: which venue and symbols.
        screen: where a terminal sees how it goes.
    """

    def __init__(self, options: RecordOptions, settings: RecordSettings, screen: Console) -> None:
        self._options = options
        self._settings = settings
        self._screen = screen
        topics = [[f"{kind}.{symbol}" for symbol in settings.symbols] for kind in options.kinds]
        named = tuple(topic for request in topics for topic in request)
        if sum(map(len, named)) > _MOST_CHARACTERS:
            raise CommandError(
                ExitCode.BAD_CONFIGURATION,
                f"{len(named)} topics do not fit one connection ({_MOST_CHARACTERS} characters); record fewer symbols a process",
            )
        is_paper = settings.mode is Mode.PAPER
        self._recorder = Recorder(
            Head(
                source=settings.venue.public_url,
                mode=settings.mode.value,
                clock="market" if is_paper else "wall",
                symbols=settings.symbols,
                topics=named,
            )
        )
        circuit = Circuit(WallClock())
        self._stream = BybitPublicStream(settings.venue.public_url, topics, budget=circuit)
        self._http = BybitHttp(settings.venue.rest_url, WallClock(), budget=circuit)
        self._at_ns: Callable[[int], int] = int
        self._files: dict[str, BlockFile] = {}
        self._sizes: dict[str, int] = {}
        self._answers: list[Answer] = []
        self._asking: asyncio.Task[list[Answer]] | None = None
        self._following: asyncio.Task[None] | None = None
        self._boundary_ns = 0
        self._frames_before = 0  # of those recorded when the present file began
        self._connected_at: float | None = None
        self._trouble = ""
        self._stop = asyncio.Event()

    async def run(self) -> dict[str, Any]:
        """Record until told to stop; give the figures.

        Raises:
            CommandError: the venue is out of reach, refuses a topic, or a file cannot be written.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._stop.set)
        try:
            if self._settings.mode is Mode.PAPER:
                await self._follow_the_market()
            self._answers = await self._ask_contracts()
            self._begin()
            await self._record()
        except VenueError as error:
            raise CommandError(
                ExitCode.ERROR, f"{self._settings.venue.rest_url}: {error.message}; check address and network"
            ) from None
        finally:
            for task in (self._asking, self._following):
                if task is not None:
                    task.cancel()
            await self._http.close()
            for file in self._files.values():
                file.close()
        return self._figures()

    async def _record(self) -> None:
        reading = asyncio.create_task(self._read(), name="frames")
        try:
            await self._until_over(reading)
        finally:
            reading.cancel()
            await asyncio.wait({reading})
        if self._connected_at is not None:
            self._recorder.end("stopped" if self._stop.is_set() else "the time asked for is over", self._now_ns())
            await self._sync()

    async def _until_over(self, reading: asyncio.Task[None]) -> None:
        began = synced = monotonic()
        with self._screen.status("connecting") as status:
            while not self._stop.is_set() and not self._is_over():
                await asyncio.wait({reading}, timeout=_TURN_S)
                if reading.done():
                    reading.result()
                if self._connected_at is None and monotonic() - began > CONNECT_S:
                    words = self._trouble or f"the subscriptions were not answered within {CONNECT_S:g} s"
                    raise CommandError(
                        ExitCode.TIMED_OUT, f"{self._settings.venue.public_url}: {words}; check network and proxy"
                    )
                if self._connected_at is not None and monotonic() - synced >= self._options.sync_seconds:
                    synced = monotonic()
                    await self._sync()
                    await self._turn_over()
                status.update(self._line())

    async def _read(self) -> None:
        try:
            async with contextlib.aclosing(self._stream.events()) as events:
                async for event in events:
                    if isinstance(event, Connected):
                        self._connected_at = self._connected_at or monotonic()
                        self._trouble = ""
                        self._recorder.on_connected(self._now_ns())
                    elif isinstance(event, Disconnected):
                        self._trouble = event.reason
                        self._recorder.on_disconnected(event.reason, self._now_ns())
                    else:
                        self._recorder.on_frames((raw, self._at_ns(at_ns)) for raw, at_ns in event.frames)
        except SubscriptionRefusedError as error:
            raise CommandError(
                ExitCode.BAD_CONFIGURATION, f"the venue refuses {error}; correct --symbols or --topics"
            ) from None

    async def _sync(self) -> None:
        for part in self._recorder.take():
            try:
                if part.name not in self._files:
                    self._files[part.name] = BlockFile(self._options.out.parent / part.name)
                file = self._files[part.name]
                await asyncio.to_thread(file.write, b"".join(part.lines))
            except FileExistsError as error:
                raise CommandError(
                    ExitCode.ERROR, f"{error.filename} is there already; name another file, or remove it"
                ) from None
            except OSError as error:
                raise CommandError(
                    ExitCode.ERROR,
                    f"{error.filename}: {error.strerror}; what is in it can be played; free some space, or name another place with --out",
                ) from None
            self._sizes[part.name] = file.size
            if part.is_done:
                file.close()
                del self._files[part.name]

    async def _turn_over(self) -> None:
        for topic in self._recorder.on_time(self._now_ns()):
            await self._stream.resubscribe(topic)
        options = self._options
        size = next(reversed(self._sizes.values()), 0)
        is_due = (options.rotate_mb is not None and size >= options.rotate_mb * 1e6) or (
            options.rotate_hours is not None and wall_ns() >= self._boundary_ns
        )
        if not is_due or self._recorder.is_changing or self._trouble or self._recorder.frames == self._frames_before:
            return
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask_contracts(), name="contracts")
        if not self._asking.done():
            return
        with contextlib.suppress(VenueError):  # what the contracts were stays good enough
            self._answers = self._asking.result()
        self._asking = None
        for topic in self._begin():
            await self._stream.resubscribe(topic)

    def _begin(self) -> list[str]:
        options, now_ns = self._options, wall_ns()
        name, self._frames_before = options.out.name, self._recorder.frames
        if options.rotate_hours is not None:
            span_ns = round(options.rotate_hours * _HOUR_NS)
            self._boundary_ns = (now_ns // span_ns + 1) * span_ns
        if options.rotates:
            moment = datetime.fromtimestamp(now_ns / SECOND_NS, UTC)
            name = f"{stem(options.out)}-{moment:%Y%m%dT%H%M%S}{moment.microsecond // 1000:03d}Z{SUFFIX}"
        return self._recorder.begin(name, self._answers, self._now_ns())

    async def _follow_the_market(self) -> None:
        url = f"{self._settings.venue.rest_url.rstrip('/')}/control/clock"
        follower = ClockFollower(url)
        reading = await follower.read()
        if reading is None:
            raise CommandError(
                ExitCode.NOT_RUNNING,
                f"{url} does not answer; start the paper venue, or set {PREFIX}MODE to testnet, demo or live",
            )
        clock = MarketClock(reading)
        self._following = asyncio.create_task(follower.follow(clock), name="clock")
        self._at_ns = clock.at_ns

    async def _ask_contracts(self) -> list[Answer]:
        get = self._http.get
        return [
            Answer(path=path, symbol=symbol, result=await get(path, {"category": "linear", "symbol": symbol}))
            for path in (INSTRUMENTS, RISK_LIMIT)
            for symbol in self._settings.symbols
        ]

    def _is_over(self) -> bool:
        seconds, since = self._options.seconds, self._connected_at
        return seconds is not None and since is not None and monotonic() - since >= seconds

    def _now_ns(self) -> int:
        return self._at_ns(wall_ns())

    def _figures(self) -> dict[str, Any]:
        frames, size = self._recorder.frames, sum(self._sizes.values())
        return {
            "files": [str(self._options.out.parent / name) for name in self._sizes],
            "frames": frames,
            "frames_garbled": self._recorder.garbled,
            "bytes": size,
            "bytes_per_frame": round(size / frames, 1) if frames else 0.0,
            "connections_lost": self._recorder.lost,
            "seconds": round(monotonic() - self._connected_at, 1) if self._connected_at is not None else 0.0,
        }

    def _line(self) -> str:
        figures = self._figures()
        state = f"no connection: {self._trouble}" if self._trouble else f"{figures['bytes_per_frame']:g} bytes a frame"
        if figures["frames_garbled"]:
            state += f" · {figures['frames_garbled']:,} frames left out that are no JSON"
        return (
            f"{figures['seconds']:,.0f} s · {figures['frames']:,} frames · {figures['bytes'] / 1e6:,.1f} MB on disk · "
            f"{figures['connections_lost']} times lost · {state}"
        )
