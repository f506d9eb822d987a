"""What can go wrong with a store.

StorageError
├── StoreMissingError    there is nothing at that address yet
├── StoreRefusedError    the address, the login or the permission is wrong: a matter of configuration
└── StoreDamagedError    a file that we wrote cannot be read
"""

from __future__ import annotations


class StorageError(Exception):
    """Base; the message is one line that names the store, the rule and the remedy."""


class StoreMissingError(StorageError):
    """Nothing is stored there yet."""


class StoreRefusedError(StorageError):
    """The store cannot be reached, listed or written as configured."""


class StoreDamagedError(StorageError):
    """A file of the store cannot be read."""
