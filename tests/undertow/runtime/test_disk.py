from __future__ import annotations

import pytest

from undertow.runtime.disk import LocalDisk


def test_what_is_appended_is_read_and_what_is_cut_off_is_not(tmp_path):
    disk = LocalDisk()
    disk.make_directory(tmp_path / "deep" / "er")
    path = tmp_path / "deep" / "er" / "file"
    for words in (b"one", b"two"):
        file = disk.append(path)
        file.write(words)
        file.sync()
        file.close()
    assert disk.read(path) == b"onetwo"
    file = disk.append(path)
    file.truncate(3)
    file.write(b"!")
    file.close()
    assert disk.read(path) == b"one!"


def test_a_file_takes_the_place_of_another_that_keeps_its_second_name(tmp_path):
    disk, path, beside = LocalDisk(), tmp_path / "file", tmp_path / "file.new"
    for content in (b"old", b"new"):
        file = disk.create(beside)
        file.write(content)
        file.sync()
        file.close()
        disk.replace(path, beside)
        disk.link(path, tmp_path / "also")
    assert (disk.read(path), disk.read(tmp_path / "also")) == (b"new", b"new")
    with pytest.raises(FileNotFoundError):
        disk.read(beside)


def test_a_lock_is_held_by_one_at_a_time(tmp_path):
    disk = LocalDisk()
    lock = disk.lock(tmp_path / "lock")
    with pytest.raises(OSError, match="unavailable"):
        disk.lock(tmp_path / "lock")
    lock.close()
    disk.lock(tmp_path / "lock").close()
