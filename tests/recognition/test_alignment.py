"""Crops by five points, and yaw, by construction and on a real face."""

import csv

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.data import astronaut

import facemodel
from facemodel.landmark_schemes import IBUG68, MEDIAPIPE478
from fitting.landmarks.base import Face
from foundation.errors import PortraitError
from portrait.cli import main
from recognition.alignment import (
    PLACES,
    YawEstimate,
    align,
    centre_crop,
    five_points,
    middle_face,
    similarity_transform,
)
from synthetic import Shot, SkinAtlas, make_person, shoot


@given(st.floats(-3, 3), st.floats(0.05, 20), st.floats(-500, 500), st.floats(-500, 500))
def test_a_similarity_is_found_again(angle, scale, x, y):
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    found = similarity_transform(PLACES, PLACES @ turn.T + [x, y])
    np.testing.assert_allclose(found, np.column_stack([turn, [x, y]]), rtol=1e-6, atol=1e-5 * scale)


def test_a_similarity_is_the_best_without_reflection():
    mirrored = PLACES * [-1, 1]
    found = similarity_transform(PLACES, mirrored)
    assert np.linalg.det(found[:, :2]) > 0
    error = lambda m: np.square(PLACES @ m[:, :2].T + m[:, 2] - mirrored).sum()  # noqa: E731
    for k in range(4):
        a, b, x, y = 1e-3 * np.eye(4)[k]
        step = np.array([[a, -b, x], [b, a, y]])
        assert error(found) <= min(error(found + step), error(found - step))


@pytest.mark.parametrize("scale, angle", [(1.0, 0.0), (1.7, 0.5), (6.4, -0.3)])
def test_five_dots_come_to_their_places(scale, angle):
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (PLACES - PLACES.mean(0)) @ turn.T + [400.0, 400.0]
    rows, columns = np.indices((800, 800)) + 0.5  # pixel centres
    for point, place in zip(points, PLACES):
        dot = np.exp(-((columns - point[0]) ** 2 + (rows - point[1]) ** 2) / (2 * (3 * scale) ** 2))
        crop = align(np.repeat((255 * dot)[..., None], 3, 2).astype(np.uint8), points)[..., 0].astype(float)
        y, x = (np.indices(crop.shape) + 0.5).reshape(2, -1) @ crop.ravel() / crop.sum()
        np.testing.assert_allclose([x, y], place, atol=0.1)


def test_the_middle_is_cropped_where_there_is_no_face():
    picture = np.zeros((224, 400, 3), np.uint8)
    picture[:, 104:296] = 200  # 192 wide: the crop's shape at twice its size
    assert (centre_crop(picture) == 200).all() and centre_crop(picture).shape == (112, 96, 3)


def test_the_face_in_the_middle_is_meant():
    faces = [Face(np.array([[x, 10.0], [x + 40, 50]]), "mediapipe478", 1.0) for x in (0, 90, 200)]
    assert middle_face(faces, (60, 240, 3)) is faces[1]
    assert middle_face([], (60, 240, 3)) is None


@pytest.mark.parametrize("scheme", [IBUG68, MEDIAPIPE478])
def test_five_points_of_either_scheme_are_the_same_places_of_the_face(scheme):
    model = facemodel.load()
    points = model.landmarks(model.mean, scheme.name).double().numpy()[:, :2] * [1, -1]
    right, left, nose, mouth_right, mouth_left = five_points(Face(points, scheme.name, 1.0))
    assert right[0] < nose[0] < left[0] and mouth_right[0] < mouth_left[0]
    assert max(right[1], left[1]) < nose[1] < min(mouth_right[1], mouth_left[1])
    tip = model.mean[model.mean[:, 2].argmax()].double().numpy()[:2] * [1, -1]
    assert np.linalg.norm(nose - tip) < 12  # mm


def test_five_points_of_mediapipe_are_those_that_crops_were_made_with():
    points = np.random.default_rng(0).random((478, 2))
    rows = ((33, 133), (362, 263), (4,), (61,), (291,))
    expected = np.stack([points[list(r)].mean(0) for r in rows])
    np.testing.assert_array_equal(five_points(Face(points, "mediapipe478", 1.0)), expected)


def test_landmarks_of_an_unknown_scheme_are_refused_in_one_line():
    with pytest.raises(PortraitError, match="ibug6.*did you mean 'ibug68'"):
        five_points(Face(np.zeros((6, 2)), "ibug6", 1.0))


@pytest.mark.parametrize("scheme", ["mediapipe478", "ibug68"])
@pytest.mark.parametrize("yaw", [0, 30, -45, 80])
@pytest.mark.parametrize("pitch", [0, 20])
def test_yaw_is_found_from_projected_landmarks(yaw, pitch, scheme):
    model = facemodel.load()
    points = model.landmarks(model.mean, scheme).double().numpy()
    y, p = np.radians([yaw, pitch])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    placed = points @ (about_y @ about_x).T * [1, -1, -1] + [50, 20, 6000]  # far: the view hardly matters
    face = Face(6000 * placed[:, :2] / placed[:, 2:] + 300, scheme, 1.0)
    assert YawEstimate(model)(face) == pytest.approx(yaw, abs=3)


