"""How the values of a fault are read from JSON: one small class per kind of value. What is wrong is said with field, rule and remedy.

BadFaultError      a fault that cannot be: names the field, the rule and what to do
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NoReturn

REQUIRED: Final = object()
"""The default of a value that must be given."""
_MOST_CHARACTERS: Final = 500  # a pattern of many thousand takes seconds to be read


class BadFaultError(ValueError):
    """A fault that cannot be.

    Args:
        field: where in what was sent, such as `faults[1].probability`.
        rule: what is wrong with it.
        remedy: what the person should do.
    """

    def __init__(self, field: str, rule: str, remedy: str) -> None:
        super().__init__(f"{field}: {rule}; {remedy}")
        self.field = field
        self.rule = rule
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number within bounds."""

    lowest: int
    highest: int
    default: Any = REQUIRED
    never: int | None = None

    @property
    def words(self) -> str:
        """What may be given."""
        but = "" if self.never is None else f", but not {self.never}"
        return f"a whole number from {self.lowest} to {self.highest}{but}"

    def read(self, field: str, value: Any) -> int:
        """Give the number."""
        if not _is_whole(value) or not self.lowest <= value <= self.highest or value == self.never:
            _refuse(field, value, self.words)
        return int(value)


@dataclass(frozen=True, slots=True)
class Span:
    """A whole number, or `[from, to]` out of which each hit draws one; read as a pair. `never` alone would change nothing."""

    lowest: int
    highest: int
    default: Any = REQUIRED
    never: int | None = None

    @property
    def words(self) -> str:
        """What may be given."""
        but = "" if self.never is None else f", but not {self.never} alone"
        return f"a whole number from {self.lowest} to {self.highest}, or [from, to] within them{but}"

    def read(self, field: str, value: Any) -> tuple[int, int]:
        """Give both ends."""
        ends = value if isinstance(value, list) else [value, value]
        if len(ends) != 2 or not all(map(_is_whole, ends)) or not self.lowest <= ends[0] <= ends[1] <= self.highest:  # noqa: PLR2004 - a pair
            _refuse(field, value, self.words)
        if ends[1] == self.never:
            _refuse(field, value, self.words)
        return ends[0], ends[1]


@dataclass(frozen=True, slots=True)
class Fraction:
    """A number from 0 to 1; `is_above_zero` where 0 would mean never."""

    default: Any = REQUIRED
    is_above_zero: bool = False

    @property
    def words(self) -> str:
        """What may be given."""
        return "a number above 0, at most 1" if self.is_above_zero else "a number from 0 to 1"

    def read(self, field: str, value: Any) -> float:
        """Give the number."""
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not 0 <= value <= 1 or (self.is_above_zero and not value):
            _refuse(field, value, self.words)
        return float(value)


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    default: Any = False
    words: str = "true or false"

    def read(self, field: str, value: Any) -> bool:
        """Give it."""
        if not isinstance(value, bool):
            _refuse(field, value, self.words)
        return bool(value)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few values."""

    values: tuple[Any, ...]
    default: Any = REQUIRED

    @property
    def words(self) -> str:
        """What may be given."""
        return f"one of {', '.join(map(str, self.values))}"

    def read(self, field: str, value: Any) -> Any:
        """Give it."""
        if isinstance(value, bool) or value not in self.values:
            _refuse(field, value, self.words)
        return value


@dataclass(frozen=True, slots=True)
class Text:
    """A text that is not empty; `knows` says whether this venue has such a thing."""

    default: Any = None
    knows: Callable[[str], bool] | None = None
    what: str = "text"

    @property
    def words(self) -> str:
        """What may be given."""
        return self.what

    def read(self, field: str, value: Any) -> str:
        """Give it."""
        if not isinstance(value, str) or not value or (self.knows and not self.knows(value)):
            _refuse(field, value, self.words)
        text = str(value)
        if len(text) > _MOST_CHARACTERS:
            raise BadFaultError(field, f"has {len(text)} characters", f"give at most {_MOST_CHARACTERS}")
        return text


Kind = Whole | Span | Fraction | Flag | Choice | Text


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _refuse(field: str, value: Any, words: str) -> NoReturn:
    raise BadFaultError(field, f"{value!r} is not {words}", f"give {words}")
