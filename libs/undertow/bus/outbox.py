"""What a publisher remembers: what Redis has not confirmed, and for a few seconds what it has. Pure.

With `appendfsync everysec` a crash of Redis loses confirmed entries, always the latest ones. So after a lost connection the publisher
asks, key by key, what survived, and sends the rest again (`missing`).
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from undertow.bus.budget import UNBOUND, Bound
from undertow.bus.errors import BusOverflowError


@dataclass(frozen=True, slots=True)
class Letter:
    """One sealed message.

    Attributes:
        number: of the producer on this key.
        bound: what may be removed with it.
    """

    key: str
    number: int
    raw: bytes
    bound: Bound = UNBOUND


class Outbox:
    """Letters in the order of publication: first confirmed ones of the last seconds, then unconfirmed ones.

    Args:
        unconfirmed_limit: most letters kept while Redis is away.
        window_ns: how long confirmed letters are kept.
    """

    def __init__(self, unconfirmed_limit: int, window_ns: int) -> None:
        self._limit = unconfirmed_limit
        self._window_ns = window_ns
        self._confirmed: deque[tuple[int, Letter]] = deque()  # with the wall time of the confirmation
        self._unconfirmed: deque[Letter] = deque()

    @property
    def unconfirmed(self) -> int:
        """How many letters Redis has not confirmed."""
        return len(self._unconfirmed)

    def require_room(self, count: int) -> None:
        """Refuse before anything is numbered.

        Raises:
            BusOverflowError: so many more would pass the limit.
        """
        if len(self._unconfirmed) + count > self._limit:
            raise BusOverflowError(f"{len(self._unconfirmed)} messages wait for Redis and the limit is {self._limit}")

    def add(self, letters: Sequence[Letter]) -> None:
        """Remember letters before they are sent."""
        self._unconfirmed.extend(letters)

    def confirm(self, count: int, now_ns: int) -> None:
        """Note that Redis has the oldest `count` unconfirmed letters, and forget those past the window."""
        for _ in range(count):
            self._confirmed.append((now_ns, self._unconfirmed.popleft()))
        oldest_ns = now_ns - self._window_ns
        while self._confirmed and (self._confirmed[0][0] < oldest_ns or len(self._confirmed) > self._limit):
            self._confirmed.popleft()

    def keys(self) -> list[str]:
        """Give the keys of all that is remembered."""
        confirmed = (letter.key for _, letter in self._confirmed)
        return list(dict.fromkeys((*confirmed, *(letter.key for letter in self._unconfirmed))))

    def missing(self, survived: Mapping[str, int], lost_ns: int, refused: Collection[Letter] = ()) -> None:
        """Make unconfirmed again what Redis lost, and confirmed what it has.

        Args:
            survived: per key the last of our numbers that Redis has, 0 for none.
            lost_ns: wall time at which the connection was lost; what was confirmed longer than the window before that is safe on disk.
            refused: known not to be there, whatever came after them.
        """
        oldest_ns = lost_ns - self._window_ns
        remembered = [entry for entry in self._confirmed if entry[0] >= oldest_ns]
        remembered += [(lost_ns, letter) for letter in self._unconfirmed]
        self._confirmed.clear()
        self._unconfirmed.clear()
        for confirmed_ns, letter in remembered:
            if letter.number <= survived.get(letter.key, 0) and letter not in refused:
                self._confirmed.append((confirmed_ns, letter))
            else:
                self._unconfirmed.append(letter)

    def waiting(self, count: int) -> list[Letter]:
        """Give the oldest unconfirmed letters, at most `count`."""
        return list(itertools.islice(self._unconfirmed, count))
