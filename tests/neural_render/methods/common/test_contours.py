"""Faces as drawings: their lines are where the points are, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from facemodel.landmark_schemes import SCHEMES, LandmarkScheme
from foundation.errors import PortraitError
from neural_render.corpus import Faces
from neural_render.methods.common.contours import Contours, check_scheme, dots, followed, heatmaps, picture
from neural_render.methods.common.partners import of_same_person, partners
from tests.neural_render.methods.drawn import clip_of


@pytest.mark.parametrize("scheme", ["ibug68", "mediapipe478"])
def test_lines_are_where_a_face_has_them(scheme, model):
    contours, known = Contours.of(scheme), SCHEMES[scheme]
    points = model.landmarks(model.mean, scheme).numpy()[list(contours.points)]
    middle = {part: points[list(chosen)].mean(0) for part, chosen in contours.parts.items()}
    assert list(contours.parts) == ["jaw", "brows", "nose", "right eye", "left eye", "mouth"]
    assert middle["left eye"][0] > 20 and middle["right eye"][0] < -20  # x is to the subject's left
    heights = [middle[part][1] for part in ("brows", "left eye", "nose", "mouth", "jaw")]
    assert heights[:4] == sorted(heights[:4], reverse=True)
    ends = points[[line[0] for line in contours.lines]] - points[[line[-1] for line in contours.lines]]
    longest = max(np.linalg.norm(np.diff(points[list(line)], axis=0), axis=1).max() for line in contours.lines)
    assert longest < 30 and np.linalg.norm(ends, axis=1).max() < 160  # mm: no line jumps across the face
    assert set(contours.points) >= {k for side in known.eye_corners for k in side} | set(known.mouth_corners)
    assert len(contours.colours) == len(contours.lines) == {"ibug68": 13, "mediapipe478": 17}[scheme]
    assert len({tuple(c) for c in contours.colours.tolist()}) == len(contours.lines)
    landmarks = np.arange(2 * known.count).reshape(known.count, 2)
    assert (contours.pick(landmarks)[:, 0] == 2 * np.array(contours.points)).all()


def test_a_scheme_without_lines_is_refused():
    bare = LandmarkScheme("bare", 3, ((0, 1), (0, 1)), ((), ()), (), ((), ()), ((), ()), 0, (0, 1), 2)
    SCHEMES.add("bare", bare)
    try:
        with pytest.raises(PortraitError, match=r"expected a scheme with lines .*ibug68.*, got 'bare'"):
            Contours.of("bare")
    finally:
        SCHEMES.remove("bare")


def test_a_dot_is_a_pixel_shared_by_those_it_lies_on():
    at = lambda column, row: [(column + 0.5) / 4 - 1, (row + 0.5) / 4 - 1]  # noqa: E731
    made = dots(torch.tensor([[at(2, 5)], [at(2.25, 5.5)], [at(90, 2)], [at(7.5, 0)]]), 8)
    assert made.shape == (4, 1, 8, 8) and made[0, 0, 5, 2] == 1 and made[0].sum() == 1
    shared = made[1, 0, 5:7, 2:4]
    torch.testing.assert_close(shared, torch.tensor([[0.375, 0.125], [0.375, 0.125]]))
    assert made[2].sum() == 0 and made[3].sum() == 0.5  # beyond the edge, and half of it
    both = torch.tensor([[at(2, 5), at(2, 5), at(0, 0)]])
    assert dots(both, 8).max() == 1


def test_a_line_is_bright_along_its_points():
    points = np.array([[[-0.5, 0.25], [0.5, 0.25], [0.0, -0.75], [0.0, -0.25]]], np.float32)
    maps = heatmaps(points, [(0, 1), (2, 3)], 32)
    assert maps.shape == (1, 2, 32, 32) and 0.6 < maps.max() <= 1
    rows, columns = np.mgrid[:32, :32]
    for shown, (x, y) in zip(maps[0].numpy(), ((0.0, 0.25), (0.0, -0.5))):
        mean = [(shown * axis).sum() / shown.sum() for axis in (columns, rows)]
        np.testing.assert_allclose(mean, [(x + 1) * 16 - 0.5, (y + 1) * 16 - 0.5], atol=0.06)
    assert maps[0, 0, :, 4].max() < 0.1 < maps[0, 0, :, 12].max()
    drawn = picture(points, [(0, 1), (2, 3)], np.array([[255, 0, 0], [0, 255, 0]], np.uint8), 64)
    assert drawn.shape == (1, 3, 64, 64) and drawn.min() == -1
    assert drawn[0, 0, 39:41, 32].max() > -0.5 and (drawn[0, 1, 39:41] == -1).all()
    assert drawn[0, 1, 16, 31:33].max() > -0.5 and (drawn[0, 0, 8:25] == -1).all()


def test_frames_without_a_face_have_the_nearest_ones_landmarks():
    clip, whole = clip_of(0, missing=(0, 3)), clip_of(0)
    found = followed(clip)
    assert np.isfinite(found).all() and np.array_equal(found[0], found[1])
    assert np.array_equal(found[3], found[2]) and not np.array_equal(found[4], found[3])
    assert np.abs(followed(whole)[1] - found[1]).max() < 0.1
    with pytest.raises(PortraitError, match="driver: expected landmarks 'ibug68' of clip '0-0.mp4'.*got 'drawn'"):
        check_scheme(clip, "ibug68", "driver")


def test_partners_do_the_same():
    person, performance = np.repeat(np.arange(6), 4), np.tile([0, 0, 1, 1], 6)
    performance[person == 5] = -1  # somebody whose performances nobody knows
    faces = Faces(
        "", 8, tuple("abcdef"), person, 2 * person + performance % 2, performance, np.tile([0, 1], 12), np.ones(12),
        np.zeros((24, 3, 2)), "drawn",
    )  # fmt: skip
    rows = np.arange(24)
    others, same = partners(faces, rows, 3, 0)
    assert same.tolist() == [True] * 20 + [False] * 4
    assert (person[others[same]] != person[rows[same]]).all()
    assert (performance[others] == performance)[same].all() and (faces.frame[others] == faces.frame)[same].all()
    assert np.array_equal(others, partners(faces, rows, 3, 0)[0]) and (others != partners(faces, rows, 4, 0)[0]).any()
    own = of_same_person(faces, rows, 0, 0)
    assert np.array_equal(person[own], person) and len(np.unique(own)) > 6
