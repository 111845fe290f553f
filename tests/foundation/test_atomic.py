"""Files appear whole or not at all."""

import os
import stat

import pytest

from foundation.atomic import replace_file, replace_files, write_file, write_files
from foundation.errors import PortraitError


def test_folders_are_made_and_nothing_else_is_left(tmp_path):
    assert write_file(tmp_path / "a" / "b.txt", "é") == tmp_path / "a" / "b.txt"
    assert (tmp_path / "a" / "b.txt").read_bytes() == "é".encode()
    write_files({tmp_path / "a" / "c": b"1", tmp_path / "d": "2"})
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a", "b.txt", "c", "d"]


@pytest.mark.parametrize("error", [RuntimeError("stopped"), KeyboardInterrupt()])
def test_what_was_there_stays_where_writing_fails(tmp_path, error):
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("old")

    def fails(path):
        path.write_text("half")
        raise error

    with pytest.raises(type(error)):
        replace_files({new: lambda p: p.write_text("whole"), old: fails})
    assert old.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["old"]


def test_a_full_disk_and_a_place_that_isn_t_one(tmp_path):
    def full(path):
        raise OSError(28, "No space left on device")

    with pytest.raises(PortraitError, match=f"track '{tmp_path}/t': the disk is full") as raised:
        replace_file(tmp_path / "t", full, "track")
    assert "\n" not in str(raised.value)

    class SafetensorError(Exception):  # as safetensors says it
        pass

    def words(path):
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    with pytest.raises(PortraitError, match="the disk is full"):
        replace_file(tmp_path / "t", words)
    (tmp_path / "file").touch()
    with pytest.raises(PortraitError, match="can't be written"):
        write_file(tmp_path / "file" / "x", b"")


def test_permissions_are_the_user_s(tmp_path):
    before = os.umask(0o027)
    try:
        path = replace_file(tmp_path / "x", lambda p: (p.write_bytes(b""), p.chmod(0o600)))
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
