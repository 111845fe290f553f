"""Input that can't be used: one clear line on stderr, exit code 2 (130 for Ctrl-C), nothing half-written."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from portrait.cli import main
from portrait.video import VideoReader, VideoWriter
from portrait.video.sample import carphone
from tests.portrait.conftest import ROOT, run


def check(done: subprocess.CompletedProcess, *expected: str):
    assert done.returncode == 2, done.stderr
    _check_line(done.stderr, *expected)


def _check_line(error: str, *expected: str):
    assert "Traceback" not in error
    assert error.startswith("error: ") and error.count("\n") == 1, error
    for part in expected:
        assert part in error


def refuse(capfd, *arguments, expected: str):
    """As ``check``, in this process, which is quicker."""
    capfd.readouterr()
    assert main([str(a) for a in arguments]) == 2
    _check_line(capfd.readouterr().err, expected)


@pytest.fixture(scope="module")
def grey_room(tmp_path_factory):
    """A clip in which nobody is."""
    path = tmp_path_factory.mktemp("room") / "room.mp4"
    with VideoWriter(path, 160, 120, 25) as writer:
        for k in range(3):
            writer.write(np.full((120, 160, 3), 90 + k, np.uint8))
    return path


def test_missing_video(tmp_path):
    check(run("fit", tmp_path / "none.mp4", "-o", tmp_path / "t"), "none.mp4", "no such file")
    assert list(tmp_path.iterdir()) == []


def test_text_file_named_mp4(tmp_path, capfd):
    (tmp_path / "a.mp4").write_text("this is no video\n" * 50)
    refuse(capfd, "fit", tmp_path / "a.mp4", "-o", tmp_path / "t", expected="a.mp4': can't be read as a video")
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


def test_truncated_video(tmp_path, capfd):
    whole = carphone().read_bytes()
    (tmp_path / "a.mp4").write_bytes(whole[: len(whole) * 2 // 3])
    refuse(capfd, "fit", tmp_path / "a.mp4", "-o", tmp_path / "t", expected="truncated")
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


def test_no_face_in_video_or_image(tmp_path, grey_room, capfd):
    import cv2

    refuse(capfd, "fit", grey_room, "-o", tmp_path / "t", expected="no face")
    cv2.imwrite(str(tmp_path / "a.png"), np.full((200, 200, 3), 128, np.uint8))
    refuse(capfd, "fit", tmp_path / "a.png", "-o", tmp_path / "t", expected="no face")
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_one_frame_grey_and_ten_bit_clips_are_fitted(tmp_path):
    """These are fine: they only must not fail."""
    import av

    _, _, frame = next(iter(VideoReader(carphone(), square=False)))
    for name, pix_fmt in [("one.mp4", "yuv420p"), ("grey.mp4", "gray"), ("deep.mp4", "yuv420p10le")]:
        with av.open(str(tmp_path / name), "w") as out:
            stream = out.add_stream("libx264", rate=25)
            stream.height, stream.width, stream.pix_fmt = *frame.shape[:2], pix_fmt
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame).reformat(format=pix_fmt)))
            out.mux(stream.encode(None))
        fast = "--quality", "fast", "--device", "cpu"
        assert main(["fit", str(tmp_path / name), "-o", str(tmp_path / f"{name}.track"), *fast]) == 0
        table = json.loads((tmp_path / f"{name}.track" / "track.json").read_text())
        assert table["status"] == ["tracked"], name


def test_unknown_expression_name_suggests_the_nearest(tmp_path, track, capfd):
    refuse(capfd, "edit", track, "--set", "jawOpn=0.5", "-o", tmp_path / "t", expected="did you mean 'jawOpen'?")
    refuse(capfd, "edit", track, "--add", "jawOpen", "-o", tmp_path / "t", expected="expected NAME=VALUE")
    refuse(capfd, "edit", track, "--gaze", "10", "-o", tmp_path / "t", expected="expected YAW,PITCH")
    refuse(capfd, "edit", track, "--gaze", "170,0", "-o", tmp_path / "t", expected="between -60 and 60")
    refuse(capfd, "edit", track, "--neutral", "-1", "-o", tmp_path / "t", expected="the number of a frame")
    refuse(capfd, "edit", track, "--neutral", "9999", "-o", tmp_path / "t", expected="neutral frame: expected 0 to")
    refuse(capfd, "edit", track, "--set", "jawOpen=0.5", expected="Give -o TRACK2")
    refuse(capfd, "render", track, "--maps", "difuse", "-o", tmp_path / "a.mp4", expected="did you mean 'diffuse'?")
    refuse(capfd, "render", track, "--size", "big", "-o", tmp_path / "a.mp4", expected="expected WIDTHxHEIGHT")
    refuse(capfd, "export", track, "--frame", "99", "-o", tmp_path / "a.obj", expected="expected 0 to 7")
    refuse(capfd, "fit", carphone(), "-o", tmp_path / "t", "--detector", "mediapip", expected="mediapipe")
    refuse(capfd, "fit", carphone(), "-o", tmp_path / "t", "--device", "tpu", expected="expected cpu, cuda or auto")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def foreign(track, tmp_path):
    """The track, as if fitted with another model."""
    folder = tmp_path / "in" / "foreign.track"
    shutil.copytree(track, folder)
    table = json.loads((folder / "track.json").read_text())
    (folder / "track.json").write_text(json.dumps(table | {"fingerprint": "0" * 16, "model": "other"}))
    return folder


def test_track_of_another_model(foreign, track, clip, tmp_path, capfd):
    out = tmp_path / "out"
    for arguments in [
        ["edit", foreign, "--set", "jawOpen=1", "-o", out],
        ["mix", "--source", foreign, "--target", track, "-o", out],
        ["render", foreign, "-o", out / "a.mp4"],
        ["export", foreign, "-o", out / "a.obj"],
        ["train", foreign, clip, "-o", out / "w.safetensors"],
    ]:
        refuse(capfd, *arguments, expected="fitted with model 'other'")
    refuse(capfd, "edit", foreign, "--smooth", "1", "-o", out, expected="--model ITS_OWN --to MODEL")
    assert not out.exists() or list(out.iterdir()) == []


def test_broken_and_missing_tracks(track, tmp_path, capfd):
    out = tmp_path / "out"
    refuse(capfd, "edit", tmp_path / "none", "--smooth", "1", "-o", out, expected="portrait fit")
    shutil.copytree(track, tmp_path / "half")
    whole = (tmp_path / "half" / "track.safetensors").read_bytes()
    (tmp_path / "half" / "track.safetensors").write_bytes(whole[:100])
    refuse(capfd, "edit", tmp_path / "half", "--smooth", "1", "-o", out, expected="can't be read")
    refuse(capfd, "edit", tmp_path / "half" / "track.json", "--smooth", "1", "-o", out, expected="expected the folder")
    assert not out.exists()


def test_weights_of_another_size_or_none(track, clip, tmp_path, capfd):
    weights, out = tmp_path / "w.safetensors", tmp_path / "out.mp4"
    small = ["--minutes", "0.005", "--size", "64", "--width", "4", "--device", "cpu"]
    assert main(["train", str(track), str(clip), "-o", str(weights), *small]) == 0
    from safetensors import safe_open

    with safe_open(weights, "pt") as file:
        header = json.loads(file.metadata()["header"])
    save_file(load_file(weights), tmp_path / "x.safetensors", {"header": json.dumps(header | {"size": 128})})
    synthesize = ["synthesize", tmp_path / "x.safetensors", track, "--video", clip, "-o", out]
    refuse(capfd, *synthesize, expected="weights")
    synthesize[1] = tmp_path / "none.safetensors"
    refuse(capfd, *synthesize, expected="no such file")
    synthesize[1] = track / "track.safetensors"
    refuse(capfd, *synthesize, expected="expected")
    whole = weights.read_bytes()
    (tmp_path / "half.safetensors").write_bytes(whole[: len(whole) // 2])
    synthesize[1] = tmp_path / "half.safetensors"
    refuse(capfd, *synthesize, expected="not a whole safetensors file")
    assert not out.exists() and not list(tmp_path.glob("*.partial"))


def test_an_edited_track_is_nothing_to_train_on(track, clip, tmp_path, capfd):
    curves = tmp_path / "c.csv"
    assert main(["edit", str(track), "--to-csv", str(curves)]) == 0
    for edit in (["--set", "jawOpen=0"], ["--csv", curves]):
        edited = tmp_path / f"{edit[0]}.track"
        assert main([*map(str, ["edit", track, *edit, "-o", edited])]) == 0
        refuse(capfd, "train", edited, clip, "-o", tmp_path / "w", expected="was edited; train with the target's own")
    assert not (tmp_path / "w").exists()


def test_video_of_another_size(track, grey_room, tmp_path, capfd):
    refuse(capfd, "train", track, grey_room, "-o", tmp_path / "w", expected="expected 176 x 144")
    refuse(capfd, "render", track, "-o", tmp_path / "a.mp4", "--overlay", grey_room, expected="expected 176 x 144")
    assert list(tmp_path.iterdir()) == []


def test_inputs_are_never_overwritten(track, clip, tmp_path, capfd):
    copy = tmp_path / "copy.mp4"
    shutil.copy(clip, copy)
    before = copy.read_bytes()
    refuse(capfd, "render", track, "-o", copy, "--overlay", copy, expected="is an input too")
    refuse(capfd, "synthesize", tmp_path / "w", track, "--video", copy, "-o", copy, expected="is an input too")
    refuse(capfd, "reenact", "--source", track, "--target", copy, "-o", copy, expected="is an input too")
    refuse(capfd, "train", track, copy, "-o", copy, expected="is an input too")
    assert copy.read_bytes() == before


def test_a_track_is_never_written_over_its_own_input(track, clip, tmp_path, capfd):
    mine = tmp_path / "o.mp4.work" / "mixed.track"
    shutil.copytree(track, mine)
    (tmp_path / "linked.track").symlink_to(mine)
    before = {p: p.read_bytes() for p in mine.iterdir()}
    curves = tmp_path / "c.csv"
    assert main(["edit", str(track), "--to-csv", str(curves)]) == 0
    for arguments in [
        ["edit", mine, "--set", "jawOpen=1", "-o", mine],
        ["edit", mine, "--csv", curves, "-o", tmp_path / "linked.track"],
        ["mix", "--source", track, "--target", mine, "-o", mine],
        ["mix", "--source", mine, "--target", track, "-o", tmp_path / "linked.track"],
        ["reenact", "--source", mine, "--target", clip, "-o", tmp_path / "o.mp4"],
    ]:
        refuse(capfd, *arguments, expected="is an input too")
    assert {p: p.read_bytes() for p in mine.iterdir()} == before


def test_full_disk(track, clip, tmp_path, capfd):
    """A real, tiny file system, where one may be mounted."""
    small = tmp_path / "small"
    small.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=12k", "tmpfs", str(small)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs root")
    filler = small / "filler"
    filler.write_bytes(bytes(8192))
    try:
        for arguments in [
            ["edit", track, "--set", "jawOpen=1", "-o", small / "t"],
            ["edit", track, "--to-csv", small / "c.csv"],
            ["render", track, "-o", small / "a.mp4", "--size", "640"],
            ["export", track, "-o", small / "face.obj"],
            ["train", track, clip, "-o", small / "w", "--minutes", "0.01", "--size", "64", "--width", "4"],
        ]:
            refuse(capfd, *arguments, expected="free some space")
            left = [p for p in small.rglob("*") if p.is_file() and "cache" not in str(p)]
            assert left == [filler], arguments
            for path in set(small.iterdir()) - {filler}:
                shutil.rmtree(path)
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_ctrl_c_in_the_middle_and_going_on(clip, track, tmp_path):
    """Interrupted while training: 130, one line, no output; run again it goes on from there."""
    weights = tmp_path / "w.safetensors"
    arguments = ["train", track, clip, "-o", weights, "--size", "64", "--width", "4", "--device", "cpu", "--minutes"]
    begun = (  # background jobs of a shell, as this test may be in, ignore the signal
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from portrait.cli import main; sys.exit(main())"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", begun, *map(str, arguments), "5"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ},
    )  # fmt: skip
    cache = tmp_path / "w.safetensors.work" / "cache"
    deadline = time.monotonic() + 300
    while not list(cache.glob("*")) and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(3)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=300)
    assert process.returncode == 130, error
    assert error == "interrupted; run the same command again to go on\n"
    assert not weights.exists()
    assert main([str(a) for a in arguments] + ["0.001"]) == 0
    assert weights.is_file()
