"""What can go wrong with a store.

StorageError
├── StoreMissingError    there is nothing at that address yet
├── StoreRefusedError    the address, the login or the permission is wrong: a matter of configuration
│   └── StoreTakenError  another process has opened the same writer since
└── StoreDamagedError    a file that we wrote cannot be read
"""

from __future__ import annotations


class StorageError(Exception):
    """Base; the message is one line that names the store, the rule and the remedy."""


class StoreMissingError(StorageError):
    """Nothing is stored there yet."""


class StoreRefusedError(StorageError):
    """The store cannot be reached, listed or written as configured.

    Args:
        rule: which place, and what is wrong with it.
        remedy: what the person should do.
    """

    def __init__(self, rule: str, remedy: str) -> None:
        super().__init__(f"{rule}; {remedy}")
        self.rule = rule
        self.remedy = remedy


class StoreTakenError(StoreRefusedError):
    """Another process writes under the same name now; what was not committed is for it to store."""


class StoreDamagedError(StorageError):
    """A file of the store cannot be read."""


def short(error: Exception) -> str:
    """Give what somebody else's code said, in one line."""
    return " ".join(str(error).split())[:200]
