"""Everything that can be stored, by topic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from undertow.contracts.messages.base import Message
from undertow.contracts.streams import STREAMS
from undertow.storage.layout import topic_of

KINDS: Final[Mapping[str, type[Message]]] = {
    topic_of(payload): payload for stream in STREAMS for payload in stream.payloads
}
"""Topic → kind of message."""
