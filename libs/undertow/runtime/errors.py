"""What stops a service before it works.

ConfigurationError      a setting is missing, malformed or contradicts another: exit 4
"""

from __future__ import annotations


class ConfigurationError(Exception):
    """A setting that cannot be worked with.

    Args:
        variable: the environment variable.
        rule: what is wrong with it.
        remedy: what the person should do.
    """

    def __init__(self, variable: str, rule: str, remedy: str) -> None:
        super().__init__(f"{variable}: {rule}; {remedy}")
        self.variable = variable
        self.rule = rule
        self.remedy = remedy
