"""Units of time. Times are whole nanoseconds; venues speak of milliseconds."""

from __future__ import annotations

from typing import Final

NS_PER_MS: Final = 1_000_000
