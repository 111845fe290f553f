"""Whole commands on a few frames of a real clip."""

import json
import re
import shutil
from dataclasses import replace

import av
import cv2
import numpy as np
import pytest
import torch

import facemodel
import fitting
from facemodel import Track
from facemodel.editing.openface import read_units
from neural_render.methods.clip import Clip
from portrait.cli import main
from portrait.services.exporting import albedo_texture
from portrait.tracks import check_video
from portrait.video import VideoReader, read_comment, read_image
from tests.portrait.conftest import FRAMES


def column(track, model, name):
    return track.parameters.expression[:, model.expression_index(name)]


def call(*arguments):
    assert main([str(a) for a in arguments]) == 0


def leftovers(folder):
    return [p for p in folder.rglob("*") if ".partial" in p.name or p.name.endswith(".work")]


def test_fit(track, clip, model, capsys):
    fitted = Track.load(track, model)
    assert len(fitted) == FRAMES and fitted.tracked.all()
    assert (fitted.width, fitted.height) == (176, 144)
    assert fitted.facts["source"]["file"] == "clip.mp4" and len(fitted.facts["source"]["sha256"]) == 64
    assert leftovers(track.parent) == []
    before = (track / "track.safetensors").stat().st_mtime_ns
    call("fit", clip, "-o", track, "--device", "cpu")
    assert "already there" in capsys.readouterr().out
    assert (track / "track.safetensors").stat().st_mtime_ns == before


def test_a_fit_from_python_knows_its_source_as_the_command_does(track, clip, model):
    fitted = fitting.fit_video(VideoReader(clip), model=model, settings=fitting.QUALITIES["fast"])
    assert fitted.facts["source"] == Track.load(track).facts["source"]


@pytest.fixture(scope="module")
def photos(clip, tmp_path_factory):
    """A folder of three photos of two sizes, out of order."""
    folder = tmp_path_factory.mktemp("photos")
    for index, _, frame in VideoReader(clip):
        if index in (0, 3, 6):
            size = (264, 216) if index == 3 else (352, 288)
            cv2.imwrite(str(folder / f"{9 - index}.png"), cv2.resize(frame[..., ::-1], size))
    return folder


def test_action_units_of_a_fit(track, clip, model, tmp_path, capsys):
    """In OpenFace's columns, a row a frame; a track that is there needn't be fitted again for it."""
    table = tmp_path / "aus.csv"
    assert main(["fit", str(clip), "-o", str(track), "--action-units", str(table), "--device", "cpu"]) == 0
    assert "kept" in (said := capsys.readouterr().out) and str(table) in said
    names, values = read_units(table)
    units = Clip.of_track(Track.load(track), model=model).action_units
    assert len(names) == 17 and values.shape == (len(Track.load(track)), 17) and values.max() <= 5
    np.testing.assert_allclose(values, units.values[:, [units.names.index(name) for name in names]], atol=1e-4)
    for output, folder, message in ((tmp_path / "aus.txt", clip, "ending in .csv"), (table, clip.parent, "one clip")):
        assert main(["fit", str(folder), "-o", str(tmp_path / "new"), "--action-units", str(output)]) == 2
        assert message in capsys.readouterr().err


def test_photos_of_one_person(photos, model, tmp_path, capsys):
    call("fit", photos, "--photos", "-o", tmp_path / "t", "--device", "cpu", "--quality", "fast")
    assert "photos of several sizes: scaled to one diagonal, 455 px" in capsys.readouterr().out
    track = Track.load(tmp_path / "t", model)
    assert (track.width, track.height, len(track)) == (352, 288, 3)
    assert track.status.tolist() == [1, 1, 1]  # none is a cut, nor lies beside another
    assert track.facts["key_frames"] == [0, 1, 2] and track.facts["settings"]["photos"]
    before = (tmp_path / "t" / "track.safetensors").stat().st_mtime_ns
    call("fit", photos, "--photos", "-o", tmp_path / "t", "--device", "cpu", "--quality", "fast")
    assert (tmp_path / "t" / "track.safetensors").stat().st_mtime_ns == before
    call("render", tmp_path / "t", "-o", tmp_path / "o.mp4", "--overlay", photos, "--maps", "diffuse")
    assert VideoReader(tmp_path / "o.mp4").frame_count == 3


