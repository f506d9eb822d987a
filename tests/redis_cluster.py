"""A Redis Cluster of one's own: real servers on loopback, masters with an equal share of the slots each, replicas where they are wanted."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import redis

SLOTS = 16_384
BUS_OFFSET = 10_000
STEP_S = 0.02
PATIENCE_S = 30.0


class Node:
    """One server of a cluster."""

    def __init__(self, executable: str, folder: Path, port: int, options: tuple[str, ...]) -> None:
        self.executable, self.folder, self.port, self.options = executable, folder, port, options
        self.process: subprocess.Popen[bytes] | None = None
        self.client = redis.Redis(port=port, socket_timeout=5, decode_responses=True)

    def start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.process = subprocess.Popen(
            [
                self.executable,
                *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""),
                *("--appendonly", "yes", "--appendfsync", "everysec", "--daemonize", "no"),
                *("--cluster-enabled", "yes", "--cluster-node-timeout", "1000"),
                *("--cluster-require-full-coverage", "no", "--cluster-replica-validity-factor", "0"),
                *("--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0"),
                *self.options,
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until(self.answers)

    def answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the server on port {self.port} ended with code {self.process.poll()}"
        try:
            return bool(self.client.ping())
        except redis.RedisError:
            return False

    def ask(self, *words: Any) -> Any:
        return self.client.execute_command(*words)

    @property
    def identity(self) -> str:
        return str(self.ask("CLUSTER", "MYID"))

    def follows(self) -> bool:
        """Whether a replica has caught up with its master."""
        return self.client.info("replication")["master_link_status"] == "up"

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        """Kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()


class RedisCluster:
    """Three masters, each with `replicas` replicas; `nodes` begins with the masters."""

    def __init__(self, executable: str, folder: Path, *options: str, replicas: int = 0) -> None:
        ports = free_ports(3 * (1 + replicas))
        self.nodes = [Node(executable, folder / str(port), port, options) for port in ports]
        self.masters, self.replicas = self.nodes[:3], self.nodes[3:]

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.masters)

    def start(self) -> None:
        try:
            self._start()
        except BaseException:  # interrupted too: no server is left running
            self.stop()
            raise

    def _start(self) -> None:
        for node in self.nodes:
            node.start()
        for index, master in enumerate(self.masters):
            master.ask("CLUSTER", "SET-CONFIG-EPOCH", index + 1)
            master.ask("CLUSTER", "ADDSLOTS", *range(SLOTS * index // 3, SLOTS * (index + 1) // 3))
        for node in self.nodes[1:]:
            node.ask("CLUSTER", "MEET", "127.0.0.1", self.nodes[0].port)
        until(lambda: all(self.known_to(node) == len(self.nodes) for node in self.nodes))
        for index, replica in enumerate(self.replicas):
            replica.ask("CLUSTER", "REPLICATE", self.masters[index % 3].identity)
        until(lambda: all(self.is_whole(node) for node in self.nodes))
        until(lambda: all(node.follows() for node in self.replicas))

    def known_to(self, node: Node) -> int:
        lines = node.ask("CLUSTER", "NODES").splitlines()
        return sum("handshake" not in line and "noaddr" not in line for line in lines)

    def is_whole(self, node: Node) -> bool:
        facts = dict(line.split(":", 1) for line in node.ask("CLUSTER", "INFO").splitlines())
        return facts["cluster_state"] == "ok" and facts["cluster_slots_ok"] == str(SLOTS)

    def master_of(self, key: str) -> Node:
        """Give the node that serves a key now, as those that live see it."""
        slot = self.ask_any("CLUSTER", "KEYSLOT", key)
        for first, last, (_, port, *_), *_ in self.ask_any("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return next(node for node in self.nodes if node.port == port)
        raise AssertionError(f"nobody serves {key}")

    def ask_any(self, *words: Any) -> Any:
        for node in self.nodes:
            with contextlib.suppress(redis.ConnectionError, redis.TimeoutError):
                return node.ask(*words)
        raise AssertionError("no node of the cluster answers")

    def begin_move(self, key: str, target: Node) -> None:
        """Let the slot of a key be on its way to another master: what is not here any more is asked for there."""
        slot, source = self.ask_any("CLUSTER", "KEYSLOT", key), self.master_of(key)
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.identity)
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target.identity)
        keys = source.ask("CLUSTER", "GETKEYSINSLOT", slot, 1000)
        if keys:
            source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)

    def end_move(self, key: str, target: Node) -> None:
        """Let the slot of a key have arrived."""
        slot = self.ask_any("CLUSTER", "KEYSLOT", key)
        for node in (target, *(each for each in self.masters if each is not target)):
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", target.identity)

    def empty(self) -> None:
        for node in self.masters:
            node.ask("FLUSHALL")

    def stop(self) -> None:
        for node in self.nodes:
            node.client.close()
            if node.process is not None and node.process.poll() is None:
                node.kill()


def until(holds: Any, seconds: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "the cluster does not come up"
        time.sleep(STEP_S)  # one look and the next


def free_ports(count: int) -> list[int]:
    """Find ports for clients whose ports for the cluster's own talk, 10,000 above, are free too."""
    held: list[socket.socket] = []
    found: list[int] = []
    try:
        while len(found) < count:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1] % 20_000 + 20_000
            pair = [socket.socket(), socket.socket()]
            held += pair
            with contextlib.suppress(OSError):
                for each, at in zip(pair, (port, port + BUS_OFFSET), strict=True):
                    each.bind(("127.0.0.1", at))
                found.append(port)
        return found
    finally:
        for each in held:
            each.close()
