"""Which recording a path means: told by what is in the file, not by its name.

No second file is written: a recording is converted while it is played, so its label always says what it came from. Files that belong
together (one per symbol, or one per day) are named by a pattern.
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
        path: a file, or a pattern such as `recordings/usdm_*_202407*.gz` for Binance files that belong together.

    Raises:
        TapeError: there is no such file, or it breaks one of the rules that its text names.
    """
    is_pattern = "*" in path.name and not path.exists()
    paths = sorted(path.parent.glob(path.name)) if is_pattern else [path]
    if not paths:
        raise TapeError(path, 0, "no file matches this pattern", "check the path")
    first = next(read_lines(paths[0]), None)
    if first is not None and is_binance(first[2]):
        return BinanceTape(paths)
    if len(paths) > 1:
        raise TapeError(path, 0, f"{len(paths)} files match, and only Binance recordings are joined", "name one file")
    return TapeSource(paths[0])
