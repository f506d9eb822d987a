import os
import subprocess
import sys

import pytest

from services.cli import workspace
from services.cli.run import compile_kernels
from services.cli.workspace import claimed, make_temporary
from undertow.runtime.errors import ConfigurationError


def test_a_folder_belongs_to_one_fleet_at_a_time(tmp_path):
    with claimed(tmp_path):
        with (
            pytest.raises(ConfigurationError, match=f"a fleet runs in .* already \\(process {os.getpid()}\\)"),
            claimed(tmp_path),
        ):
            pytest.fail("claimed twice")
        with pytest.raises(ConfigurationError, match="already"), claimed(tmp_path):  # a refusal does not give it free
            pytest.fail("claimed twice")
    with claimed(tmp_path):
        pass


def test_a_killed_owner_leaves_the_folder_free(tmp_path):
    code = f"""
import os, signal
from pathlib import Path
from services.cli.workspace import claimed, make_temporary
with claimed(Path({str(tmp_path)!r})):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode != 0
    with claimed(tmp_path):
        pass


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(ConfigurationError, match=r"UNDERTOW_VAR: .*/file/var cannot be written \(Not a directory\)"),
        claimed(tmp_path / "file" / "var"),
    ):
        pytest.fail("claimed")


def test_a_full_disk_is_named_with_what_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(workspace, "NEEDED_BYTES", 1 << 62)
    with pytest.raises(ConfigurationError, match=r"UNDERTOW_VAR: .* has \d+ MB left"), claimed(tmp_path):
        pytest.fail("claimed")


async def test_compiled_code_that_cannot_be_kept_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file" / "numba"))
    with pytest.raises(ConfigurationError, match=r"NUMBA_CACHE_DIR: .* cannot be written"):
        await compile_kernels(tmp_path / "warm.log")


def test_what_killed_launchers_left_is_removed_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left, living, other = (tmp_path / f"undertow-{name}" for name in (f"{gone.pid}-x", f"{os.getpid()}-y", "mine"))
    for folder in (left, living, other):
        (folder / "inside").mkdir(parents=True)
    made = make_temporary()
    assert sorted(tmp_path.iterdir()) == sorted([living, other, made])
