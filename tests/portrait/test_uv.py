"""``portrait uv``, on a real picture and a real clip."""

from __future__ import annotations

import json
import shutil

import cv2
import numpy as np
import pytest
import trimesh
from skimage.data import astronaut

from portrait.cli import main
from portrait.video import VideoReader, read_comment


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    cv2.imwrite(str(path), astronaut()[:300, 50:400, ::-1])
    return path


@pytest.fixture(scope="module")
def short_turntable():
    """Fewer frames: each takes as long as the rest of a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("portrait.services.uv_outputs.FRAMES", 3)
        for module in ("uv", "uv_outputs"):
            patch.setattr(f"portrait.services.{module}.PICTURE", 160)
        yield


def picture(path):
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


@pytest.fixture(scope="module")
def plain(photo, tmp_path_factory, short_turntable):
    out = tmp_path_factory.mktemp("plain") / "face"
    assert main(["uv", str(photo), "-o", str(out), "--size", "256", "--device", "cpu"]) == 0
    return out


@pytest.fixture(scope="module")
def completed(photo, tmp_path_factory, short_turntable):
    out = tmp_path_factory.mktemp("completed") / "face"
    more = ["--complete", "mirror", "--frontalize", "--yaw", "45", "--delight"]
    assert main(["uv", str(photo), "-o", str(out), "--size", "256", "--device", "cpu", *more]) == 0
    return out


def test_maps(plain):
    texture, visibility = picture(plain / "texture.png"), picture(plain / "visibility.png")
    confidence = picture(plain / "confidence.png")
    assert texture.shape == (256, 256, 4) and visibility.shape == confidence.shape == (256, 256)
    assert set(np.unique(visibility)) == {0, 255} and not confidence[visibility == 0].any()
    assert 0.2 < (texture[..., 3] > 127).mean() < 0.8
    assert texture[80:130, 120:136, :3].mean() > 80 and not texture[:40, :10, 3].any()


def test_meshes_open_with_their_texture(plain):
    for name in ("face.glb", "face.obj"):
        scene = trimesh.load(plain / name)
        mesh = next(iter(scene.geometry.values())) if hasattr(scene, "geometry") else scene
        image = mesh.visual.material.baseColorTexture if name.endswith("glb") else mesh.visual.material.image
        assert image.size == (256, 256) and len(mesh.faces) > 10_000
        if name.endswith("glb"):
            assert 0.2 < np.ptp(scene.bounds[:, 1]) < 0.35  # metres


def test_turntable_says_that_it_is_made(plain):
    video = VideoReader(plain / "turntable.mp4")
    assert video.frame_count == 3 and read_comment(video.metadata)["synthetic"] is True
    assert json.loads((plain / "uv.json").read_text())["synthetic"] is True
    frames = [f for _, _, f in video]
    assert np.abs(frames[0].astype(int) - frames[1]).mean() > 3


def test_completed(completed, plain):
    whole = picture(completed / "texture.png")
    assert whole.shape == (256, 256, 3) and picture(completed / "observed.png").shape[2] == 4
    assert (whole[:200].max(-1) > 8).mean() > 0.99  # no holes
    front, turned = picture(completed / "frontal.png"), picture(completed / "yaw+45.png")
    assert front.shape == turned.shape == (160, 160, 3)
    assert np.abs(front.astype(int) - turned).mean() > 3
    # A frontal face is about as symmetric as it gets; a turned one isn't.
    asymmetry = [np.abs(p.astype(int) - p[:, ::-1]).mean() for p in (front, turned)]
    assert asymmetry[0] < 0.75 * asymmetry[1]


def test_a_second_run_leaves_nothing_of_the_first(completed, photo, tmp_path, short_turntable):
    """Nor takes anything that isn't its own."""
    out = tmp_path / "face"
    shutil.copytree(completed, out)
    names = lambda: {p.name for p in out.iterdir()}  # noqa: E731
    listed = json.loads((out / "uv.json").read_text())
    assert names() == {*listed["files"], "uv.json"} and {"frontal.png", "yaw+45.png", "observed.png"} < names()
    (out / "yaw-30.png").write_bytes(b"mine")
    (tmp_path / "outside.png").write_bytes(b"mine")
    (out / "uv.json").write_text(json.dumps(listed | {"files": [*listed["files"], "../outside.png", 7]}))
    assert main(["uv", str(photo), "-o", str(out), "--size", "128", "--yaw", "45", "--device", "cpu"]) == 0
    files = json.loads((out / "uv.json").read_text())["files"]
    assert names() == {*files, "uv.json", "yaw-30.png"} and not {"frontal.png", "observed.png"} & names()
    assert "yaw+45.png" in files and (tmp_path / "outside.png").is_file()


def test_a_clip_s_frames_show_more_than_one(clip, track, tmp_path, short_turntable, capsys):
    shares = []
    for more in ([], ["--merge"]):
        out = tmp_path / f"face{len(more)}"
        arguments = ["uv", str(track), "--video", str(clip), "-o", str(out), "--size", "128", "--device", "cpu"]
        assert main([*arguments, *more]) == 0
        shares.append((picture(out / "texture.png")[..., 3] > 127).mean())
    assert shares[1] > shares[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{photo}", "--size", "100"], "--size"),
        (["{photo}", "--yaw", "200"], "--yaw"),
        (["{photo}", "--complete", "none.safetensors"], "uv-train"),
        (["{track}"], "--video"),
        (["{clip}"], "portrait fit"),
        (["{track}", "--video", "{clip}", "--frame", "99"], "--frame"),
        (["{noface}"], "no face"),
    ],
)
def test_bad_input(arguments, message, photo, clip, track, tmp_path, capsys):
    noface = tmp_path / "noface.png"
    cv2.imwrite(str(noface), np.full((120, 160, 3), 90, np.uint8))
    names = {"photo": photo, "clip": clip, "track": track, "noface": noface}
    out = tmp_path / "face"
    assert main(["uv", *(a.format(**names) for a in arguments), "-o", str(out), "--device", "cpu"]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1 and not out.exists()


def test_an_output_that_is_a_file(photo, tmp_path, capsys):
    (tmp_path / "face").write_text("mine")
    assert main(["uv", str(photo), "-o", str(tmp_path / "face")]) == 2
    assert "expected a folder" in capsys.readouterr().err


def test_a_merged_texture_has_the_chosen_frame_s_colours(clip, track, tmp_path, short_turntable):
    seen = []
    for more in ([], ["--merge"]):
        out = tmp_path / f"face{len(more)}"
        arguments = ["uv", str(track), "--video", str(clip), "-o", str(out), "--size", "128", "--device", "cpu"]
        assert main([*arguments, "--frame", "5", *more]) == 0
        seen.append(picture(out / "texture.png").astype(float))
    both = (seen[0][..., 3] > 250) & (seen[1][..., 3] > 250)
    assert np.abs(seen[0] - seen[1])[both][:, :3].mean() < 5
