"""Compile every kernel once, so that neither the first frame nor several processes at once pay for it."""

from __future__ import annotations

from typing import Final

from undertow.exchange.bybit.followed_book import FollowedBook
from undertow.exchange.levels import Levels

_FRAME: Final = b'{"topic":"orderbook.1.A","type":"snapshot","ts":1,"data":{"s":"A","b":[["1","1"]],"a":[["2","1"]],"u":1,"seq":1},"cts":1}'


def warm() -> None:
    """Take a frame and levels into a book, and read it; compiled code lands in numba's cache."""
    book = FollowedBook("A", "orderbook.1.A", 1, Levels())
    book.follow(_FRAME)
    book.apply((("1", "2"),), ())
    book.levels()


if __name__ == "__main__":
    warm()
