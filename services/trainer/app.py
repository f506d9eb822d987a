"""The shell of the trainer: settings in, a registry entry and its metrics out, behind a progress bar."""

from __future__ import annotations

import sys
import time
from typing import Final, NoReturn

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from services.trainer.core import train_demonstration
from services.trainer.settings import Settings
from undertow.learning.errors import LearningError
from undertow.learning.registry import Card, promote, write_entry
from undertow.runtime.errors import ConfigurationError
from undertow.runtime.settings import load

EXIT_ERROR: Final = 1
EXIT_CONFIGURATION: Final = 4


def job(settings: Settings, console: Console) -> str:
    """Train, write the entry, print its card's numbers; give its hash."""
    began = time.monotonic()
    registry = settings.model.registry
    with Progress(
        TextColumn("{task.description:<20}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        console=console,
    ) as bar:
        task = bar.add_task("market", total=1.0)
        trained = train_demonstration(
            settings.symbols,
            settings.training,
            lambda step, share: bar.update(task, description=step, completed=share),
        )
    model_hash = write_entry(registry, trained.card, trained.return_onnx, trained.fill_onnx)
    if settings.training.promote:
        promote(registry, model_hash)
    console.print(_table(trained.card))
    sizes = f"return.onnx {len(trained.return_onnx):,} bytes, fill.onnx {len(trained.fill_onnx):,} bytes"
    console.print(f"{registry / model_hash}: {sizes}, {time.monotonic() - began:.1f} s")
    console.print("A demonstration model, trained on a generated market: good for PAPER only.")
    if not settings.training.promote:
        console.print(f"To serve it: echo {model_hash} > {registry / 'champion'}")
    return model_hash


def main() -> NoReturn:
    """Run the job; exit 0, 1 (it failed) or 4 (settings), with one line that says why."""
    try:
        job(load(Settings), Console())
    except ConfigurationError as error:
        _complain(f"configuration: {error}", EXIT_CONFIGURATION)
    except (LearningError, ValueError, OSError) as error:
        _complain(f"trainer: {error}", EXIT_ERROR)
    except KeyboardInterrupt:
        _complain("trainer: interrupted; no entry was written", EXIT_ERROR)
    sys.exit(0)


def _table(card: Card) -> Table:
    table = Table("held out", "value", title=f"{card.data['source']}, {card.data['triggers']} triggers")
    for name, value in card.metrics.items():
        if not isinstance(value, dict):
            table.add_row(name, f"{value:g}")
    return table


def _complain(line: str, code: int) -> NoReturn:
    print("undertow: " + " ".join(line.split()), file=sys.stderr, flush=True)  # noqa: T201 - the last word of a process
    sys.exit(code)