def test_photos_are_said_to_be_some(photos, clip, tmp_path, capfd):
    for wrong, expected in (
        ([photos], "are they photos of one person, in no order? Give --photos"),
        ([photos, "--photos", "--fov", "40"], "photos of several sizes (264 x 216, 352 x 288) have several"),
        ([clip, "--photos"], "--photos: expected a folder of images"),
        ([clip.parent, "--photos"], "has videos in it; leave --photos out"),
    ):
        assert main(["fit", *map(str, wrong), "-o", str(tmp_path / "t")]) == 2
        assert expected in capfd.readouterr().err
        assert not (tmp_path / "t").exists()


def test_edit_by_name_gaze_and_smoothing(track, model, tmp_path):
    call("edit", track, "--set", "jawOpen=0.6", "--scale", "mouthSmileLeft=1.5", "--add", "browInnerUp=0.2",
         "--gaze", "-10,5", "--smooth", "0.2", "-o", tmp_path / "t")  # fmt: skip
    before, after = Track.load(track), Track.load(tmp_path / "t", model)
    assert torch.allclose(column(after, model, "jawOpen"), torch.tensor(0.6))
    assert (column(after, model, "browInnerUp") >= 0.2 - 1e-6).all()
    assert torch.allclose(after.parameters.gaze, torch.deg2rad(torch.tensor([-10.0, 5.0])), atol=1e-5)
    assert torch.equal(after.parameters.identity, before.parameters.identity)


def test_a_face_at_rest_is_zero_for_avatars(track, model, tmp_path, capsys):
    call("edit", track, "--neutral", "auto", "-o", tmp_path / "t", "--to-csv", tmp_path / "a.csv")
    after = Track.load(tmp_path / "t", model)
    frame = after.facts["edits"][0]["neutral"]
    assert f"neutral: frame {frame}" in capsys.readouterr().out
    resting = Track.load(track).parameters.expression.sum(-1)
    assert after.parameters.expression.sum(-1).min() < 0.5 * resting.min()
    call("edit", track, "--neutral", frame, "-o", tmp_path / "u")
    assert torch.equal(Track.load(tmp_path / "u").parameters.expression, after.parameters.expression)


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["--set", "eyeLookUpLeft=1"], "note: eyeLookUpLeft: moves the lids alone; --gaze YAW,PITCH turns the eyes"),
        (["--add", "eyelookinright=0.1"], "note: eyelookinright: moves the lids alone"),
        (["--set", "eyeLookUpLeft=1", "--gaze", "0,5"], "--gaze comes last"),
        (["--set", "jawOpen=1", "--gaze", "0,5"], None),
    ],
)
def test_eyes_turn_by_gaze_and_that_is_said(track, tmp_path, capsys, arguments, expected):
    call("edit", track, *arguments, "-o", tmp_path / "t")
    said, gaze = capsys.readouterr().out, Track.load(tmp_path / "t").parameters.gaze
    assert expected in said if expected else "note" not in said
    assert torch.equal(gaze, Track.load(track).parameters.gaze) == ("--gaze" not in arguments)


