"""Structured logs on stderr: a constant event name plus keys, ECS field names, what identifies the process bound once.

Secrets are `SecretStr`s and print as stars, so no filter is needed to keep them out.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, Final, Literal

import msgspec
import structlog

RENAMED: Final = {"timestamp": "@timestamp", "level": "log.level", "exception": "error.stack_trace"}


def open_log(level: str, shape: Literal["json", "console"], **identity: str) -> structlog.stdlib.BoundLogger:
    """Make the logger of a service.

    Args:
        level: debug, info, warning or error.
        shape: JSON lines, or colours for a person.
        identity: bound to every line.
    """
    threshold = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    if shape == "json":
        shared += [
            structlog.processors.EventRenamer("message"),
            _rename,
            structlog.processors.JSONRenderer(serializer=_serialised),
        ]
    else:
        shared.append(structlog.dev.ConsoleRenderer())
    logger: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr),
        processors=shared,
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        cache_logger_on_first_use=True,
    )
    return logger.bind(**identity)


def _rename(_logger: Any, _method: str, fields: dict[str, Any]) -> dict[str, Any]:
    return {RENAMED.get(name, name): value for name, value in fields.items()}


def _serialised(fields: dict[str, Any], **_options: Any) -> str:
    return msgspec.json.encode(fields, enc_hook=str).decode()
