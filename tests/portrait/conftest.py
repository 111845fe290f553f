"""A short real clip, fitted once, and the command line in this process and in another."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from portrait.video import VideoReader, VideoWriter
from portrait.video.sample import carphone

ROOT = Path(__file__).parents[2]
FRAMES = 8


@pytest.fixture(scope="session")
def clip(tmp_path_factory) -> Path:
    """The first frames of the clip that an installed package carries, with some sound."""
    folder = tmp_path_factory.mktemp("clip")
    reader, path = VideoReader(carphone(), square=False), folder / "clip.mp4"
    with VideoWriter(path, reader.width, reader.height, reader.fps, audio_from=tone(folder / "tone.wav")) as writer:
        for index, time, frame in reader:
            if index == FRAMES:
                break
            writer.write(frame, time)
    return path


def tone(path: Path) -> Path:
    """A second of sound."""
    import wave

    import numpy as np

    samples = (8000 * np.sin(np.arange(16000) / 6)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(samples.tobytes())
    return path


@pytest.fixture(scope="session")
def track(clip, tmp_path_factory) -> Path:
    """The clip's track, made by the command itself."""
    from portrait.cli import main

    folder = tmp_path_factory.mktemp("track") / "clip.track"
    assert main(["fit", str(clip), "-o", str(folder), "--device", "cpu"]) == 0
    return folder


def run(*arguments, cwd=None, timeout=120) -> subprocess.CompletedProcess:
    """``portrait`` as its own process."""
    return subprocess.run(
        [sys.executable, "-m", "portrait", *map(str, arguments)],
        capture_output=True, text=True, cwd=cwd, timeout=timeout, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120"},
    )  # fmt: skip
