"""The faults of one venue, put together from its settings: what they may name, with which it begins, and where they are counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec

from services.venue.core import VenueCore
from services.venue.fault_control import FaultControl
from services.venue.faults.catalogue import (
    AUTH,
    CONNECT,
    DELTA,
    EVENT,
    PRIVATE,
    PUBLIC,
    REPLY,
    REST,
    SNAPSHOT,
    SUBSCRIBE,
    TRADE,
)
from services.venue.faults.chaos import chaos
from services.venue.faults.kinds import BadFaultError
from services.venue.faults.reach import Vocabulary
from services.venue.keys import KeyRing
from services.venue.pages import MarketPages
from services.venue.private_socket import OFFERED
from services.venue.public_socket import PublicHub
from services.venue.settings import PaperSettings
from services.venue.status_socket import TOPIC as STATUS
from services.venue.trade_socket import PATHS as OPERATIONS
from undertow.runtime.errors import ConfigurationError
from undertow.runtime.settings import PREFIX

_SETTING: Final = f"{PREFIX}PAPER__FAULTS"
_KINDS: Final = {"tickers": (SNAPSHOT, DELTA), "priceLimit": (EVENT,)}
"""Of the frames of public topics, by first word, where they are not snapshots alone."""
_KEY_PATH: Final = "user/query-api"


def vocabulary(core: VenueCore, pages: MarketPages, public: PublicHub, ring: KeyRing) -> Vocabulary:
    """Say what a fault may name at this venue."""
    rest = {path.removeprefix("/v5/") for path in (*core.paths, *pages.paths)} | {_KEY_PATH}
    return Vocabulary(
        endpoints={
            REST: rest,
            TRADE: (*OPERATIONS, AUTH, CONNECT),
            PRIVATE: (AUTH, CONNECT),
            PUBLIC: (SUBSCRIBE, CONNECT),
        },
        topics={
            PUBLIC: {**{topic: _kinds_of(topic) for topic in public.topics}, STATUS: (EVENT,), **_replies("ping")},
            PRIVATE: {**dict.fromkeys(OFFERED, (EVENT,)), **_replies(AUTH, "pong")},
            TRADE: dict.fromkeys((*OPERATIONS, AUTH, "pong"), (REPLY,)),
        },
        owner_of=lambda key: None if (known := ring.find(key)) is None else known.uid,
        has_uid=lambda uid: uid in ring.uids,
    )


def _kinds_of(topic: str) -> tuple[str, ...]:
    first, _, rest = topic.partition(".")
    if first == "orderbook":
        return (SNAPSHOT,) if rest.startswith("1.") else (SNAPSHOT, DELTA)
    return _KINDS.get(first, (SNAPSHOT,))


def _replies(*more: str) -> dict[str, tuple[str, ...]]:
    return dict.fromkeys((SUBSCRIBE, "unsubscribe", *more), (REPLY,))


def begin(control: FaultControl, paper: PaperSettings) -> None:
    """Let the venue begin with the faults of its settings.

    Raises:
        ConfigurationError: they cannot be.
    """
    if paper.faults:
        try:
            control.start_with(_faults(paper.faults))
        except BadFaultError as error:
            raise ConfigurationError(_SETTING, f"{error.field}: {error.rule}", error.remedy) from None
    if paper.chaos_seed is not None and paper.chaos_intensity:
        control.start_with(chaos(paper.chaos_seed, paper.chaos_intensity))


def _faults(given: str) -> Any:
    text = given
    if not given.lstrip().startswith(("[", "{")):
        try:
            text = Path(given).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not text"
            raise ConfigurationError(
                _SETTING, f"{given} cannot be read ({why})", "give JSON or a readable file"
            ) from None
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ConfigurationError(_SETTING, f"is not JSON ({error})", "give a JSON object or a list of them") from None