def test_curves_both_ways(track, model, tmp_path):
    call("edit", track, "--to-csv", tmp_path / "a.csv")
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert len(lines) == FRAMES + 1 and lines[0].startswith("Timecode,BlendShapeCount,EyeBlinkLeft,EyeLookDownLeft")
    name = lines[0].split(",").index("JawOpen")
    cells = [line.split(",") for line in lines[1:]]
    for row in cells:
        row[name] = "0.75"
    (tmp_path / "b.csv").write_text("\n".join([lines[0], *map(",".join, cells)]) + "\n")
    call("edit", track, "--csv", tmp_path / "b.csv", "-o", tmp_path / "t")
    before, after = Track.load(track), Track.load(tmp_path / "t")
    jaw = model.expression_index("jawOpen")
    assert torch.allclose(after.parameters.expression[:, jaw], torch.tensor(0.75))
    others = [k for k, n in enumerate(model.expression_names) if k != jaw and not n.startswith("eyeLook")]
    a, b = after.parameters.expression, before.parameters.expression
    assert torch.allclose(a[:, others], b[:, others], atol=1e-4)


def test_curves_that_end_early_or_leave_the_range_are_noted(track, tmp_path, capsys):
    times = Track.load(track).times.tolist()
    path, out = tmp_path / "c.csv", tmp_path / "t"
    head = "Timecode,JawOpen,EyeLookUpLeft,TongueOut,HeadYaw\n"

    def notes(rows: int, jaw: str, look: str) -> list[str]:
        codes = [f"00:00:00:{k:02d}.000" for k in range(rows)]
        path.write_text(head + "".join(f"{code},{jaw},{look},,1.5\n" for code in codes))
        capsys.readouterr()
        call("edit", track, "--csv", path, "--csv-rate", round(Track.load(track).fps), "-o", out)
        return [line.strip() for line in capsys.readouterr().out.splitlines() if "note:" in line]

    assert notes(FRAMES, "1.0", "0.0") == []
    assert notes(FRAMES - 3, "0.5", "0.5") == [
        f"note: the curves end at {times[FRAMES - 4]:.2f} s, the track at {times[-1]:.2f} s; "
        f"their last values are held for the last 3 of {FRAMES} frames"
    ]
    assert notes(FRAMES, "1.2", "-0.1") == [
        f"note: {2 * FRAMES} values outside 0 to 1 are clamped: jawOpen {FRAMES}, eyeLookUpLeft {FRAMES}"
    ]


def test_curves_of_an_edit_need_no_track(track, tmp_path):
    """What would have been saved, as curves; edited by name, and read from a CSV."""
    call("edit", track, "--set", "jawOpen=0.6", "--to-csv", tmp_path / "a.csv")
    call("edit", track, "--csv", tmp_path / "a.csv", "--scale", "jawOpen=0.5", "--to-csv", tmp_path / "b.csv")
    for name, expected in (("a.csv", 0.6), ("b.csv", 0.3)):
        head, *rows = [line.split(",") for line in (tmp_path / name).read_text().splitlines()]
        assert len(rows) == FRAMES
        assert [float(row[head.index("JawOpen")]) for row in rows] == pytest.approx([expected] * FRAMES, abs=1e-4)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.csv", "b.csv"]
    assert main(["edit", str(track), "--set", "jawOpen=0.6"]) == 2


def test_mix(track, tmp_path):
    call("edit", track, "--set", "jawOpen=0.8", "-o", tmp_path / "source")
    call("mix", "--source", tmp_path / "source", "--target", track, "--take", "expression,pose", "-o", tmp_path / "m")
    mixed = Track.load(tmp_path / "m")
    assert len(mixed) == FRAMES and mixed.facts["mixed"]["take"] == ["expression", "pose"]
    assert mixed.facts["target_frames"] == list(range(FRAMES))


def test_render_maps_side_by_side(track, tmp_path):
    call("render", track, "-o", tmp_path / "maps.mp4", "--maps", "diffuse,eyes,normals,depth,mask", "--size", "100x80")
    reader = VideoReader(tmp_path / "maps.mp4")
    assert (reader.width, reader.height, reader.frame_count) == (500, 80, FRAMES)
    assert read_comment(reader.metadata)["synthetic"] is True
    frame = next(iter(reader))[2]
    shading, mask = frame[:, :100].max(-1), frame[:, 400:].min(-1)
    assert 200 < (mask > 128).sum() < 6000 and shading[mask > 128].mean() > 40


