"""The paper venue under load: `python -m bench.venue_load [--seconds 20]`.

One venue process plays a tape of 5,000 market frames/s to three subscribers of everything, while 20 accounts send ten orders a second
each over trade sockets of their own and clear them away once a second. Told: what arrived, how long acknowledgements took (sent → read,
in the client), the venue's share of a core, and how its memory grew in the second half. The subscribers and the traders are one process
each.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Any
from urllib.request import Request, urlopen

import uvloop
from websockets.asyncio.client import ClientConnection, connect

from bench import tapes

FRAMES_PER_S = 5_000
RATE = 2.5  # market seconds per wall second: the generator knows four symbols and whole milliseconds
SUBSCRIBERS = 3
ACCOUNTS = 20
ORDERS_PER_S = 10  # of each account
LEAD_S = 2
START_TIMEOUT_S = 300  # a long tape is checked first
TOPICS = ("orderbook.200", "publicTrade", "tickers", "kline.1", "allLiquidation")
CHILD = "bench.venue_load"


@dataclass(slots=True)
class Traded:
    """What the traders saw."""

    took_ms: list[float] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)


def ask(port: int, path: str, method: str = "GET") -> Any:
    with urlopen(Request(f"http://127.0.0.1:{port}{path}", method=method)) as answer:
        return json.load(answer)


@dataclass(frozen=True, slots=True)
class Clock:
    """The venue's, read once."""

    origin_ns: int
    wall_origin_ns: int
    rate: float

    @classmethod
    def read(cls, port: int) -> Clock:
        said = ask(port, "/control/clock")
        return cls(said["origin_ns"], said["wall_origin_ns"], said["rate"])

    def now_ms(self) -> int:
        return round((self.origin_ns + (time.time_ns() - self.wall_origin_ns) * self.rate) / 1e6)


async def subscribe(port: int, seconds: float) -> None:
    """Read everything; print how many frames each subscriber got."""
    topics = [f"{topic}.{symbol}" for topic in TOPICS for symbol in tapes.SYMBOLS]

    async def listen() -> int:
        frames = 0
        async with connect(f"ws://127.0.0.1:{port}/v5/public/linear", compression=None, max_queue=None) as socket:
            await socket.send(json.dumps({"op": "subscribe", "args": topics}))
            try:
                async with asyncio.timeout(seconds):
                    while True:
                        frames += b'"topic"' in await socket.recv(decode=False)
            except TimeoutError:
                return frames

    print(json.dumps(await asyncio.gather(*(listen() for _ in range(SUBSCRIBERS)))))


class Trader:
    """One account on one trade socket."""

    def __init__(self, number: int, socket: ClientConnection, clock: Clock, traded: Traded) -> None:
        self._number = number
        self._socket = socket
        self._clock = clock
        self._traded = traded
        self._sent: dict[str, float] = {}
        self._count = 0

    async def authenticate(self) -> None:
        expires = self._clock.now_ms() + 60_000
        secret = f"load-{self._number}-secret".encode()
        signature = hmac.new(secret, f"GET/realtime{expires}".encode(), hashlib.sha256).hexdigest()
        await self._socket.send(json.dumps({"op": "auth", "args": [f"load-{self._number}", expires, signature]}))
        said = json.loads(await self._socket.recv())
        if said["retCode"]:
            sys.exit(f"the venue refused the key: {said}")

    async def order(self, symbol: str, price: str, qty: str) -> None:
        self._count += 1
        link_id = f"load-{self._number}-{self._count}"
        body = {
            "category": "linear",
            "symbol": symbol,
            "side": "Buy",
            "orderType": "Limit",
            "timeInForce": "PostOnly",
            "qty": qty,
            "price": price,
            "orderLinkId": link_id,
        }
        header = {"X-BAPI-TIMESTAMP": str(self._clock.now_ms()), "X-BAPI-RECV-WINDOW": "60000"}
        text = json.dumps({"reqId": link_id, "header": header, "op": "order.create", "args": [body]})
        self._sent[link_id] = time.perf_counter()
        await self._socket.send(text)

    async def clear(self, symbol: str) -> None:
        """Cancel the orders of the last second, one batch."""
        ids = [f"load-{self._number}-{count}" for count in range(self._count - ORDERS_PER_S + 1, self._count + 1)]
        request = [{"symbol": symbol, "orderLinkId": link_id} for link_id in ids]
        header = {"X-BAPI-TIMESTAMP": str(self._clock.now_ms()), "X-BAPI-RECV-WINDOW": "60000"}
        message = {"header": header, "op": "order.cancel-batch", "args": [{"category": "linear", "request": request}]}
        await self._socket.send(json.dumps(message))

    async def read(self) -> None:
        async for text in self._socket:
            said = json.loads(text)
            began = self._sent.pop(said.get("reqId", ""), None)
            if began is not None:
                self._traded.took_ms.append((time.perf_counter() - began) * 1e3)
            if said["retCode"]:
                words = f"{said['retCode']} {said['retMsg']}"
                self._traded.refused[words] = self._traded.refused.get(words, 0) + 1


