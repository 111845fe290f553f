"""``portrait export`` of a whole clip and ``portrait import``, as a user runs them on a real clip."""

import json
import shutil

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from facemodel import Track, export_mesh
from facemodel.export.animated.base import ANIMATED
from portrait.cli import main
from portrait.services.animation import Window, cut
from portrait.video import VideoReader, VideoWriter, read_image
from tests.portrait.conftest import FRAMES


def call(*arguments):
    assert main([str(a) for a in arguments]) == 0


def refuse(capsys, *arguments, expected):
    capsys.readouterr()
    assert main([str(a) for a in arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and expected in error, error


def test_by_the_name_s_end_with_a_check(track, tmp_path, capsys):
    call("export", track, "-o", tmp_path / "face.glb", "--animated", "--texture", 64, "--check")
    said = capsys.readouterr().out
    assert f"animated .glb, {FRAMES} frames" in said and "mm" in said and "px off" in said
    call("info", tmp_path / "face.glb")
    assert "10740 triangles" in capsys.readouterr().out
    call("export", track, "-o", tmp_path / "curves.csv")
    call("export", track, "-o", tmp_path / "scores.json")
    assert {p.name for p in tmp_path.iterdir()} == {"face.glb", "curves.csv", "curves.about.json", "scores.json"}


@pytest.fixture(scope="module")
def nerf(track, clip, tmp_path_factory):
    folder = tmp_path_factory.mktemp("nerf") / "nerf"
    call("export", track, "--video", clip, "-o", folder, "--format", "nerfstudio")
    return folder


def test_pictures_are_the_clip_s_and_masks_lie_on_the_model(nerf, track, clip, model):
    frames = json.loads((nerf / "transforms.json").read_text())["frames"]
    fitted = Track.load(track, model)
    assert len(frames) == FRAMES
    p = fitted.parameters.expanded()
    for (index, _, picture), frame in zip(VideoReader(clip), frames):
        np.testing.assert_array_equal(read_image(nerf / frame["file_path"]), picture[: fitted.height, : fitted.width])
        mask = np.asarray(Image.open(nerf / frame["mask_path"]))
        world = np.linalg.inv(np.array(frame["transform_matrix"]) @ np.diag([1, -1, -1, 1]))
        vertices = model.vertices(p.identity[index], p.expression[index], p.gaze[index]).double().numpy() / 1000
        points = vertices @ np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]).T @ world[:3, :3].T + world[:3, 3]
        pixels = float(p.focal[index]) * points[:, :2] / points[:, 2:] + (fitted.width / 2, fitted.height / 2)
        drawn = np.zeros_like(mask)  # triangle by triangle, by OpenCV, whose pixels' centres are whole numbers
        for corners in np.round(256 * (pixels[model.triangles.numpy()] - 0.5)).astype(np.int32):
            cv2.fillConvexPoly(drawn, corners, 255, shift=8)
        # OpenCV paints the pixels of an outline too: half a pixel more around
        assert ((mask > 0) & (drawn == 0)).sum() == 0
        assert (cv2.erode(drawn, np.ones((3, 3), np.uint8)) > mask).mean() < 2e-3


def test_a_texture_of_a_picture(track, tmp_path):
    picture = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)
    Image.fromarray(picture).save(tmp_path / "t.png")
    call("export", track, "-o", tmp_path / "face.glb", "--animated", "--texture", tmp_path / "t.png")
    data = (tmp_path / "face.glb").read_bytes()
    assert b"KHR_materials_unlit" in data and b"IHDR" in data


