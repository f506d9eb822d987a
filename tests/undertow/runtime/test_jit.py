from __future__ import annotations

import os
import subprocess
import sys

from undertow.runtime.jit import source_stamp

PROGRAM = "from outer import twice; print(twice(1.0), twice.stats.cache_hits and sum(twice.stats.cache_hits.values()))"


def run(folder):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=folder,
        env={
            **os.environ,
            "NUMBA_DISABLE_JIT": "0",
            "NUMBA_CACHE_DIR": str(folder / "cache"),
            "PYTHONPATH": os.pathsep.join([str(folder), *sys.path]),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_a_change_in_a_callee_of_another_file_is_compiled_anew(tmp_path):
    (tmp_path / "inner.py").write_text(
        "from undertow.runtime.jit import kernel\n@kernel\ndef once(x):\n    return x + 1.0\n"
    )
    (tmp_path / "outer.py").write_text(
        "from undertow.runtime.jit import kernel\nfrom inner import once\n"
        "@kernel\ndef twice(x):\n    return once(once(x))\n"
    )
    assert run(tmp_path)[0] == "3.0"
    assert run(tmp_path) == ["3.0", "1"]
    (tmp_path / "inner.py").write_text((tmp_path / "inner.py").read_text().replace("1.0", "2.0"))
    assert run(tmp_path)[0] == "5.0"


def test_the_stamp_depends_on_names_and_contents(tmp_path):
    stamps = set()
    for name, text in (("a.py", "x"), ("b.py", "x"), ("b.py", "y")):
        folder = tmp_path / f"{len(stamps)}"
        folder.mkdir()
        (folder / name).write_text(text)
        stamps.add(source_stamp(folder))
    assert len(stamps) == 3
