"""Which market the settings ask for: a recording, one with planted cascades, a live upstream, or the generated one."""

from __future__ import annotations

from dataclasses import dataclass, replace

from structlog.stdlib import BoundLogger

from services.venue.clock import VenueClock
from services.venue.feed import Feed, Played
from services.venue.settings import Settings
from services.venue.upstream import LiveMarket, UpstreamFeed, fetch_contracts
from undertow.markets.generated import FRAME_RATE, GeneratedMarket
from undertow.markets.injection import InjectedSource
from undertow.markets.instruments import instruments_for, known_symbols
from undertow.markets.ports import FrameSource
from undertow.markets.rawlines import TapeError
from undertow.markets.recordings import Recording, open_recording
from undertow.markets.tape import TapeSource
from undertow.runtime.errors import ConfigurationError
from undertow.runtime.metrics import Metrics
from undertow.runtime.settings import PREFIX


@dataclass(frozen=True, slots=True)
class Choice:
    """A market and how many frames it has; None when it never ends."""

    source: FrameSource | LiveMarket
    frames_total: int | None

    def feed(self, clock: VenueClock, log: BoundLogger, metrics: Metrics) -> Feed:
        """Play the source; a generated market begins where the clock does."""
        source = self.source
        if isinstance(source, LiveMarket):
            return UpstreamFeed(source, clock, log, metrics)
        if isinstance(source, GeneratedMarket):
            return Played(lambda: replace(source, origin_ns=clock.reading.origin_ns).frames(), clock)
        return Played(source.frames, clock)


def choose_market(settings: Settings) -> Choice:
    """Open the market and count it.

    Raises:
        ConfigurationError: the market is not to be had.
    """
    source = open_market(settings)
    if isinstance(source, Recording):
        return Choice(source, source.frame_count)
    if isinstance(source, InjectedSource):
        return Choice(source, sum(1 for _ in source.frames()))
    return Choice(source, None)


def open_market(settings: Settings) -> FrameSource | LiveMarket:
    """Open the market.

    Raises:
        ConfigurationError: the tape cannot be replayed, the upstream does not tell its contracts, or a symbol is not to be had.
    """
    paper = settings.paper
    if paper.upstream is not None:
        if paper.upstream_rest is not None:
            return LiveMarket(paper.upstream, fetch_contracts(paper.upstream_rest, settings.symbols))
        _require_known(settings.symbols, f"{PREFIX}SYMBOLS", f"set {PREFIX}PAPER__UPSTREAM_REST, or name some of these")
        return LiveMarket(paper.upstream, instruments_for(settings.symbols))
    if paper.tape is None:
        _require_known(settings.symbols, f"{PREFIX}SYMBOLS", "name some of these")
        try:
            return GeneratedMarket(
                symbols=settings.symbols,
                seed=paper.seed,
                manner=paper.market or "demonstration",
                planted_edge_bps=paper.edge_bps,
                frame_rate=FRAME_RATE if paper.frame_rate is None else paper.frame_rate,
            )
        except ValueError as error:
            raise ConfigurationError(f"{PREFIX}SYMBOLS", str(error), "correct it") from error
    try:
        tape = open_recording(paper.tape)
    except TapeError as error:
        rule = str(error).removesuffix(f"; {error.remedy}")
        raise ConfigurationError(f"{PREFIX}PAPER__TAPE", rule, error.remedy) from error
    if isinstance(tape, TapeSource):
        unknown = tuple(symbol for symbol in tape.symbols if symbol not in tape.contracts)
        _require_known(
            unknown, f"{PREFIX}PAPER__TAPE", "record them with `undertow record`, which keeps filters, or only these"
        )
    missing = [symbol for symbol in settings.symbols if symbol not in tape.symbols]
    if missing and "symbols" in settings.model_fields_set:
        rule = f"{tape.path} holds no {', '.join(missing)}, only {', '.join(tape.symbols)}"
        raise ConfigurationError(f"{PREFIX}SYMBOLS", rule, "name only what the tape holds")
    return InjectedSource(tape, paper.seed) if paper.inject else tape


def _require_known(symbols: tuple[str, ...], variable: str, remedy: str) -> None:
    known = known_symbols()
    unknown = [symbol for symbol in symbols if symbol not in known]
    if unknown:
        raise ConfigurationError(
            variable, f"the filters of {', '.join(unknown)} are not known", f"{remedy}: {', '.join(known)}"
        )
