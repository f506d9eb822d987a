"""The job without its wires: a market becomes a dataset, the dataset a model and its card."""

from __future__ import annotations

from collections.abc import Callable

from services.trainer.settings import TrainingSettings
from undertow.learning.dataset import build_dataset, events_by_symbol
from undertow.learning.train import Trained, train
from undertow.markets.generated import GeneratedMarket
from undertow.markets.generated_wire import CONTRACTS


def train_demonstration(
    symbols: tuple[str, ...], settings: TrainingSettings, progress: Callable[[str, float], None]
) -> Trained:
    """Train on the generated market; same arguments, same bytes.

    Args:
        symbols: whose markets are generated.
        settings: all choices.
        progress: gets the step's name and the share of the whole job done, 0 to 1.

    Raises:
        ValueError: a symbol or setting that the generated market does not know.
        DatasetError: too few triggers.
        ModelError: the export is not the model.
    """
    market = GeneratedMarket(
        symbols,
        seed=settings.market_seed,
        cascade_interval_s=settings.cascade_interval_s,
        planted_edge_bps=settings.planted_edge_bps,
    )
    events = events_by_symbol(market, settings.market_seconds, lambda share: progress("market", 0.7 * share))
    progress("vectors and labels", 0.7)
    dataset = build_dataset(events, {symbol: CONTRACTS[symbol].tick for symbol in symbols}, market.label)
    shares = iter((0.75, 0.85, 0.94, 0.97))
    trained = train(
        dataset,
        settings.plan(),
        demonstration=True,
        data={
            "market": "generated",
            "market_seed": settings.market_seed,
            "market_seconds": settings.market_seconds,
            "symbols": list(symbols),
        },
        progress=lambda step: progress(step, next(shares)),
    )
    progress("done", 1.0)
    return trained
