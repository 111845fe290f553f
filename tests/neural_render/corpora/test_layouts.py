"""Corpora in their own layouts: small files in those forms, read and refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from foundation.errors import PortraitError
from neural_render.corpora import CORPORA, Tools, layout_of, read_corpus
from neural_render.methods.clip import Landmarks

RAFD = "Rafd090_{}_Caucasian_female_{}_frontal.jpg"


@dataclass
class Frames:
    path: Path
    width, height, fps, frame_count = 8, 6, 25.0, 1

    def __iter__(self):
        yield 0, 0.0, np.full((6, 8, 3), len(self.path.name), np.uint8)


def find(clip):
    return Landmarks("two", np.zeros((1, 2, 2), np.float32))


TOOLS = Tools(Frames, None, find)


def make(root: Path, *names: str, text: str = "") -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text or name)
    return root


def test_voxceleb(tmp_path):
    root = make(tmp_path / "vox", "mp4/id00012/aBc-/00001.mp4", "mp4/id00012/aBc-/00002.mp4", "mp4/id00015/x/00001.mp4")
    make(
        root, "txt/id00012/aBc-/00001.txt", text="Identity  : \tid00012\nReference : \taBc-\nFRAME X Y W H\n0 1 2 3 4\n"
    )
    assert layout_of(root) == "voxceleb"
    clips = read_corpus(root, TOOLS, weight=3.0)
    assert [c.person for c in clips] == ["id00012", "id00012", "id00015"] and clips[0].source["reference"] == "aBc-"
    assert clips[0].source["file"] == "mp4/id00012/aBc-/00001.mp4" and clips[0].performance == ""
    assert [c.weight for c in clips] == [1.0] * 3 and (clips[0].width, clips[0].height) == (8, 6)
    assert clips[0].landmarks.scheme == "two" and next(iter(clips[0].frames))[2][0, 0, 0] == len("00001.mp4")
    make(root, "txt/id00012/aBc-/00002.txt", text="Identity  : \tid00099\n")
    with pytest.raises(PortraitError, match=r"00002\.txt': is of 'id00099', its clip of 'id00012'"):
        read_corpus(root, TOOLS)
    make(root, "mp4/id00012/00003.mp4")
    with pytest.raises(PortraitError, match="expected mp4/idNNNNN/VIDEO/NAME.mp4"):
        read_corpus(root, TOOLS)


def test_rafd(tmp_path):
    root = make(tmp_path / "rafd", RAFD.format("01", "angry"), RAFD.format("02", "angry"), RAFD.format("02", "happy"))
    assert layout_of(root) == "rafd"
    clips = read_corpus(root, TOOLS)
    assert [c.person for c in clips] == ["Rafd01", "Rafd02", "Rafd02"]
    assert clips[0].performance == clips[1].performance != clips[2].performance
    make(root, RAFD.format("02", "bored"))
    with pytest.raises(PortraitError, match="expected RaFD's names"):
        read_corpus(root, TOOLS)


def test_multi_pie(tmp_path):
    names = ["001_02_03_051_07.png", "002_02_03_051_07.png", "002_02_03_051_08.png"]
    root = make(tmp_path / "pie", *(f"session02/multiview/{n[:3]}/03/05_1/{n}" for n in names))
    assert layout_of(root) == "multi-pie"
    clips = read_corpus(root, TOOLS)
    assert [c.person for c in clips] == ["PIE001", "PIE002", "PIE002"]
    assert clips[0].performance == clips[1].performance != clips[2].performance and "squint" in clips[0].performance
    make(root, "session02/001_02_09_051_07.png")
    with pytest.raises(PortraitError, match="expected Multi-PIE's names"):
        read_corpus(root, TOOLS)


def test_any_folder(tmp_path):
    root = make(tmp_path / "mine", "ada/a.mp4", "ada/b.mov", "ben.mp4", ".hidden/c.mp4")
    assert layout_of(root) == "folder"
    assert [(c.person, c.source["file"]) for c in read_corpus(root, TOOLS)] == [
        ("ada", "ada/a.mp4"), ("ada", "ada/b.mov"), ("ben", "ben.mp4")
    ]  # fmt: skip
    photos = make(tmp_path / "photos", "ada/1.jpg", "ada/2.png", "notes.txt")
    assert [c.person for c in read_corpus(photos, TOOLS)] == ["ada", "ada"]


def test_action_units_beside_a_clip(tmp_path):
    root = make(tmp_path / "mine", "ada/a.mp4")
    table = (
        "frame, face_id, timestamp, confidence, success, AU01_r, AU12_r, AU12_c\n1,0,0,1,1,0.5,6,1\n2,0,.1,0,0,1,1,1\n"
    )
    (root / "ada" / "a.aus.csv").write_text(table)
    units = read_corpus(root, TOOLS)[0].action_units
    assert units.names == ("AU01", "AU12")
    np.testing.assert_allclose(units.values, [[0.5, 5.0], [np.nan, np.nan]])
    (root / "ada" / "a.aus.csv").write_text("frame, AU12_c\n1,1\n")
    with pytest.raises(PortraitError, match="no columns AU01_r"):
        read_corpus(root, TOOLS)[0].action_units  # noqa: B018
    (root / "ada" / "a.aus.csv").write_text("frame, face_id, AU12_r\n1,0,1\n1,1,1\n")
    with pytest.raises(PortraitError, match="expected one face, found several"):
        read_corpus(root, TOOLS)[0].action_units  # noqa: B018


def test_every_layout_is_named():
    assert set(CORPORA) == {"folder", "multi-pie", "rafd", "synthetic", "voxceleb"}
    assert all(CORPORA[name].title for name in CORPORA)


def test_a_broken_data_set(tmp_path):
    root = make(tmp_path / "broken", "dataset.json", text='{"clips": 2, "size": 48}')
    with pytest.raises(PortraitError, match="metadata.csv can't be read"):
        read_corpus(root, TOOLS)
    make(root, "metadata.csv", text="file,person,performance,split,frames,fps\n00000/p0000.mp4,00000,p0000,train,3,5\n")
    with pytest.raises(PortraitError, match="row 2: its clip isn't there"):
        read_corpus(root, TOOLS)
    make(root, "00000/p0000.mp4")
    assert len(read_corpus(root, TOOLS)) == 1
    with pytest.raises(PortraitError, match="no clips in the split 'test'"):
        read_corpus(root, TOOLS, split="test")