@pytest.fixture(scope="module")
def aligned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    (folder / "a").mkdir()
    picture = cv2.cvtColor(astronaut(), cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(folder / "a" / "face.png"), picture)
    cv2.imwrite(str(folder / "a" / "mirrored, smaller.jpg"), cv2.resize(picture[:, ::-1], None, fx=0.5, fy=0.5))
    cv2.imwrite(str(folder / "a" / "grey.png"), np.full((100, 100, 3), 128, np.uint8))
    (folder / "a" / "broken.jpg").write_text("no picture")
    (folder / "pairs.txt").write_text("kept")
    output = folder.parent / (folder.name + "-aligned")
    assert main(["recognize", "align", str(folder), "-o", str(output)]) == 0
    return folder, output


def table(path):
    with open(path, newline="") as file:
        return dict(list(csv.reader(file))[1:])


def test_the_command_keeps_folders_and_names_what_it_could_not_do(aligned):
    _, output = aligned
    names = {p.relative_to(output).as_posix() for p in output.rglob("*") if p.is_file()}
    crops = {"a/face.png", "a/mirrored, smaller.jpg", "a/grey.png"}
    assert names == crops | {"pairs.txt", "yaw.csv", "unaligned.csv", "align.json"}
    why = table(output / "unaligned.csv")
    assert set(why) == {"a/grey.png", "a/broken.jpg"} and "decoded" in why["a/broken.jpg"]
    yaw = {k: float(v) for k, v in table(output / "yaw.csv").items()}
    assert yaw["a/face.png"] == pytest.approx(-yaw["a/mirrored, smaller.jpg"], abs=6)


def test_a_real_face_is_where_the_crop_wants_it(aligned):
    _, output = aligned
    face, mirrored = (cv2.imread(str(output / "a" / n)).astype(float) for n in ("face.png", "mirrored, smaller.jpg"))
    assert face.shape == mirrored.shape == (112, 96, 3)
    difference = lambda a, b: np.abs(a[20:100, 15:81] - b[20:100, 15:81]).mean()  # noqa: E731
    flipped = mirrored[:, ::-1]
    assert difference(face, flipped) < 0.6 * difference(face, np.roll(flipped, 8, 0))
    assert difference(face, flipped) < 0.6 * difference(face, np.roll(flipped, 8, 1))


@pytest.mark.slow
def test_turned_faces_look_to_the_front(aligned, tmp_path, capsys):
    folder, output = aligned
    model = facemodel.load()
    person = make_person(model, SkinAtlas.of(model, 128), 5, 0)
    (tmp_path / "raw" / "a").mkdir(parents=True)
    picture = shoot(model, person, Shot(40.0, 0.0, 0.0, 0, 0, 2.5), 320, 0.6)
    cv2.imwrite(str(tmp_path / "raw" / "a" / "turned.png"), picture[..., ::-1])
    cv2.imwrite(str(tmp_path / "raw" / "a" / "face.png"), cv2.imread(str(folder / "a" / "face.png")))
    raw, crops, frontal = (tmp_path / name for name in ("raw", "crops", "frontal"))
    assert main(["recognize", "align", str(raw), "-o", str(crops)]) == 0
    assert main(["recognize", "align", str(raw), "-o", str(frontal), "--frontalize", "mirror"]) == 0
    seen, turned = (cv2.imread(str(f / "a" / "turned.png")).astype(float) for f in (crops, frontal))
    asymmetry = lambda c: np.abs(c[45:100, 20:76] - c[45:100, 20:76][:, ::-1]).mean()  # noqa: E731
    assert turned.shape == (112, 96, 3) and asymmetry(turned) < 0.5 * asymmetry(seen)
    assert abs(float(table(frontal / "yaw.csv")["a/turned.png"])) > 25  # the photograph's
    before, after = (cv2.imread(str(f / "a" / "face.png"))[40:100, 25:71].ravel() for f in (output, frontal))
    assert np.corrcoef(before, after)[0, 1] > 0.8  # still that face
    capsys.readouterr()
    assert main(["recognize", "align", str(raw), "-o", str(frontal)]) == 2
    assert "were made with another --frontalize (mirror, not None)" in capsys.readouterr().err
    assert main(["recognize", "align", str(raw), "-o", str(frontal), "--frontalize", "gone"]) == 2
    assert "no such file" in capsys.readouterr().err


def test_the_command_goes_on_and_refuses_bad_places(aligned, capsys):
    folder, output = aligned
    before = (output / "a" / "face.png").stat().st_mtime_ns
    assert main(["recognize", "align", str(folder), "-o", str(output)]) == 0
    assert (output / "a" / "face.png").stat().st_mtime_ns == before
    capsys.readouterr()
    assert main(["recognize", "align", str(folder), "-o", str(folder / "inside")]) == 2
    assert "lies in the folder that is read" in capsys.readouterr().err
    assert main(["recognize", "align", str(folder / "none"), "-o", str(output)]) == 2
    assert "no such folder" in capsys.readouterr().err
