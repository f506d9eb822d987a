"""What can be wrong in learning.

LearningError
├── ModelError        a registry entry that must not be used
└── DatasetError      data from which nothing can be learnt
"""

from __future__ import annotations


class LearningError(Exception):
    """Root."""


class ModelError(LearningError):
    """A model is missing, corrupt, or does not fit.

    Args:
        problem: what is wrong, naming the file or the entry.
        remedy: what the person should do.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}; {remedy}")
        self.problem = problem
        self.remedy = remedy


class DatasetError(LearningError):
    """Too little or unusable data; the text is one line with the remedy."""
