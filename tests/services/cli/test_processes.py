import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from services.cli.processes import ProcessSpec, Supervisor, last_line
from tests.support import eventually

SLEEPER = "import time; print('up', flush=True); time.sleep(60)"


def spec(tmp_path: Path, code: str, name: str = "child", *, essential: bool = False) -> ProcessSpec:
    return ProcessSpec(name, [sys.executable, "-c", code], dict(os.environ), tmp_path / f"{name}.log", essential)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"


async def test_a_killed_process_is_started_again_and_counted(tmp_path):
    supervisor = Supervisor(lambda name, why: pytest.fail(f"{name} {why}"))
    await supervisor.start(spec(tmp_path, SLEEPER))
    first = supervisor.pid("child")
    os.kill(first, signal.SIGKILL)
    await eventually(lambda: supervisor.restarts == {"child": 1} and alive(supervisor.pid("child")))
    assert supervisor.pid("child") != first
    last = supervisor.pid("child")
    await supervisor.stop_all(["child"])
    assert not alive(last)


async def test_the_end_of_an_essential_process_is_a_failure_with_its_last_line(tmp_path):
    failures = []
    supervisor = Supervisor(lambda name, why: failures.append((name, why)))
    await supervisor.start(spec(tmp_path, "print('the reason'); raise SystemExit(4)", essential=True))
    await eventually(lambda: failures)
    assert failures == [("child", "ended with code 4: the reason")]
    await supervisor.stop_all([])


async def test_a_process_that_ends_again_and_again_is_given_up(tmp_path):
    failures = []
    supervisor = Supervisor(lambda name, why: failures.append(name))
    await supervisor.start(spec(tmp_path, "raise SystemExit(1)"))
    await eventually(lambda: failures, seconds=30)
    await supervisor.stop_all([])


async def test_a_process_that_ignores_the_request_to_end_is_killed(tmp_path):
    supervisor = Supervisor(lambda *_: None)
    code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + SLEEPER
    await supervisor.start(spec(tmp_path, code))
    await eventually(lambda: "up" in (tmp_path / "child.log").read_text())
    assert await supervisor.stop("child", grace_seconds=0.2) == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
async def test_no_child_outlives_a_launcher_that_is_killed(tmp_path):
    launcher = f"""
import asyncio, os, sys
from pathlib import Path
from services.cli.processes import ProcessSpec, Supervisor
async def main():
    supervisor = Supervisor(lambda *_: None)
    await supervisor.start(ProcessSpec("child", [sys.executable, "-c", {SLEEPER!r}], dict(os.environ), Path({str(tmp_path / "c.log")!r})))
    print(supervisor.pid("child"), flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", launcher], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        child = int(process.stdout.readline())
        assert alive(child)
        process.kill()
    await eventually(lambda: not alive(child))


def test_the_last_line_of_a_missing_log_says_so(tmp_path):
    assert last_line(tmp_path / "none.log") == "it left no log"
