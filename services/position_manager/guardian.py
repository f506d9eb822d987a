"""What the position manager says to the guardian, over HTTP."""

from __future__ import annotations

from typing import Final, Protocol

import httpx
import msgspec

from undertow.contracts.messages.heartbeat import Heartbeat, Permit

GUARDIAN_TIMEOUT_S: Final = 1.0


class Guardian(Protocol):
    """The two things that are said to the guardian."""

    async def beat(self, heartbeat: Heartbeat) -> Permit:
        """Post a heartbeat.

        Raises:
            OSError: no answer, or none that is a permit.
        """
        ...

    async def kill(self, who: str, why: str) -> None:
        """Ask to halt.

        Raises:
            OSError: no answer, or a refusal.
        """
        ...


class HttpGuardian:
    """The guardian at its address."""

    def __init__(self, url: str) -> None:
        self._client = httpx.AsyncClient(base_url=url, timeout=GUARDIAN_TIMEOUT_S, trust_env=False)

    async def beat(self, heartbeat: Heartbeat) -> Permit:
        """See `Guardian.beat`."""
        answer = await self._post("/heartbeat", msgspec.json.encode(heartbeat))
        try:
            return msgspec.json.decode(answer, type=Permit)
        except msgspec.MsgspecError as error:
            raise OSError(f"the guardian's answer is no permit: {error}") from error

    async def kill(self, who: str, why: str) -> None:
        """See `Guardian.kill`."""
        await self._post("/kill", msgspec.json.encode({"who": who, "why": why}))

    async def close(self) -> None:
        """Disconnect."""
        await self._client.aclose()

    async def _post(self, path: str, body: bytes) -> bytes:
        try:
            answer = await self._client.post(path, content=body)
        except httpx.HTTPError as error:
            raise OSError(f"the guardian does not answer: {error or type(error).__name__}") from error
        if answer.status_code != httpx.codes.OK:
            raise OSError(f"the guardian answers {answer.status_code}: {answer.text[:200]}")
        return answer.content