def test_render_one_file_a_map(track, tmp_path):
    call("render", track, "-o", tmp_path / "maps", "--maps", "correspondence,eyes")
    assert sorted(p.name for p in (tmp_path / "maps").iterdir()) == ["correspondence.mp4", "eyes.mp4"]
    assert VideoReader(tmp_path / "maps" / "eyes.mp4").frame_count == FRAMES


def test_overlay_keeps_the_picture_outside_and_the_sound(track, clip, tmp_path):
    call("render", track, "-o", tmp_path / "o.mp4", "--overlay", clip)
    (_, _, drawn), (_, _, frame) = next(iter(VideoReader(tmp_path / "o.mp4"))), next(iter(VideoReader(clip)))
    assert np.abs(drawn[:, :30].astype(int) - frame[:, :30]).mean() < 3
    assert np.abs(drawn.astype(int) - frame).max() > 25
    assert VideoReader(tmp_path / "o.mp4").audio


def test_overlay_on_a_folder_of_images(track, clip, tmp_path):
    (tmp_path / "images").mkdir()
    for index, _, frame in VideoReader(clip):
        cv2.imwrite(str(tmp_path / "images" / f"{index}.png"), frame[..., ::-1])
    call("render", track, "-o", tmp_path / "o.mp4", "--overlay", tmp_path / "images")
    assert VideoReader(tmp_path / "o.mp4").frame_count == FRAMES


def test_a_photo_gives_a_picture_that_says_what_made_it(track, clip, tmp_path, capsys):
    """A track of one frame; of more, a picture is refused."""
    Track.load(track).frames(0, 1).save(tmp_path / "one.track")
    _, _, frame = next(iter(VideoReader(clip)))
    cv2.imwrite(str(tmp_path / "photo.png"), frame[..., ::-1])
    call("render", tmp_path / "one.track", "-o", tmp_path / "o.png", "--overlay", tmp_path / "photo.png")
    drawn = read_image(tmp_path / "o.png")
    assert drawn.shape == frame.shape and np.array_equal(drawn[:, :30], frame[:, :30])
    assert np.abs(drawn.astype(int) - frame).max() > 25
    call("render", tmp_path / "one.track", "-o", tmp_path / "maps.png", "--maps", "diffuse,eyes")
    assert read_image(tmp_path / "maps.png").shape == (frame.shape[0], 2 * frame.shape[1], 3)
    capsys.readouterr()
    call("info", tmp_path / "o.png")
    told = capsys.readouterr().out
    assert "synthetic   yes" in told and "photo.png" in told
    assert main(["render", str(track), "-o", str(tmp_path / "more.png")]) == 2
    assert "a picture is for a track of one frame" in capsys.readouterr().err


def test_odd_sizes_are_said_as_they_are_stored_and_read_back(track, clip, weights, tmp_path, capsys):
    """A clip of 175 x 143, as another program may have written it; H.264 stores 176 x 144."""
    odd = Track.load(track)
    replace(odd, width=175, height=143).save(tmp_path / "odd.track")
    stored = "175 x 143 (stored as 176 x 144: H.264 needs even sizes)"
    for output, overlaid in (("o.mp4", clip), ("again.mp4", tmp_path / "o.mp4")):
        call("render", tmp_path / "odd.track", "-o", tmp_path / output, "--overlay", overlaid)
        assert stored in capsys.readouterr().out
        assert (VideoReader(tmp_path / output).width, VideoReader(tmp_path / output).height) == (176, 144)
    cut, whole = check_video(clip, Track.load(tmp_path / "odd.track")), VideoReader(clip)
    for (_, _, a), (_, _, b) in zip(cut, whole, strict=True):
        np.testing.assert_array_equal(a, b[:143, :175])
    call("render", track, "-o", tmp_path / "maps.mp4", "--size", "85x63")
    reader = VideoReader(tmp_path / "maps.mp4")
    said = "85 x 63 each (stored as 256 x 64: H.264 needs even sizes)"
    assert said in capsys.readouterr().out and (reader.width, reader.height) == (256, 64)
    call("synthesize", weights, track, "--video", clip, "-o", tmp_path / "even.mp4", "--device", "cpu")
    assert "stored as" not in capsys.readouterr().out


