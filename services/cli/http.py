"""Short loopback requests to the fleet's own endpoints."""

from __future__ import annotations

from typing import Any

import httpx


class FleetHttp:
    """A client for one run; every call answers None or raises nothing when the service is not there."""

    def __init__(self, timeout_seconds: float = 2.0) -> None:
        self._client = httpx.AsyncClient(timeout=timeout_seconds, trust_env=False)

    async def get_json(self, url: str, headers: dict[str, str] | None = None) -> Any | None:
        """Give the JSON answer of a GET, or None when there is none."""
        try:
            answer = await self._client.get(url, headers=headers)
            return answer.json() if answer.status_code == httpx.codes.OK else None
        except (httpx.HTTPError, ValueError):
            return None

    async def get_text(self, url: str) -> str | None:
        """Give the body of a GET, or None."""
        try:
            answer = await self._client.get(url)
        except httpx.HTTPError:
            return None
        return answer.text if answer.status_code == httpx.codes.OK else None

    async def ready(self, url: str) -> tuple[bool, str]:
        """Ask `/readyz`; give whether it is ready and, if not, why."""
        try:
            answer = await self._client.get(f"{url}/readyz")
        except httpx.HTTPError:
            return False, "not listening yet"
        return answer.status_code == httpx.codes.OK, answer.text.strip()

    async def post_json(self, url: str, body: dict[str, Any]) -> tuple[int, Any]:
        """Give status and JSON answer of a POST; status 0 when nobody answered."""
        try:
            answer = await self._client.post(url, json=body)
        except httpx.HTTPError as error:
            return 0, {"error": str(error) or type(error).__name__}
        try:
            return answer.status_code, answer.json()
        except ValueError:
            return answer.status_code, {"error": answer.text[:200]}

    async def close(self) -> None:
        """Disconnect."""
        await self._client.aclose()
