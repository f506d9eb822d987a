"""What will go wrong in a seed: a list of faults, drawn before anything happens, so that any of them can be left out and the rest stay."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tests.simulation.witness import STATES

FIRST_S: Final = 2.5
MOST_APART_S: Final = 1.7
LEAST_APART_S: Final = 0.4
FEWEST: Final = 12
MOST: Final = 15
PATIENCE_S: Final = 1.2
"""A fault that waits for its moment strikes anyway after this."""

PORTS: Final = {
    "router": (
        "disk.write", "disk.write+", "disk.sync", "disk.sync+", "bus.publish", "bus.publish+", "bus.deliver", "bus.ack",
        "http.send", "http.send+", "http.answer", "socket.send", "socket.send+", "socket.receive",
    ),
    "books": ("disk.write", "disk.sync+", "disk.replace+", "bus.publish", "bus.publish+", "bus.deliver", "bus.ack", "http.send+"),
    "guardian": ("disk.write", "disk.sync", "disk.replace+", "http.send", "http.answer"),
}  # fmt: skip


OVER_A_COMMAND: Final = "killed over a command"
"""While the router has it in hand."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A way in which things go wrong.

    Attributes:
        name: as the report has it.
        weight: how often, beside the others.
        shortest_s: it lasts at least so long.
        longest_s: it lasts at most so long.
        whom: the process whose calls may be the moment, by its short name; "" for none.
    """

    name: str
    weight: float
    shortest_s: float = 0.0
    longest_s: float = 0.0
    whom: str = ""


KINDS: Final = (
    Kind("router killed", 2.0, whom="router"),
    Kind("books killed", 1.0, whom="books"),
    Kind("guardian killed", 1.0, whom="guardian"),
    Kind("router stopped", 1.5, 0.05, 2.2, whom="router"),
    Kind("books stopped", 0.7, 0.1, 2.5, whom="books"),
    Kind("power lost", 1.0, whom="router"),
    Kind("bus away", 1.0, 0.2, 2.5),
    Kind("bus lost a second", 1.0, 0.1, 1.2),
    Kind("bus full", 0.7, 0.1, 1.5),
    Kind("guardian unheard", 0.8, 0.2, 1.5),
    Kind("frame lost", 1.2, 1.5, 2.5),
    Kind("frame late", 1.0, 1.5, 2.5),
    Kind("frame twice", 1.0, 1.5, 2.5),
    Kind("frame overtaken", 1.0, 1.5, 2.5),
    Kind("private stream cut", 1.0),
    Kind("trade socket cut", 1.0),
    Kind("request lost", 1.2, 1.5, 2.5),
    Kind("answer lost", 1.5, 1.5, 2.5),
    Kind("order late", 1.5, 1.5, 2.5),
    Kind("request refused", 1.0, 1.5, 2.5),
    Kind("answer slow", 1.0, 1.5, 2.5),
    Kind("answer 504", 1.0, 0.5, 1.0),
    Kind("too many requests", 0.7, 0.3, 1.0),
    Kind("venue restarted", 0.8, 0.2, 1.5),
    Kind("maintenance", 0.7, 0.5, 1.5),
    Kind("clock skewed", 0.7, 0.5, 2.0),
    Kind("stop removed", 0.7),
    Kind("deleveraged", 0.7),
    Kind("price jump", 0.9),
    Kind("transfer", 0.6),
    Kind("command", 0.6),
    Kind(OVER_A_COMMAND, 0.9, whom="router"),
)
NAMES: Final = tuple(kind.name for kind in KINDS)


@dataclass(frozen=True, slots=True)
class Planned:
    """One fault that will strike.

    Attributes:
        number: in its plan, from 1.
        at_s: when it begins to wait for its moment.
        state: it strikes when an order gets into this state; "" for at once.
        port: it strikes when the process makes this call; "" for any time.
        turn: for the so-manieth time.
        after_s: so long after the moment.
        for_s: how long it lasts.
        amount: 0 to 1, whatever the kind makes of it.
    """

    number: int
    kind: str
    at_s: float
    state: str = ""
    port: str = ""
    turn: int = 1
    after_s: float = 0.0
    for_s: float = 0.0
    amount: float = 0.0

    def __str__(self) -> str:
        when = f"{self.at_s:.3f} s"
        when += f", when an order is {self.state}" if self.state else ""
        when += f", at {self.port} {self.turn}" if self.port else ""
        when += f", {self.after_s * 1000:.0f} ms later" if self.after_s else ""
        lasts = f" for {self.for_s:.2f} s" if self.for_s else ""
        return f"[{self.number}] {self.kind}{lasts} from {when}"


def drawn(seed: int) -> tuple[Planned, ...]:
    """Give the plan of a seed."""
    chance = random.Random(f"plan of {seed}")
    count = chance.randint(FEWEST, MOST)
    kinds = chance.choices(KINDS, [kind.weight for kind in KINDS], k=count)
    at_s, plan = FIRST_S, []
    for number, kind in enumerate(kinds, 1):
        at_s += chance.uniform(LEAST_APART_S, MOST_APART_S)
        state = chance.choice(("", *STATES, *STATES))
        port, turn = "", 1
        if kind.name == OVER_A_COMMAND:
            port = chance.choice(("bus.deliver", "bus.deliver", "disk.write", "disk.write+", "disk.sync", "bus.ack"))
        elif kind.whom and chance.random() < 0.6:
            port, turn = chance.choice(PORTS[kind.whom]), chance.choice((1, 1, 1, 2, 3))
        after_s = chance.choice((0.0, 0.0, chance.uniform(0.0, 0.01), chance.uniform(0.0, 0.3)))
        for_s = chance.uniform(kind.shortest_s, kind.longest_s)
        plan.append(
            Planned(
                number, kind.name, round(at_s, 3), state, port, turn, round(after_s, 4), round(for_s, 3),
                round(chance.random(), 4),
            )
        )  # fmt: skip
    return tuple(plan)


def only(plan: Sequence[Planned], numbers: Sequence[int]) -> tuple[Planned, ...]:
    """Give these faults of a plan."""
    return tuple(each for each in plan if each.number in set(numbers))