@pytest.mark.parametrize("suffix", ["obj", "ply", "glb"])
def test_export(track, tmp_path, suffix, capsys):
    call("export", track, "--frame", 3, "-o", tmp_path / f"face.{suffix}", "--texture", 128)
    assert (", metres" if suffix == "glb" else ", millimetres") in capsys.readouterr().out
    facts = json.loads((tmp_path / "face.landmarks.json").read_text())
    assert facts["frame"] == 3 and len(facts["landmarks"]["positions"]) == 68
    pixels = np.array(facts["landmarks"]["pixels"])
    found = Track.load(track).landmarks[3]
    found = found[torch.isfinite(found).all(-1)].numpy()
    assert np.linalg.norm(pixels.mean(0) - found.mean(0)) < 8  # where the detector saw the face
    assert (tmp_path / "face.albedo.png").is_file() == (suffix == "obj")


def test_texture_covers_its_atlas(track, model):
    texture = albedo_texture(model, Track.load(track), 128)
    assert texture.shape == (128, 128, 3) and texture.dtype == np.uint8
    assert texture.min(-1).mean() > 20  # filled beyond the islands too


@pytest.fixture(scope="module")
def weights(track, clip, tmp_path_factory):
    """A network of a few steps: enough to see that everything fits together."""
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    call("train", track, clip, "-o", path, "--minutes", 0.02, "--size", 64, "--width", 4, "--device", "cpu")
    return path


def test_train_and_go_on(weights, track, clip, capsys):
    assert weights.is_file()
    call("train", track, clip, "-o", weights, "--minutes", 0.04, "--size", 64, "--width", 4, "--device", "cpu")
    assert "gone on at step" in capsys.readouterr().out


def test_synthesize_at_its_own_size_with_sound_and_label(weights, track, clip, tmp_path, capsys):
    call("synthesize", weights, track, "--video", clip, "-o", tmp_path / "out.mp4", "--device", "cpu")
    reader = VideoReader(tmp_path / "out.mp4")
    assert (reader.width, reader.height, reader.frame_count) == (176, 144, FRAMES)
    note = read_comment(reader.metadata)
    assert note["synthetic"] is True and note["target"]["file"] == "clip.mp4" and len(note["weights"]["sha256"]) == 64
    assert reader.pixel_aspect == VideoReader(clip).pixel_aspect

    def packets(path):
        with av.open(str(path)) as file:
            return [bytes(p) for p in file.demux(audio=0) if p.size]

    copied = packets(tmp_path / "out.mp4")
    assert copied and copied == packets(clip)[: len(copied)]
    call("synthesize", weights, track, "--video", clip, "-o", tmp_path / "quiet.mp4", "--sound", "none")
    assert not VideoReader(tmp_path / "quiet.mp4").audio
    capsys.readouterr()
    call("info", tmp_path / "out.mp4")
    shown = capsys.readouterr().out
    assert "synthetic   yes" in shown and "clip.mp4" in shown and "176 x 144" in shown


def test_reenact_in_one_uses_what_is_there(track, clip, tmp_path, capsys):
    shutil.copytree(track, tmp_path / "out.mp4.work" / "target.track")
    arguments = ["reenact", "--source", track, "--target", clip, "-o", tmp_path / "out.mp4", "--minutes", 0.02,
                 "--size", 64, "--width", 4, "--device", "cpu", "--comparison", tmp_path / "c.mp4",
                 "--report", tmp_path / "r.html"]  # fmt: skip
    call(*arguments)
    assert "already there for this input" in capsys.readouterr().out
    assert VideoReader(tmp_path / "out.mp4").frame_count == FRAMES
    comparison = VideoReader(tmp_path / "c.mp4")
    assert comparison.frame_count == FRAMES and comparison.width > 5 * comparison.height
    report = (tmp_path / "r.html").read_text()
    assert report.count("<svg") >= 8 and report.count("data:image/jpeg;base64,") == 2
    assert "<script" not in report and not re.search(r"(src|href|url|import)\W+(https?:)?//", report)


