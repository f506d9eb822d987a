"""The public examples of the protocol page (§6, §7)."""

from __future__ import annotations

import json
from typing import Any

BOOK = {"topic":"orderbook.50.ABCUSDT","type":"snapshot","ts":1767225600101,"data":{"s":"ABCUSDT","b":[["1.2345","8.1"]],"a":[["1.2346","10.5"]],"u":18521288,"seq":7961638724},"cts":1767225600098}  # fmt: skip  # noqa: E501 - as on the page
DELTA = {"topic":"orderbook.50.ABCUSDT","type":"delta","ts":1767225600121,"data":{"s":"ABCUSDT","b":[["1.2345","0"],["1.2344","3.3"]],"a":[],"u":18521289,"seq":7961638730},"cts":1767225600118}  # fmt: skip  # noqa: E501 - as on the page
TRADE = {"topic":"publicTrade.ABCUSDT","type":"snapshot","ts":1767225600116,"data":[{"T":1767225600114,"s":"ABCUSDT","S":"Buy","v":"3.0","p":"1.2346","L":"PlusTick","i":"20f43950-d8dd-5b31-9112-a178eb6023af","BT":False,"RPI":False,"seq":1783284617}]}  # fmt: skip  # noqa: E501 - as on the page
TICKER = {"topic":"tickers.ABCUSDT","type":"delta","data":{"symbol":"ABCUSDT","bid1Price":"1.2345","bid1Size":"8.1","markPrice":"1.2347"},"cs":24987956059,"ts":1767225600200}  # fmt: skip  # noqa: E501 - as on the page
KLINE = {"topic":"kline.5.ABCUSDT","data":[{"start":1767225600000,"end":1767225899999,"interval":"5","open":"1.20","close":"1.23","high":"1.25","low":"1.19","volume":"152.4","turnover":"186.02","confirm":False,"timestamp":1767225700123}],"ts":1767225700123,"type":"snapshot"}  # fmt: skip  # noqa: E501 - as on the page
LIQUIDATION = {"topic":"allLiquidation.ABCUSDT","type":"snapshot","ts":1767225600600,"data":[{"T":1767225600333,"s":"ABCUSDT","S":"Buy","v":"20000","p":"1.1011"}]}  # fmt: skip  # noqa: E501 - as on the page
ALL = (BOOK, DELTA, TRADE, TICKER, KLINE, LIQUIDATION)


def raw(frame: Any) -> bytes:
    return json.dumps(frame, separators=(",", ":")).encode()


def changed(frame: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The frame with other fields in its data, or in the first row of it."""
    data = frame["data"]
    return {**frame, "data": [{**data[0], **fields}, *data[1:]] if isinstance(data, list) else {**data, **fields}}
