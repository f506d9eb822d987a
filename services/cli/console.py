"""Talking to a fleet that runs, through its admin endpoints."""

from __future__ import annotations

import getpass
from typing import Any

import httpx

from services.cli.exits import CommandError, ExitCode


class Console:
    """The admin service's HTTP interface."""

    def __init__(self, port: int) -> None:
        self._base = f"http://127.0.0.1:{port}"

    def get(self, path: str) -> Any:
        """GET a JSON answer.

        Raises:
            CommandError: nothing runs there, or it refuses.
        """
        return self._answer("GET", path, None)

    def command(self, verb: str, why: str, **more: str) -> Any:
        """POST a command with who and why.

        Raises:
            CommandError: nothing runs there, or it refuses.
        """
        return self._answer("POST", f"/api/{verb}", {"who": getpass.getuser(), "why": why, **more})

    def _answer(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        try:
            answer = httpx.request(method, self._base + path, json=body, timeout=5.0, trust_env=False)
        except httpx.TimeoutException:
            raise CommandError(ExitCode.TIMED_OUT, f"{self._base} did not answer within 5 s") from None
        except httpx.HTTPError:
            raise CommandError(
                ExitCode.NOT_RUNNING, f"no fleet answers at {self._base}; start it with `make run`"
            ) from None
        if "application/json" not in answer.headers.get("content-type", ""):
            raise CommandError(
                ExitCode.NOT_RUNNING,
                f"what answers at {self._base} is no fleet; set UNDERTOW_CONSOLE_PORT to the fleet's",
            )
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise CommandError(ExitCode.NOT_FOUND, f"{path}: not found")
        if answer.is_error:
            raise CommandError(ExitCode.ERROR, f"{path} was refused with {answer.status_code}: {_why(answer)}")
        return answer.json()


def _why(answer: httpx.Response) -> str:
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        return answer.text[:300]
    if isinstance(detail, list):
        return "; ".join(f"{each['loc'][-1]}: {each['msg']}" for each in detail)
    return str(detail)