def test_info_of_exported_files(track, weights, tmp_path, capsys):
    call("export", track, "-o", tmp_path / "face.glb", "--texture", 64)
    call("export", weights, "-o", tmp_path / "net.onnx")
    capsys.readouterr()
    call("info", tmp_path / "face.glb")
    shown = capsys.readouterr().out
    assert "mesh as glTF 2.0: " in shown and "10740 triangles" in shown and " 52, of which active" in shown
    high = float(re.search(r"size +[\d.]+ x ([\d.]+) x", shown)[1])
    assert 0.2 < high < 0.35 and "clip.mp4" in shown and "colours     texture" in shown
    call("info", tmp_path / "net.onnx")
    shown = capsys.readouterr().out
    assert "network as ONNX" in shown and "(N, 3, 64, 64)" in shown
    assert "deep-video-portraits" in shown and "clip.mp4" in shown and len(shown.splitlines()) < 25


@pytest.mark.parametrize(
    "name, expected",
    [("a.txt", "nothing is known about this kind of file"), ("a.glb", "can't be read as a .glb"),
     ("a.onnx", "export it again"), ("a.mp4", "can't be read as a video")],
)  # fmt: skip
def test_info_of_other_files_is_an_honest_line(tmp_path, capsys, name, expected):
    (tmp_path / name).write_text("no such thing" * 9)
    assert main(["info", str(tmp_path / name)]) == 2
    error = capsys.readouterr().err
    assert expected in error and error.count("\n") == 1 and ("truncated" in error) == (name == "a.mp4")


def test_info_is_for_people(track, clip, tmp_path, capsys):
    """No JSON, no more digits than say something, and no rate of a single picture."""
    call("edit", track, "--set", "jawOpen=0.6", "--gaze", "15,-5", "--smooth", "0.2", "-o", tmp_path / "t")
    capsys.readouterr()
    call("info", tmp_path / "t")
    shown = capsys.readouterr().out
    assert "set jawOpen 0.6, gaze 15 -5 degrees, smooth 0.2 s" in shown
    assert "detector mediapipe, quality balanced, version" in shown and "{" not in shown
    assert not re.search(r"\d\.\d{5}", shown) and max(map(len, shown.splitlines())) < 200
    one = Track.load(track)
    settings = {"quality": "fast", "fitting": {"samples": 5}}
    p = one.parameters[:1]
    one = replace(one, parameters=p, times=one.times[:1], status=one.status[:1], confidence=one.confidence[:1],
                  landmarks=one.landmarks[:1], energies={}, spread={}, visibility={},
                  facts={"settings": settings})  # fmt: skip
    one.save(tmp_path / "one")
    cv2.imwrite(str(tmp_path / "photo.bmp"), next(iter(VideoReader(clip)))[2])
    for path in (tmp_path / "one", tmp_path / "photo.bmp"):
        call("info", path)
        shown = capsys.readouterr().out
        assert "176 x 144" in shown and "a second" not in shown
        assert shown.startswith("image") or "quality fast, samples 5\n" in shown


def test_info_of_a_track_and_a_model(track, capsys):
    call("info", track)
    call("info", facemodel.formats.default.DEFAULT_MODEL)
    shown = capsys.readouterr().out
    assert f"{FRAMES} frames, {FRAMES} with a face" in shown and "face model" in shown and "CC0" in shown
    assert shown.count("\n  frames ") == 1
    assert all(re.search(rf"timings .*{stage} \d+\.\d s", shown) for stage in ("survey", "solver"))
