"""Whose sound goes with a result, and what is said where there is none."""

import shutil

import numpy as np
import pytest

import facemodel
from facemodel import PortraitError, Track
from portrait.cli import main
from portrait.services.events import Notes
from portrait.services.pipeline import sound_of_track
from portrait.services.synthesis import sound_file
from portrait.video import VideoReader, VideoWriter, has_sound
from portrait.video.source import source_facts
from tests.garbled import spoil_bytes
from tests.portrait.conftest import FRAMES, tone
from tests.portrait.networks import random_weights

THERE_AND_BACK = [0, 1, 2, 1, 0]


@pytest.fixture(scope="module")
def driver(clip, tmp_path_factory):
    """A video with sound, in a folder of its own."""
    path = tmp_path_factory.mktemp("driver") / "actor.mp4"
    shutil.copy(clip, path)
    return path


@pytest.fixture(scope="module")
def silent(clip, tmp_path_factory):
    path = tmp_path_factory.mktemp("silent") / "silent.mp4"
    reader = VideoReader(clip)
    with VideoWriter(path, reader.width, reader.height, reader.fps) as writer:
        for _, time, frame in reader:
            writer.write(frame, time)
    return path


def mixed(track, driver, order):
    found = Track.load(track)
    facts = {"target_frames": order, "mixed": {"source": source_facts(VideoReader(driver))}}
    return found.with_parameters(found.parameters, **facts)


def test_the_source_is_found_where_it_may_lie(track, clip, driver, tmp_path, monkeypatch):
    longer = mixed(track, driver, THERE_AND_BACK)
    assert sound_file("source", longer, clip, None, Notes(), driver.with_name("m.track")) == driver
    assert sound_file(None, longer, clip, None, Notes(), driver.with_name("m.track")) == driver
    assert sound_file(None, mixed(track, driver, [0, 1, 2]), clip, None, Notes(), driver.with_name("m.track")) == clip
    monkeypatch.chdir(driver.parent)
    assert sound_file("source", longer, clip, None, Notes()) == driver
    monkeypatch.chdir(tmp_path)
    (tmp_path / "actor.mp4").write_bytes(b"another film")
    with pytest.raises(PortraitError, match="--sound source: its source, actor.mp4, isn't beside the track") as error:
        sound_file("source", longer, clip, None, Notes())
    assert "\n" not in str(error.value)
    with pytest.raises(PortraitError, match="--sound source: the track wasn't mixed"):
        sound_file("source", Track.load(track), clip, None, Notes())


def test_silence_is_said_where_sound_was_to_be(track, clip, driver, silent):
    longer, notes = mixed(track, driver, THERE_AND_BACK), Notes()
    assert sound_file(None, longer, clip, None, notes) is None
    expected = "no sound, since the track is longer than clip.mp4, and its source, actor.mp4"
    assert len(notes) == 1 and notes[0].startswith(expected)
    notes.clear()
    assert sound_file("target", longer, silent, None, notes) is None
    assert sound_file("source", longer, clip, silent, notes) is None
    assert sound_file(str(silent), longer, clip, None, notes) is None
    assert notes == 3 * ["no sound, since silent.mp4 has none"]
    notes.clear()
    assert sound_file("none", longer, clip, None, notes) is None
    assert sound_file(None, Track.load(track), silent, None, notes) is None  # as it was
    assert notes == []


def test_a_file_of_sound_alone(track, clip, tmp_path):
    assert sound_file(str(tone(tmp_path / "tone.wav")), Track.load(track), clip, None, Notes()) == tmp_path / "tone.wav"


def test_of_a_driving_track(track, clip, driver, tmp_path):
    notes = Notes()
    assert sound_of_track(Track.load(track), None, clip, notes) == "none"
    assert sound_of_track(Track.load(track), tmp_path / "actor.track", clip, notes) == str(clip)
    assert sound_of_track(mixed(track, driver, [0, 1]), driver.with_name("a.track"), clip, notes) == str(driver)
    assert notes == []
    assert sound_of_track(Track.load(track), tmp_path / "actor.track", tmp_path / "talk.mp4", notes) == "none"
    assert notes == ["no sound, since the clip of actor.track isn't beside it; --sound takes a file"]


def test_the_command_finds_the_source(track, clip, driver, tmp_path, capsys):
    mixed(track, driver, list(range(FRAMES))).save(tmp_path / "m.track")
    weights = random_weights(Track.load(track), facemodel.load(), tmp_path / "w.safetensors")
    arguments = ["synthesize", weights, tmp_path / "m.track", "--video", clip, "-o", tmp_path / "o.mp4"]
    arguments = [*map(str, arguments), "--sound", "source", "--device", "cpu"]
    assert main(arguments) == 2
    assert "isn't beside the track or the video" in capsys.readouterr().err and not (tmp_path / "o.mp4").exists()
    shutil.copy(driver, tmp_path)
    assert main(arguments) == 0
    assert VideoReader(tmp_path / "o.mp4").audio


def test_spoilt_sound_is_none_or_refused(tmp_path):
    path = tone(tmp_path / "tone.wav")

    def use():
        with VideoWriter(tmp_path / "out.mp4", 32, 32, 25.0, audio_from=path if has_sound(path) else None) as writer:
            for _ in range(2):
                writer.write(np.zeros((32, 32, 3), np.uint8))

    spoil_bytes(path, use)