def test_what_cannot_be(track, clip, tmp_path, capsys):
    inside = tmp_path / "in"
    inside.mkdir()
    out = inside / "face.glb"
    refuse(capsys, "export", track, "-o", inside / "a.fbx", expected="see docs/export.md")
    refuse(capsys, "export", track, "-o", inside / "a", "--format", "gltf", expected="expected one of arkit, ")
    refuse(capsys, "export", track, "-o", inside / "a", "--format", "colmap", expected="add --video")
    refuse(capsys, "export", track, "-o", inside / "a", "--format", "vhap", "--video", clip, expected="isn't FLAME")
    refuse(capsys, "export", track, "-o", out, "--animated", "--frame", "2", expected="--frame")
    refuse(capsys, "export", track, "-o", out, "--animated", "--texture", "none.png", expected="expected a number of")
    refuse(capsys, "export", track, "-o", out, "--animated", "--texture", "5", expected="--texture: expected 16 to")
    refuse(capsys, "export", track, "-o", out, "--animated", "--texture", "1e3", expected="whole number of pixels")
    refuse(capsys, "export", inside / "no.track", "-o", out, "--animated", expected="no such folder")
    (inside / "taken").write_text("mine")
    refuse(capsys, "export", track, "-o", inside / "taken", "--format", "obj", expected="found a file")
    assert [p.name for p in inside.iterdir()] == ["taken"]


def test_a_video_of_another_length(track, clip, tmp_path, capsys):
    reader = VideoReader(clip)
    with VideoWriter(tmp_path / "short.mp4", reader.width, reader.height, reader.fps) as writer:
        for index, time, frame in reader:
            if index < FRAMES - 2:
                writer.write(frame, time)
    arguments = ["export", track, "--video", tmp_path / "short.mp4", "-o", tmp_path / "n", "--format", "nerfstudio"]
    refuse(capsys, *arguments, expected=f"expected at least {FRAMES} frames")
    assert [p.name for p in tmp_path.iterdir()] == ["short.mp4"]


def test_a_track_without_frames_or_faces(track, tmp_path, capsys):
    from safetensors.torch import load_file, save_file

    for name, change, expected in [
        ("empty", lambda t: {k: v[:0] if v.dim() and len(v) == FRAMES else v for k, v in t.items()}, "incomplete"),
        ("nobody", lambda t: t | {"status": torch.zeros_like(t["status"])}, "no frame has a face"),
    ]:
        shutil.copytree(track, tmp_path / name)
        tensors = load_file(tmp_path / name / "track.safetensors")
        save_file({k: v.contiguous() for k, v in change(tensors).items()}, tmp_path / name / "track.safetensors")
        refuse(capsys, "export", tmp_path / name, "-o", tmp_path / "a.glb", "--animated", expected=expected)
    assert not (tmp_path / "a.glb").exists()


NAMES = ["new\nline", "ünï→ 100%d", "a@b[b]'\""]


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_hostile_names(name, track, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for arguments in (["-o", f"{name}.glb", "--animated"], ["-o", f"{name}.pc2"], ["-o", f"{name}.csv"]):
        call("export", track, *arguments, "--texture", "16", "--check")
    if name == NAMES[-1]:
        pytest.importorskip("pxr", reason="usd-core isn't installed")
        call("export", track, "-o", f"{name}.usda", "--texture", "16", "--check")


def test_windows_reach_beyond_pictures():
    picture = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)
    whole = cut(picture, Window(0, 0, (8, 6), (8, 6)))
    assert whole is picture
    wide = cut(picture, Window(-2, -3, (12, 12), (12, 12)))
    np.testing.assert_array_equal(wide[3:9, 2:10], picture)
    assert wide.sum() == picture.sum(dtype=int)


def test_curves_come_back(track, tmp_path, capsys, model):
    call("export", track, "-o", tmp_path / "of.csv", "--format", "openface")
    call("import", tmp_path / "of.csv", "-o", tmp_path / "curves.csv")
    said = capsys.readouterr().out
    assert f"{FRAMES} rows" in said and "from OpenFace's csv" in said
    for file in ("of.csv", "curves.csv"):
        call("edit", track, "--csv", tmp_path / file, "--csv-head", "-o", tmp_path / f"{file}.track")
        before, after = (Track.load(t, model).parameters for t in (track, tmp_path / f"{file}.track"))
        for name in ("rotation", "gaze"):
            np.testing.assert_allclose(getattr(after, name), getattr(before, name), atol=2e-4)
        jaw = model.expression_index("jawOpen")
        np.testing.assert_allclose(after.expression[:, jaw], before.expression[:, jaw], atol=1e-4)
        pucker = model.expression_index("mouthPucker")  # which OpenFace doesn't have: it stays
        assert torch.equal(after.expression[:, pucker], before.expression[:, pucker])


