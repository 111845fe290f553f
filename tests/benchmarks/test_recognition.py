"""The benchmark of recognition: who is drawn, what methods see, what its figures say."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.recognition import STRANGERS, accuracy_60, compared, settle
from benchmarks.recognition_people import OWN, PICTURE, Photos, photograph, shots, tools
from benchmarks.recognition_runs import by_yaw, geometry
from benchmarks.recognition_views import (  # fmt: skip
    ALIGNED,
    AUGMENTED,
    FILLED,
    HEIGHT,
    HOLES,
    POSES,
    SIZE,
    VIEWS,
    WIDTH,
    Views,
    write_metadata,
    write_person,
)
from foundation.errors import PortraitError
from neural_render.uv_gan.generator import UVGenerator
from recognition.evaluation import Result
from recognition.folder import read_folder
from renderer import rotation_matrix
from synthetic.performance import head_turn
from tests.recognition.conftest import write_people


@pytest.fixture(scope="module")
def photos():
    return photograph(STRANGERS, 6, test=True)


def test_test_people_look_everywhere_and_are_others():
    drawn = shots(STRANGERS, 12, test=True)
    turns = sorted(abs(s.yaw) for s in drawn)
    assert all(low <= turn <= low + 15 for turn, low in zip(turns, np.repeat([0, 15, 30, 45, 60, 75], 2)))
    assert len({s.light for s in drawn}) == len({s.expression for s in drawn}) == 12
    assert shots(STRANGERS, 3, test=True) == shots(STRANGERS, 3, test=True)
    assert shots(STRANGERS + 1, 3, test=True) != shots(STRANGERS, 3, test=True) != shots(STRANGERS, 3, test=False)


def test_each_picture_is_fitted_by_itself(photos, tmp_path):
    assert photos.pictures.shape == (6, PICTURE, PICTURE, 3) and len({t.yaw for t in shots(1, 6, test=True)}) == 6
    for k, shot in enumerate(shots(STRANGERS, 6, test=True)):
        found = rotation_matrix(photos.parameters.rotation[k])
        off = found.T @ rotation_matrix(head_turn(shot.yaw, shot.pitch, shot.roll))
        assert torch.rad2deg(torch.acos(((off.trace() - 1) / 2).clamp(-1, 1))) < 15
    identities = photos.parameters.identity
    assert all(not torch.equal(identities[0], other) for other in identities[1:])
    photos.save(tmp_path / "a.safetensors", {})
    again = Photos.load(tmp_path / "a.safetensors")
    assert np.array_equal(again.pictures, photos.pictures) and np.array_equal(again.yaw, photos.yaw)
    assert all(torch.equal(getattr(again.parameters, n), getattr(photos.parameters, n)) for n in OWN)


def test_every_method_sees_the_same_pictures_of_the_same_people(photos, tmp_path):
    views = Views(tools()[0], UVGenerator(SIZE, 4))
    test = views.of_person(photos, test=True, seed=1)
    train = views.of_person(photos, test=False, seed=1)
    assert set(test) == set(VIEWS) and set(train) == set(VIEWS) - set(POSES)
    for pictures in test.values():
        assert list(pictures) == [f"{k:03d}.png" for k in range(6)]
        assert all(p.shape == (HEIGHT, WIDTH, 3) and p.dtype == np.uint8 for p in pictures.values())
    assert len(train[AUGMENTED]) == 12 and np.array_equal(train[AUGMENTED]["002.png"], train[ALIGNED]["002.png"])
    hidden = []
    for name, holes in test[HOLES].items():
        hidden.append(float((holes == 0).all(-1).mean()))
        for view in FILLED:  # what is seen stays, what isn't is filled
            whole = test[view][name]
            added = whole.astype(int) - holes
            assert added.min() >= -1 and np.median(np.abs(added[(holes > 60).all(-1)])) <= 1
            assert (whole == 0).all(-1).mean() < 0.12 < hidden[-1]
    assert hidden[5] > hidden[0] + 0.2  # a profile shows less
    write_person(tmp_path, "100000", test)
    write_person(tmp_path, "000001", train)
    write_metadata(tmp_path, [("000001", False, photos.yaw), ("100000", True, photos.yaw)])
    for view in VIEWS:
        folder = read_folder(tmp_path / view)
        np.testing.assert_allclose(folder.of_split("test").yaw, photos.yaw, atol=1e-3)
        assert (view in POSES) == ("train" not in folder.splits)


def test_geometry_of_known_embeddings():
    degrees = np.radians([0, 10, 90, 90, 180, 190])
    rows = np.stack([np.cos(degrees), np.sin(degrees)], 1) * np.array([[1], [3], [2], [2], [2], [2]])
    found = geometry(rows, np.array([4, 4, 7, 7, 9, 9]))
    assert found["nearest"] == pytest.approx((85 + 85 + 95) / 3)
    assert found["between"] == pytest.approx((85 + 95 + 180) / 3)
    assert found["within"] == pytest.approx((5 + 0 + 5) / 3, abs=1e-4)
    assert found["norm"] == 2 and found["norm_std"] == pytest.approx(np.sqrt(2 / 6) / 2)


def test_rows_are_by_yaw_and_gains_in_the_same_folds(tmp_path):
    folder = read_folder(write_people(tmp_path / "set", 12))
    ideal = np.eye(len(folder.identities))[folder.labels]
    rows = by_yaw(ideal, folder)
    assert [r.protocol for r in rows] == ["15-30", "30-45", "45-60", "60-75", "75-90", "60-90"]
    assert all(r.accuracy == 1 and r.eer == 0 for r in rows)

    def run(*folds: float) -> dict[int, list[Result]]:
        return {0: [Result("60-75", 4, 0, (0.5, 0.5)), Result("60-90", 4, 0, folds, tar={0.01: 0.2})]}

    results = {"aligned": run(0.6, 0.7, 0.65), "holes": run(0.7, 0.7, 0.7), "uv-gan": run(0.8, 0.9, 0.85)}
    table = accuracy_60(compared(results, "aligned"), {b: compared(results, b) for b in ("aligned", "holes")})
    assert list(table) == list(results) and table["uv-gan"]["accuracy"] == pytest.approx(0.85)
    assert table["uv-gan"]["gain_over_aligned"] == pytest.approx(0.2)
    assert table["uv-gan"]["gain_over_aligned_ci"] == pytest.approx(0, abs=1e-9)
    assert table["uv-gan"]["ci"] > 0.1
    assert table["uv-gan"]["gain_over_holes"] == pytest.approx(0.15) and table["holes"]["gain_over_holes"] == 0


def test_a_folder_of_other_settings_is_refused(tmp_path):
    settle(tmp_path, {"people": 3})
    settle(tmp_path, {"people": 3})
    with pytest.raises(PortraitError, match="choose another --work"):
        settle(tmp_path, {"people": 4})
