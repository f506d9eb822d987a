"""A frame of Bybit's order book in one pass, when it is as plain as the venue sends it: no white space, no escapes, no unknown key.

Keys may come in any order, but for `topic` first and `b` before `a`. Every other frame is one that `decode_frame` must look at, which knows
what is wrong with it, if anything is. What is read here means the same there: tests hold the two together.
"""

from __future__ import annotations

from typing import Final

from undertow.exchange.kernels.levels import read_levels
from undertow.exchange.kernels.memory import NOWHERE, Ints, packed_of, places_of, prices_of
from undertow.runtime.jit import kernel

Seen = tuple[int, int, int, int, int, int, int, int, int, int]
"""Event ms, whether a snapshot, update id (`NOWHERE` for a frame that was not read), sequence; rows of bids and of both; from
where to where bids, then asks, stand in `packed`."""

_COMMA, _QUOTE, _ZERO, _NINE, _BEGIN, _END = b',"09{}'
_TYPE: Final = b'"type":"'
_SNAPSHOT: Final = b'snapshot"'
_DELTA: Final = b'delta"'
_TS: Final = b'"ts":'
_CTS: Final = b'"cts":'
_DATA: Final = b'"data":'
_S: Final = b'"s":"'
_B: Final = b'"b":'
_A: Final = b'"a":'
_U: Final = b'"u":'
_SEQ: Final = b'"seq":'
_LATEST_MS: Final = 9_000_000_000_000
_MOST_DIGITS: Final = 18
_UNREAD: Final = (0, 0, NOWHERE, 0, 0, 0, 0, 0, 0, 0)


@kernel
def _is(raw: bytes, at: int, word: bytes) -> bool:
    for index in range(len(word)):  # noqa: SIM110 - a loop is what compiles
        if raw[at + index] != word[index]:
            return False
    return True


@kernel
def _read_whole(raw: bytes, at: int) -> tuple[int, int]:
    begin, value = at, 0
    while _ZERO <= raw[at] <= _NINE:
        value = 10 * value + (raw[at] - _ZERO)
        at += 1
    length = at - begin
    if length == 0 or length > _MOST_DIGITS or (length > 1 and raw[begin] == _ZERO):
        return NOWHERE, 0
    return at, value


@kernel
def read_frame(raw: bytes, symbol_at: int, symbol_end: int, columns: Ints) -> Seen:
    """Read a frame into columns; the symbol of its topic is known to stand from `symbol_at` to `symbol_end`."""
    size = len(raw)
    if raw[symbol_end] != _QUOTE or raw[size - 1] != _END:
        return _UNREAD
    kind = ts_ms = cts_ms = update_id = sequence = bids = rows = NOWHERE
    bids_from = bids_to = asks_from = asks_to = 0
    has_symbol = has_data = False
    prices, places, packed = prices_of(columns), places_of(columns), packed_of(columns)
    at = symbol_end + 1
    while raw[at] == _COMMA:
        at += 1
        if kind == NOWHERE and _is(raw, at, _TYPE):
            at += len(_TYPE)
            if _is(raw, at, _DELTA):
                kind, at = 0, at + len(_DELTA)
            elif _is(raw, at, _SNAPSHOT):
                kind, at = 1, at + len(_SNAPSHOT)
            else:
                return _UNREAD
        elif ts_ms == NOWHERE and _is(raw, at, _TS):
            at, ts_ms = _read_whole(raw, at + len(_TS))
        elif cts_ms == NOWHERE and _is(raw, at, _CTS):
            at, cts_ms = _read_whole(raw, at + len(_CTS))
        elif not has_data and _is(raw, at, _DATA):
            has_data = True
            at += len(_DATA)
            before = _BEGIN
            while raw[at] == before:
                before = _COMMA
                at += 1
                if not has_symbol and _is(raw, at, _S):
                    has_symbol = True
                    at += len(_S)
                    for index in range(symbol_at, symbol_end + 1):  # with the quote
                        if at == size or raw[at] != raw[index]:
                            return _UNREAD
                        at += 1
                elif bids == NOWHERE and _is(raw, at, _B):
                    at, bids, bids_from, bids_to = read_levels(raw, at + len(_B), prices, places, packed, 0, 0)
                elif bids != NOWHERE and rows == NOWHERE and _is(raw, at, _A):
                    at, rows, asks_from, asks_to = read_levels(raw, at + len(_A), prices, places, packed, bids, bids_to)
                elif update_id == NOWHERE and _is(raw, at, _U):
                    at, update_id = _read_whole(raw, at + len(_U))
                elif sequence == NOWHERE and _is(raw, at, _SEQ):
                    at, sequence = _read_whole(raw, at + len(_SEQ))
                else:
                    return _UNREAD
                if at in (NOWHERE, size):
                    return _UNREAD
            if raw[at] != _END:
                return _UNREAD
            at += 1
        else:
            return _UNREAD
        if at in (NOWHERE, size):
            return _UNREAD
    if at != size - 1 or not has_symbol or NOWHERE in (kind, ts_ms) or NOWHERE in (rows, update_id):
        return _UNREAD
    if ts_ms > _LATEST_MS or cts_ms > _LATEST_MS:
        return _UNREAD
    event_ms = cts_ms if cts_ms > 0 else ts_ms
    is_snapshot = 1 if kind == 1 or update_id == 1 else 0
    return event_ms, is_snapshot, update_id, max(sequence, 0), bids, rows, bids_from, bids_to, asks_from, asks_to
