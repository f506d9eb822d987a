"""The private socket: authentication, topics, and what happens to an account, pushed to its clients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

import msgspec

from services.venue.answers import PrivateEvent, Refusal
from services.venue.clock import VenueClock
from services.venue.faults.catalogue import EVENT, PRIVATE
from services.venue.gate import authenticate_socket
from services.venue.keys import KeyRing
from services.venue.mischief import Mischief
from services.venue.session import Session

IDLE_SECONDS: Final = 600.0
TOPICS: Final = ("order", "execution", "position", "wallet")
_CATEGORY: Final = ".linear"
OFFERED: Final = frozenset((*TOPICS, *(topic + _CATEGORY for topic in TOPICS if topic != "wallet")))
_REFUSED: Final = 1008
_ENCODE: Final = msgspec.json.encode


class PrivateHub:
    """All private clients.

    Args:
        ring: all keys.
        clock: market time.
        mischief: what goes wrong.
    """

    def __init__(self, ring: KeyRing, clock: VenueClock, mischief: Mischief) -> None:
        self.mischief = mischief
        self.ring = ring
        self.clock = clock
        self.sessions: dict[PrivateSession, None] = {}
        self._sequence = 0

    def publish(self, events: Sequence[PrivateEvent]) -> None:
        """Push events to the clients of their accounts that want their topic; each is encoded once."""
        for event in events:
            self._sequence += 1
            frames: dict[str, bytes] = {}
            for session in self.sessions:
                topic = session.wants(event)
                if topic is None:
                    continue
                if topic not in frames:
                    head = {"id": f"{event.uid}_{self._sequence}", "topic": topic, "creationTime": self.clock.now_ms()}
                    frames[topic] = _ENCODE({**head, "data": event.data})
                session.pass_on(topic, frames[topic], EVENT)

    def join(self, address: str) -> PrivateSession:
        """Open a session for a client of that address."""
        session = PrivateSession(self, address)
        self.sessions[session] = None
        return session


class PrivateSession(Session):
    """One client of the private socket."""

    where: ClassVar[str] = PRIVATE

    def __init__(self, hub: PrivateHub, address: str) -> None:
        super().__init__(IDLE_SECONDS, hub.mischief)
        self._hub = hub
        self._address = address
        self._topics: dict[str, None] = {}

    def wants(self, event: PrivateEvent) -> str | None:
        """Give the topic under which the client wants an event, or None."""
        if self.key is None or self.key.uid != event.uid:
            return None
        return next((topic for topic in (event.topic, event.topic + _CATEGORY) if topic in self._topics), None)

    def hear(self, message: dict[str, Any]) -> None:
        """Answer auth, subscribe, unsubscribe and ping."""
        operation = message.get("op")
        if operation == "ping":
            pong = {"req_id": str(message.get("req_id", "")), "op": "pong", "args": [str(self._hub.clock.now_ms())]}
            self.say({**pong, "conn_id": self.conn_id})
        elif operation == "auth":
            self._authenticate(message)
        elif operation not in ("subscribe", "unsubscribe"):
            self._reply(message, success=False, text=f"error:unknown op {operation!r}")
        elif self.key is None:
            self._reply(message, success=False, text="Request not authorized")
        else:
            self._choose(message, is_subscribing=operation == "subscribe")

    def malformed(self) -> None:
        """Say that the text is no JSON object."""
        self._reply({}, success=False, text="error:not a JSON object")

    def left(self) -> None:
        """Forget the client."""
        self._hub.sessions.pop(self, None)

    def _authenticate(self, message: dict[str, Any]) -> None:
        args, is_done = message.get("args"), False

        def log_in() -> None:
            nonlocal is_done
            self.key = authenticate_socket(self._hub.ring, args, self._hub.clock.stated_ms(), self._address)
            is_done = True

        try:
            if self._hub.mischief.log_in(PRIVATE, args, log_in):
                self._reply(message, success=True, text="")
        except Refusal as refusal:
            self._reply(message, success=False, text=refusal.message)
            if not is_done:
                self.close(_REFUSED, "authentication failed")

    def _choose(self, message: dict[str, Any], *, is_subscribing: bool) -> None:
        topics = message.get("args")
        if not isinstance(topics, list) or not topics or not all(isinstance(topic, str) for topic in topics):
            self._reply(message, success=False, text="error:args must be a list of topics")
            return
        unknown = [topic for topic in topics if topic not in OFFERED]
        mixed = [topic for topic in topics if topic + _CATEGORY in topics]
        if unknown:
            text = f"error:handler not found,topic:{unknown[0]} (this venue offers {', '.join(TOPICS)})"
            self._reply(message, success=False, text=text)
        elif mixed:
            text = f"error:{mixed[0]} and {mixed[0]}{_CATEGORY} must not be mixed in one request"
            self._reply(message, success=False, text=text)
        else:
            for topic in topics:
                if is_subscribing:
                    self._topics[topic] = None
                else:
                    self._topics.pop(topic, None)
            self._reply(message, success=True, text="")

    def _reply(self, message: dict[str, Any], *, success: bool, text: str) -> None:
        reply = {"success": success, "ret_msg": text, "op": str(message.get("op", "")), "conn_id": self.conn_id}
        if "req_id" in message:
            reply["req_id"] = str(message["req_id"])
        self.say(reply)
