"""Which recording a path means: told by what is in the file, not by its name.

No second file is written: a recording is converted while it is played, so its label always says what it came from. Files that belong
together (the parts of a recording, one per symbol, or one per day) are named by a pattern.
"""

from __future__ import annotations

from pathlib import Path

from undertow.markets.binance_tape import BinanceTape
from undertow.markets.binance_wire import is_binance
from undertow.markets.rawlines import TapeError, read_lines
from undertow.markets.tape import TapeSource

Recording = TapeSource | BinanceTape


def open_recording(path: Path) -> Recording:
    """Open a recording of Bybit frames, or of Binance frames that are converted.

    Args:
        path: a file, or a pattern of files that belong together, such as `recordings/usdm_*_202407*.gz` or `2026/market-*.zst`.

    Raises:
        TapeError: there is no such file, or it breaks one of the rules that its text names.
    """
    paths = files_of(path)
    kinds = {_is_binance(each) for each in paths}
    if len(kinds) > 1:
        raise TapeError(path, 0, "means recordings of Bybit and of Binance, which are not joined", "name one kind")
    return BinanceTape(paths) if kinds.pop() else TapeSource(*paths)


def files_of(path: Path) -> list[Path]:
    """Give the files that a path or a pattern means, sorted by name.

    Raises:
        TapeError: no file matches the pattern.
    """
    is_pattern = "*" in path.name and not path.exists()
    paths = sorted(path.parent.glob(path.name)) if is_pattern else [path]
    if not paths:
        raise TapeError(path, 0, "no file matches this pattern", "check the path")
    return paths


def _is_binance(path: Path) -> bool:
    first = next(read_lines(path), None)
    return first is not None and is_binance(first[2])
