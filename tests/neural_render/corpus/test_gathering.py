"""Face crops of many clips: where they are cut, what is known of them, how they are drawn."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from foundation.errors import PortraitError
from neural_render.corpus import cropped, face_box, gather
from neural_render.corpus.crops import cut_square, in_crop
from neural_render.images import Crop
from neural_render.methods.clip import ActionUnits, Clip, Landmarks
from tests.neural_render.conftest import Frames

SIDE, COUNT = 64, 6


def clip_of(person: str, performance: str = "", shade: int = 0, count: int = COUNT, missing=(), **others) -> Clip:
    """A dark picture with a bright square that moves right by 2 px a frame; its corners are the landmarks."""
    frames, points = np.full((count, SIDE, SIDE, 3), shade, np.uint8), np.zeros((count, 4, 2), np.float32)
    for k in range(count):
        left = 20 + 2 * k
        frames[k, 24:44, left : left + 20] = 200
        points[k] = [(left, 24), (left + 20, 24), (left, 44), (left + 20, 44)]
    points[list(missing)] = np.nan
    values = np.arange(count, dtype=np.float32)[:, None]
    return Clip(
        Frames(frames), SIDE, SIDE, person=person, performance=performance, source={"file": f"{person}{performance}"},
        find_landmarks=lambda _: Landmarks("corners", points),
        find_action_units=lambda _: ActionUnits(("AU12",), values), **others,
    )  # fmt: skip


def people(*names: str) -> list[Clip]:
    return [clip_of(name, act, 10 * k) for k, name in enumerate(names) for act in ("one", "two")]


def test_the_box_is_around_the_middle_of_the_movement():
    points = clip_of("ada").landmarks.points
    assert face_box(points) == Crop(19, 18, 32)  # 20 px wide, 1.6 times it; the middle is (35, 34)
    with pytest.raises(PortraitError, match="expected a face in at least one frame"):
        face_box(np.full((2, 4, 2), np.nan))


@pytest.mark.parametrize("crop", [Crop(-8, -4, 32), Crop(50, 40, 30), Crop(-10, -10, 90), Crop(70, 3, 8)])
def test_beyond_the_frame_is_what_is_at_its_edge(crop):
    frame = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3), np.uint8)
    y, x = (np.clip(np.arange(crop.side) + start, 0, SIDE - 1) for start in (crop.y0, crop.x0))
    np.testing.assert_array_equal(cut_square(frame, crop, crop.side), frame[y][:, x])


def test_points_and_pictures_of_a_crop_belong_together():
    """The landmarks are the square's corners, in the picture and in grid_sample's coordinates."""
    _, picture, points = next(iter(cropped(clip_of("ada"), 32)))
    bright = picture[0] > 0
    rows, columns = bright.any(1).nonzero().flatten(), bright.any(0).nonzero().flatten()
    found = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]) / 32 * 2 - 1
    np.testing.assert_allclose(points[[0, 3]].ravel(), found, atol=1e-6)
    inside = torch.nn.functional.grid_sample(
        picture[None], torch.from_numpy(points.mean(0))[None, None, None], align_corners=False
    )
    assert inside[0, 0, 0, 0] > 0.5
    np.testing.assert_allclose(in_crop(np.array([[19.0, 18.0], [51.0, 50.0]]), Crop(19, 18, 32)), [[-1, -1], [1, 1]])


def test_a_table_says_who_does_what_and_is_found_again(tmp_path):
    clips = people("ada", "bo")
    clips[1] = clip_of("ada", "two", missing=(1, 2))
    faces = gather(clips, tmp_path, 16, action_units=True)
    assert (len(faces), faces.excluded, faces.people, faces.unit_names) == (22, 2, ("ada", "bo"), ("AU12",))
    assert faces.frame[faces.clip == 1].tolist() == [0, 3, 4, 5]
    assert faces.units[:, 0].tolist() == faces.frame.tolist()
    shown = faces.pictures(np.array([[0, 12], [5, 17]]))
    assert shown.shape == (2, 2, 3, 16, 16)
    corner = (shown[:, :, 0, 0, 0] + 1) * 127.5
    assert corner.round().int().tolist() == [[0, 10], [0, 10]]

    def never(_):
        raise AssertionError("was read again")

    again = gather([replace(c, find_landmarks=never) for c in clips], tmp_path, 16, action_units=True)
    np.testing.assert_array_equal(again.landmarks, faces.landmarks)
    (tmp_path / "faces.u8").write_bytes(b"half")
    assert len(gather(clips, tmp_path, 16, action_units=True)) == 22
    assert len(gather(clips, tmp_path, 16, frames_a_clip=2)) == 8  # frames 0 and 5 of each
    clips[0].action_units.values[2] = np.nan  # fitted to no face, though a detector found one
    found = gather([replace(clips[0], source={"file": "other"})], tmp_path, 16, action_units=True)
    assert (len(found), found.excluded) == (5, 1) and np.isfinite(found.units).all()


def test_somebody_else_in_the_same_moment(tmp_path):
    faces = gather([*people("ada", "bo"), clip_of("eve")], tmp_path, 8)
    rows = np.flatnonzero(faces.person == 0)
    other = faces.counterpart(rows, 1)
    assert (faces.person[other] == 1).all()
    assert (faces.performance[other] == faces.performance[rows]).all() and (
        faces.frame[other] == faces.frame[rows]
    ).all()
    assert (faces.counterpart(rows, 2) == -1).all() and (
        faces.counterpart(np.flatnonzero(faces.person == 2), 0) == -1
    ).all()


def test_draws_are_of_one_clip_by_weight_and_a_function_of_the_step(tmp_path):
    clips = [*people("ada", "bo"), clip_of("eve", count=1, weight=9), clip_of("eve", "x", count=1, weight=9)]
    clips[0].weight = 0.0
    faces = gather(clips, tmp_path, 8)
    rows = faces.pairs(3, 400, 1)
    np.testing.assert_array_equal(rows, faces.pairs(3, 400, 1))
    assert (rows != faces.pairs(4, 400, 1)).any() and (rows[:, 0] != rows[:, 1]).all()
    assert (faces.person[rows[:, 0]] == faces.person[rows[:, 1]]).all()
    eve = faces.person[rows[:, 0]] == 2  # both of her photographs are a pair
    assert 0.8 < eve.mean() < 0.92  # 18 of 21
    assert (faces.clip[rows[~eve, 0]] == faces.clip[rows[~eve, 1]]).all() and not (faces.clip[rows] == 0).any()
    runs = faces.successive(0, 50, 0, 4)
    assert (np.diff(faces.frame[runs], axis=1) == 1).all() and not (faces.person[runs] == 2).any()


def test_clips_without_a_face_are_left_out(tmp_path):
    """Their frames are counted, and who is seen in no clip isn't among the people."""
    clips = [clip_of("eve", missing=range(COUNT)), *people("ada", "ben")]
    faces = gather(clips, tmp_path, 16, frames_a_clip=4)
    assert faces.people == ("ada", "ben") and faces.excluded == 4 and len(faces) == 4 * 4
    assert faces.clip.min() == 1 and len(faces.weights) == 5 and set(faces.person) == {0, 1}
    with pytest.raises(PortraitError, match="expected a face in one of 1, found none"):
        gather(clips[:1], tmp_path / "none", 16)


def test_a_face_beyond_its_clips_square_is_left_out(tmp_path):
    """As after a cut: most frames say where the square is."""
    clip = clip_of("ada")
    points = clip.landmarks.points.copy()
    points[4] += 40
    clip.landmarks = replace(clip.landmarks, points=points)
    faces = gather([clip], tmp_path, 16)
    assert faces.excluded == 1 and faces.frame.tolist() == [0, 1, 2, 3, 5]


def test_bad_input(tmp_path):
    with pytest.raises(PortraitError, match="clips: expected at least one"):
        gather([], tmp_path, 8)
    other = clip_of("bo")
    other.find_landmarks = lambda _: Landmarks("others", np.ones((COUNT, 4, 2), np.float32))
    with pytest.raises(PortraitError, match="expected landmarks of one kind"):
        gather([clip_of("ada"), other], tmp_path, 8)
