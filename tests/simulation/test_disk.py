from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.simulation.disk import SimulatedDisk
from tests.simulation.lives import LIFE, Life

FILE, BESIDE = Path("/d/file"), Path("/d/file.new")


def disk_of(seed=1):
    return SimulatedDisk(random.Random(seed), lambda _port: None)


def written(disk, path, data, *, sync):
    file = disk.create(path)
    file.write(data)
    if sync:
        file.sync()
    return file


def test_without_power_what_was_synced_stays_and_the_rest_is_half_there_at_most():
    left = set()
    for seed in range(50):
        disk = disk_of(seed)
        written(disk, BESIDE, b"safe", sync=True)
        disk.replace(FILE, BESIDE)
        disk.append(FILE).write(b" and not")
        assert disk.read(FILE) == b"safe and not"
        assert disk.safe(FILE) == b"safe"
        disk.lose_power()
        content = disk.read(FILE)
        assert b"safe and not".startswith(content)
        left.add(content)
    assert b"safe" in left
    assert len(left) > 2


def test_a_name_is_safe_when_its_directory_is():
    survived = set()
    for seed in range(20):
        disk = disk_of(seed)
        written(disk, FILE, b"whole", sync=True)
        disk.lose_power()
        try:
            survived.add(disk.read(FILE))
        except FileNotFoundError:
            survived.add(None)
    assert survived == {b"whole", None}


def test_a_lock_is_free_when_its_holder_is_dead():
    disk, life = disk_of(), Life("a", 1)
    token = LIFE.set(life)
    disk.lock(FILE)
    LIFE.reset(token)
    with pytest.raises(OSError, match="unavailable"):
        disk.lock(FILE)
    life.is_over = True
    disk.lock(FILE)