async def trade(port: int, seconds: float) -> None:
    """Send orders at an even pace; print what the acknowledgements took."""
    clock, traded = Clock.read(port), Traded()
    bid = float(ask(port, "/v5/market/orderbook?category=linear&symbol=ETHUSDT")["result"]["b"][0][0])
    price = f"{bid * 0.96:.2f}"  # rests, inside the price band

    async def live(number: int) -> None:
        async with connect(f"ws://127.0.0.1:{port}/v5/trade", compression=None) as socket:
            trader = Trader(number, socket, clock, traded)
            await trader.authenticate()
            reading = asyncio.create_task(trader.read())
            began = time.perf_counter() + number / ACCOUNTS / ORDERS_PER_S
            for count in range(round(seconds * ORDERS_PER_S)):
                await asyncio.sleep(max(0.0, began + count / ORDERS_PER_S - time.perf_counter()))
                await trader.order("ETHUSDT", price, "0.1")
                if count % ORDERS_PER_S == ORDERS_PER_S - 1:
                    await trader.clear("ETHUSDT")
            await asyncio.sleep(1.0)  # for the answers that are still on their way
            reading.cancel()

    await asyncio.gather(*(live(number) for number in range(ACCOUNTS)))
    cuts = quantiles(traded.took_ms, n=100, method="inclusive")
    print(json.dumps({"n": len(traded.took_ms), "p50": cuts[49], "p99": cuts[98], "refused": traded.refused}))


@asynccontextmanager
async def venue(home: Path, tape: Path) -> AsyncIterator[tuple[int, asyncio.subprocess.Process]]:
    """Run a venue whose market waits; give its port."""
    accounts = [
        {
            "uid": str(900_000 + number),
            "opening_balance": "1000000",
            "keys": [{"key": f"load-{number}", "secret": f"load-{number}-secret"}],
        }
        for number in range(ACCOUNTS)
    ]
    environment = os.environ | {
        "UNDERTOW_HTTP__HOST": "127.0.0.1",
        "UNDERTOW_HTTP__PORT": "0",
        "UNDERTOW_PAPER__TAPE": str(tape),
        "UNDERTOW_PAPER__RATE": str(RATE),
        "UNDERTOW_PAPER__START": "on_command",
        "UNDERTOW_PAPER__ACCOUNTS": json.dumps(accounts),
        "UNDERTOW_PAPER__RATE_LIMITS": '{"order/create": 20, "order/cancel-batch": 40}',
        "UNDERTOW_STATE_DIR": str(home),
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.venue"), env=environment, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            while True:
                line = await process.stdout.readline()
                if not line:
                    sys.exit("the venue ended before it listened")
                said = json.loads(line)
                if said.get("event") == "listening":
                    break
        draining = asyncio.create_task(process.stdout.read())
        yield int(said["port"]), process
        draining.cancel()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


def usage(pid: int) -> tuple[float, float]:
    """Give a process' CPU seconds and resident MiB."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    ticks = int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK"), int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / 2**20


async def child(role: str, port: int, seconds: float) -> Any:
    """Run a part of this module in a process of its own; give what it printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", CHILD, "--role", role, "--port", str(port), "--seconds", str(seconds)),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    if process.returncode:
        sys.exit(f"{role} ended with {process.returncode}")
    return json.loads(said)


async def measure(seconds: float) -> None:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        home = Path(folder)
        tape = home / "load.rawlines"
        frames = tapes.background((seconds + LEAD_S + 2) * RATE, FRAMES_PER_S / len(tapes.SYMBOLS) / RATE)
        tapes.write(tape, frames, ())
        count = len(frames)
        del frames
        async with venue(home, tape) as (port, process):
            ask(port, "/control/start", "POST")
            await asyncio.sleep(LEAD_S)
            parts = asyncio.gather(child("subscribe", port, seconds), child("trade", port, seconds - 2))
            cpu, _ = usage(process.pid)
            began = time.perf_counter()
            memory: list[tuple[float, float]] = []
            while not parts.done():
                await asyncio.sleep(min(1.0, seconds / 20))
                memory.append((time.perf_counter() - began, usage(process.pid)[1]))
            share = (usage(process.pid)[0] - cpu) / (time.perf_counter() - began)
            received, traded = await parts
            sent = ask(port, "/control/stats")["frames_sent"]
    half = [each for each in memory if each[0] > memory[-1][0] / 2]
    growth = (half[-1][1] - half[0][1]) / max(1e-9, half[-1][0] - half[0][0]) * 60
    command = f"python -m {CHILD} --seconds {seconds:g}"

    def tell(name: str, value: float, unit: str, to: tuple[str, float] | None = None, **more: object) -> None:
        ratio = {"ratio_to": to[0], "ratio": round(value / to[1], 3)} if to else {"ratio_to": None, "ratio": None}
        print(json.dumps({"name": name, "value": round(value, 3), "unit": unit, **ratio, "command": command, **more}))

    least = min(received)
    tell(
        "venue, frames to each of three clients",
        least / seconds,
        "frames/s",
        ("asked", FRAMES_PER_S),
        received=received,
        tape=count,
        sent=sent,
    )
    acknowledged = traded["n"] / (seconds - 2)
    tell(
        "venue, orders acknowledged",
        acknowledged,
        "orders/s",
        ("asked", ACCOUNTS * ORDERS_PER_S),
        refused=traded["refused"],
    )
    tell("venue, acknowledgement, p50", traded["p50"], "ms", ("asked p99", 5.0), n=traded["n"])
    tell("venue, acknowledgement, p99", traded["p99"], "ms", ("asked p99", 5.0), n=traded["n"])
    tell("venue, share of a core", share, "cores")
    tell(
        "venue, memory growth in the second half",
        growth,
        "MiB/min",
        ("resident", memory[-1][1]),
        resident_mb=round(memory[-1][1], 1),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--role", choices=("measure", "subscribe", "trade"), default="measure")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    match options.role:
        case "subscribe":
            uvloop.run(subscribe(options.port, options.seconds))
        case "trade":
            uvloop.run(trade(options.port, options.seconds))
        case _:
            asyncio.run(measure(options.seconds))


if __name__ == "__main__":
    main()
