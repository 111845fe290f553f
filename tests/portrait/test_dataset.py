"""``portrait synthesize-dataset``: whole people, in the layout that recognition reads, the same again."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from portrait.cli import main
from portrait.commands.options import degrees
from recognition.folder import read_folder
from recognition.pictures import read_picture

FEW = ["--identities", "3", "--pictures", "2", "--test", "0.5", "--processes", "1"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "synthetic"
    assert main(["synthesize-dataset", "-o", str(folder), *FEW]) == 0
    return folder


def test_recognition_reads_it(data):
    found = read_folder(data)
    assert len(found) == 6 and found.identities == ("00000", "00001", "00002")
    assert np.isfinite(found.yaw).all() and set(found.splits) <= {"train", "test"}
    for label in range(3):  # a person is in one split
        assert len({s for s, k in zip(found.splits, found.labels) if k == label}) == 1
    assert all(read_picture(p).shape == (112, 96, 3) for p in found.paths)


def test_a_stopped_run_goes_on_to_the_same(data, tmp_path, capsys):
    copy = tmp_path / "copy"
    shutil.copytree(data, copy)
    shutil.rmtree(copy / "00001")
    (copy / "00002").rename(copy / "00002.partial")
    (copy / "metadata.csv").unlink()
    assert main(["synthesize-dataset", "-o", str(copy), *FEW]) == 0
    assert "2 drawn now" in capsys.readouterr().out and not list(copy.glob("*.partial"))
    files = sorted(p.relative_to(data) for p in data.rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(copy) for p in copy.rglob("*") if p.is_file())
    for file in files:
        assert (data / file).read_bytes() == (copy / file).read_bytes(), file


def test_more_people_leave_the_others(data, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(data, copy)
    before = (copy / "metadata.csv").read_text()
    stamp = (copy / "00000" / "000.png").stat().st_mtime_ns
    more = [*FEW[:1], "4", *FEW[2:]]
    assert main(["synthesize-dataset", "-o", str(copy), *more]) == 0
    assert (copy / "metadata.csv").read_text().startswith(before)
    assert (copy / "00000" / "000.png").stat().st_mtime_ns == stamp
    assert len(read_folder(copy)) == 8


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--seed", "1"], "other settings"),
        (["--pictures", "0"], "--pictures"),
        (["--yaws", "0,left"], "--yaws"),
        (["--size", "8"], "--size"),
        (["--max-yaw", "200"], "--max-yaw"),
    ],
)
def test_bad_input(data, more, message, capsys):
    assert main(["synthesize-dataset", "-o", str(data), *FEW, *more]) == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error


def test_a_run_that_was_stopped_at_once_goes_on(tmp_path):
    (tmp_path / "dataset.json.partial").write_text("{")
    few = ["--identities", "1", "--pictures", "1", "--size", "64", "--processes", "1"]
    assert main(["synthesize-dataset", "-o", str(tmp_path), *few]) == 0
    assert {p.name for p in tmp_path.iterdir()} == {"dataset.json", "metadata.csv", "00000"}
    (tmp_path / "metadata.csv.partial").write_text("file,")
    assert main(["synthesize-dataset", "-o", str(tmp_path), *few]) == 0
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize("text", ["", "[", "[]", "3", '"a"', "null"])
def test_settings_that_are_none(tmp_path, text, capsys):
    (tmp_path / "dataset.json").write_text(text)
    assert main(["synthesize-dataset", "-o", str(tmp_path), *FEW]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "dataset.json" in error


def test_a_folder_of_others_is_left_alone(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("mine")
    assert main(["synthesize-dataset", "-o", str(tmp_path), *FEW]) == 2
    assert "isn't empty" in capsys.readouterr().err and [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_yaws():
    assert degrees("--yaws", "0,45,-90") == (0, 45, -90) and degrees("--yaws", None) == ()


@pytest.mark.slow
def test_several_processes_draw_the_same(data, tmp_path):
    other = tmp_path / "other"
    assert main(["synthesize-dataset", "-o", str(other), *FEW[:-1], "2"]) == 0
    for file in (p.relative_to(data) for p in data.rglob("*") if p.is_file()):
        assert (data / file).read_bytes() == (other / file).read_bytes(), file
