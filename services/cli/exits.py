"""Exit codes of the command, and the one way to leave it with a reason."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What a script may rely on."""

    OK = 0
    ERROR = 1
    NOT_FOUND = 2
    NOT_RUNNING = 3
    BAD_CONFIGURATION = 4
    TIMED_OUT = 5


class CommandError(Exception):
    """One line for the person: what is wrong, the rule, the remedy."""

    def __init__(self, code: ExitCode, message: str) -> None:
        super().__init__(message)
        self.code = code
