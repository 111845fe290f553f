"""The clips of a folder, and the name of each one's track."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from facemodel import PortraitError
from portrait.batch.work import Clip
from portrait.video.images import is_image

VIDEO_SUFFIXES = {
    ".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts",
    ".webm", ".wmv", ".y4m",
}  # fmt: skip


def find_clips(folder: Path, output: Path) -> list[Clip]:
    """Every video of a folder and of its sub-folders, in the order of their paths; empty where there is none.

    Hidden files and linked folders are left alone. The track of ``sub/a.mp4`` is ``<output>/sub/a.track``; videos
    whose tracks would have the same name keep their suffix: ``a.mp4.track`` and ``a.mov.track``.

    Raises PortraitError where there are images beside the videos: one clip of stills, or many of video?
    """
    videos, images = [], []
    for path in _files(folder):
        (videos if path.suffix.lower() in VIDEO_SUFFIXES else images if is_image(path) else []).append(path)
    if videos and images:
        raise PortraitError(
            f"folder '{folder}': expected videos or images, found both ('{videos[0].relative_to(folder)}', "
            f"'{images[0].relative_to(folder)}'); move the images to another folder"
        )
    names = track_names([p.relative_to(folder) for p in videos])
    output = Path(os.path.abspath(output))
    return [
        Clip(p.relative_to(folder).as_posix(), Path(os.path.abspath(p)), output / name)
        for p, name in zip(videos, names)
    ]


def track_names(clips: list[Path]) -> list[Path]:
    """A track's relative path for each clip's, no two the same."""
    names = [clip.with_suffix("") for clip in clips]
    while clash := {name for name, count in Counter(names).items() if count > 1}:
        # Again, since "a.mp4" in full may be what "a.mp4.mov" is called without its suffix.
        names = [clip if name in clash else name for clip, name in zip(clips, names)]
    return [name.with_name(name.name + ".track") for name in names]


def _files(folder: Path) -> list[Path]:
    found = []

    def refuse(error: OSError) -> None:
        raise PortraitError(f"folder '{error.filename}': can't be read ({error.strerror}); check its permissions")

    for place, inner, files in os.walk(folder, onerror=refuse):
        inner[:] = [name for name in inner if not name.startswith(".")]
        found += [Path(place, name) for name in files if not name.startswith(".")]
    return sorted(found)