def test_curves_as_edits_of_a_track(track, tmp_path, capsys, model):
    """What 'portrait edit --csv' does, as a file that the editor page's own are like."""
    call("edit", track, "--set", "jawOpen=0.7", "--gaze", "10,5", "-o", tmp_path / "other.track")
    call("export", tmp_path / "other.track", "-o", tmp_path / "of.csv", "--format", "openface")
    call("import", tmp_path / "of.csv", "--track", track, "-o", tmp_path / "a.edits.json")
    assert "curves of" in capsys.readouterr().out
    call("edit", track, "--edits", tmp_path / "a.edits.json", "-o", tmp_path / "edited.track")
    call("edit", track, "--csv", tmp_path / "of.csv", "--csv-head", "-o", tmp_path / "csv.track")
    edited, by_csv = (Track.load(tmp_path / f"{n}.track", model).parameters for n in ("edited", "csv"))
    for name in ("expression", "rotation", "gaze"):
        np.testing.assert_allclose(getattr(edited, name), getattr(by_csv, name), atol=1e-6, err_msg=name)
    assert (edited.expression[:, model.expression_index("jawOpen")] - 0.7).abs().max() < 1e-5
    refuse(
        capsys, "import", tmp_path / "of.csv", "--track", track, "-o", tmp_path / "a.csv", expected="ending in .json"
    )


def test_avatars_masks_have_hair(track, clip, tmp_path):
    call("export", track, "--video", clip, "-o", tmp_path / "insta", "--format", "insta", "--check")
    person, depth = (np.asarray(Image.open(tmp_path / "insta" / d / "00002.png")) for d in ("seg_mask", "depth"))
    assert (person[depth > 0] > 0).all() and depth.dtype.itemsize >= 2
    tops = [
        np.nonzero((picture > 128 if picture is person else picture > 0).any(1))[0][0] for picture in (person, depth)
    ]
    assert tops[0] < tops[1] - 10  # px: hair is above the model's skull
    assert (person > 128).sum() > 1.5 * (depth > 0).sum()


def test_imports_that_cannot_be(track, tmp_path, capsys, model):
    (tmp_path / "a.csv").write_text("Timecode,jawOpen\n00:00:00:00,0.5\n")
    refuse(capsys, "import", tmp_path / "a.csv", "-o", tmp_path / "b.track", expected="ending in .csv")
    refuse(capsys, "import", tmp_path / "no.csv", "-o", tmp_path / "b.csv", expected="no such file")
    refuse(capsys, "import", tmp_path / "a.csv", "-o", tmp_path / "b", "--format", "decca", expected="one of")
    np.savez(tmp_path / "a.npz", shape=np.zeros((1, 100)), exp=np.zeros((1, 50)), pose=np.zeros((1, 6)))
    refuse(capsys, "import", tmp_path / "a.npz", "-o", tmp_path / "b", expected="isn't FLAME")
    (tmp_path / "x.npz").write_bytes(b"PK\3\4 nothing")
    refuse(capsys, "import", tmp_path / "x.npz", "-o", tmp_path / "b", expected="expected files of")
    export_mesh(Track.load(track, model), 0, model, tmp_path / "m.ply")
    refuse(capsys, "import", tmp_path / "m.ply", "-o", tmp_path / "b", expected="expected files of")
    assert not (tmp_path / "b").exists() and not (tmp_path / "b.csv").exists()


def test_every_format_is_documented():
    text = (__import__("pathlib").Path(__file__).parents[2] / "docs" / "export.md").read_text()
    assert all(f"`{name}`" in text for name in ANIMATED)
