"""What can be wrong in learning.

LearningError
├── ModelError        a registry entry that must not be used
└── DatasetError      data from which nothing can be learnt
"""

from __future__ import annotations


class LearningError(Exception):
    """Root."""


class ModelError(LearningError):
    """A model is missing, corrupt, or does not fit; the text is one line with the remedy."""


class DatasetError(LearningError):
    """Too little or unusable data; the text is one line with the remedy."""
