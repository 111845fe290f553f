"""What moves, for other programs: what all formats of a whole clip have in common.

`export_animation` writes a `Performance`; a format is a file beside this one that adds itself to `ANIMATED`: how it is
written, and how what was written is read again and held against the clip. Pictures, which data sets for avatars have,
come from who calls, a frame at a time, so that memory doesn't grow with the clip.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from facemodel.base import FaceModel, check_same_model
from facemodel.parameters import FaceParameters
from facemodel.track import Track
from foundation.atomic import place_files, replace_folder
from foundation.errors import PortraitError
from foundation.progress import Report, counted, ignore
from foundation.registry import Registry
from geometry.camera import Camera, opencv_extrinsics

CHUNK = 32  # frames whose vertices are worked out at a time
AXES = "x to the subject's left, y up, z towards the viewer; right-handed"
CAMERA = (
    "x_camera = R x + t in OpenCV's axes (x right, y down, z forward); (u, v, 1) ~ K x_camera in pixels, "
    "where the centre of the top left pixel is (0.5, 0.5)"
)


@dataclass(frozen=True)
class Window:
    """A part of the clip's pictures, scaled: what a data set has of each."""

    x: int  # px of the original, left edge; may lie outside
    y: int
    side: tuple[int, int]  # px of the original: width, height
    size: tuple[int, int]  # px of the data set's pictures

    def of(self, camera: Camera) -> Camera:
        """The camera of these pictures."""
        return camera.cropped(self.x, self.y, *self.side).resized(*self.size)


@dataclass(frozen=True)
class Picture:
    """A frame as a data set has it."""

    image: np.ndarray  # (H, W, 3) uint8 sRGB
    mask: np.ndarray  # (H, W) uint8, 255 where the model is, or, where a matte was asked for, anything of the person
    depth: np.ndarray  # (H, W) uint16, mm along the camera's z; 0 where the model isn't


@dataclass(frozen=True)
class Performance:
    """A clip on its way out."""

    track: Track
    model: FaceModel
    texture: np.ndarray | None = None  # (H, W, 3) uint8 sRGB over the UV atlas, row 0 at v = 1
    unlit: bool = False  # the texture has its light in it
    name: str = "face"  # of meshes and files within
    pictures: Callable[[Sequence[int], Window, bool], Iterator[Picture]] | None = None
    """Of these frames, through a window; with a matte of the person as the mask, or with the model's silhouette."""

    @cached_property
    def parameters(self) -> FaceParameters:
        """Of all frames, on the model's device; those without a face have what lies between their neighbours."""
        p = self.track.parameters.expanded().to(self.model.mean.device)
        return p if p.batch_shape else p.map(lambda t: t[None])

    @cached_property
    def seconds(self) -> np.ndarray:
        """(F,) after the first frame, each later than the one before."""
        seconds = self.track.seconds.double().numpy()
        even = np.arange(len(seconds)) / self.track.fps
        return seconds if (np.diff(seconds) > 0).all() and np.isfinite(seconds).all() else even

    @property
    def faces(self) -> list[int]:
        """Frames that have a face."""
        return torch.nonzero(self.track.tracked).flatten().tolist()

    @property
    def gaps(self) -> list[int]:
        """Frames that have none."""
        return torch.nonzero(~self.track.tracked).flatten().tolist()

    @cached_property
    def poses(self) -> tuple[np.ndarray, np.ndarray]:
        """R (F, 3, 3) and t (F, 3) mm of every frame, as `CAMERA` says."""
        p = self.parameters
        rotation, translation = opencv_extrinsics(p.rotation.cpu().double(), p.translation.cpu().double())
        return rotation.numpy(), translation.numpy()

    @property
    def camera(self) -> Camera:
        return self.track.camera

    def vertices(self, frames: Sequence[int] | None = None) -> Iterator[np.ndarray]:
        """(V, 3) float64, mm, model frame without the head's pose, of these frames or all, a frame at a time."""
        frames = range(len(self.track)) if frames is None else frames
        for start in range(0, len(frames), CHUNK):
            p = self.parameters[list(frames[start : start + CHUNK])]
            joints = p.joints if self.model.count("joints") else None
            with torch.inference_mode():
                chunk = self.model.vertices(p.identity, p.expression, p.gaze, joints)
            yield from chunk.cpu().double().numpy()

    def pixels(self, vertices: np.ndarray, frame: int, camera: Camera | None = None) -> np.ndarray:
        """(V, 2) px of vertices (V, 3) of a frame in the clip's camera, or another of its windows."""
        camera = camera or self.camera
        rotation, translation = self.poses
        x, y, z = (vertices @ rotation[frame].T + translation[frame]).T
        fx, fy, cx, cy = (float(v) for v in camera.values(torch.zeros((), dtype=torch.float64)))
        return np.stack([fx * x / z + cx, fy * y / z + cy], -1)

    def facts(self) -> dict:
        """What a file should say of where it is from, and of frames that are no measurement."""
        track = self.track
        done = {name: track.facts[name] for name in ("edits", "mixed") if track.facts.get(name)}
        return {
            "model": track.model,
            "fingerprint": track.fingerprint,
            "source": track.facts.get("source"),
            "frames": len(track),
            "frames_per_second": round(track.fps, 6),
            "frames_without_face": self.gaps,
            **done,
        }


@dataclass(frozen=True)
class Checked:
    """How far what a file says is from the clip: at most, over its frames. None where it has no such thing."""

    reader: str  # what read it
    mm: float | None = None  # a vertex, or a landmark
    px: float | None = None  # its place in the picture, by the file's own camera
    value: float | None = None  # a coefficient or an angle in radians
    frames: int = 0

    def __str__(self) -> str:
        found = [f"{v:.2g} {u}" for v, u in ((self.mm, "mm"), (self.px, "px"), (self.value, "in values"))
                 if v is not None]  # fmt: skip
        return f"read again by {self.reader}: {self.frames} frames, at most {', '.join(found)} off"


@dataclass(frozen=True)
class Animated:
    """A format of a whole clip."""

    title: str  # in words
    write: Callable[[Performance, Path, Report], Sequence[str]]
    """Fills a file, and others beside it, or a folder; returns notes, a sentence each."""
    check: Callable[[Performance, Path], Checked]
    suffixes: tuple[str, ...] = ()  # of the names that ask for it
    folder: dict | None = None  # of one that is a folder: its units and axes, which are kept in it
    pictures: bool = False  # it needs the clip's pictures
    textured: bool = False  # its mesh can have a texture


ANIMATED: Registry[Animated] = Registry("animation format", package="facemodel.export.animated")
"""By name, as ``--format`` takes it."""


def format_of(path: Path, name: str | None = None) -> str:
    """The name of the format that a path's end, or a name, asks for. PortraitError that lists what there is."""
    if name is not None:
        if name not in ANIMATED:
            raise PortraitError(f"--format '{name}': expected one of {', '.join(sorted(ANIMATED))}")
        return name
    suffix = path.suffix.lower()
    found = next((n for n in ANIMATED if suffix and suffix in ANIMATED[n].suffixes), None)
    if found is None:
        ends = dict.fromkeys(s for n in ANIMATED for s in ANIMATED[n].suffixes)
        how = "; for .fbx write .glb, and see docs/export.md" if suffix == ".fbx" else ""
        raise PortraitError(
            f"export '{path}': expected a name ending in {', '.join(ends)}, or --format with one of "
            f"{', '.join(sorted(ANIMATED))}; got '{path.suffix or path.name}'{how}"
        )
    return found


def place_of(path: Path, form: Animated) -> Path:
    """Where it goes: a folder, asked for by the name of a file in it, has that name without its end."""
    ends = form.folder is not None and path.suffix.lower() in form.suffixes
    return path.with_suffix("") if ends else path


def export_animation(
    clip: Performance, path: str | os.PathLike, name: str | None = None, report: Report = ignore
) -> tuple[Path, list[str]]:
    """Writes a clip; all of its files appear, or none.

    Args:
        path: a file's or a folder's name, as the format has it.
        name: of the format; None goes by the path's end.

    Returns:
        The path, and notes: what the format can't hold.

    Raises:
        PortraitError: an unknown format, another model, no face in any frame, what the format needs and isn't there,
            a path that can't be written.
    """
    name = format_of(Path(path), name)
    form = ANIMATED[name]
    path = place_of(Path(path), form)
    check_same_model("export track: fitted", clip.track, clip.model)
    if not clip.faces:
        raise PortraitError("export track: no frame has a face; fit another clip")
    if clip.texture is not None:
        clip.model.require("atlas", "a texture on the mesh")
    if form.pictures and clip.pictures is None:
        raise PortraitError(f"export: {form.title} has the clip's pictures; add --video with the clip")
    notes: list[str] = []
    if form.folder is not None:

        def fill(folder: Path) -> dict:
            notes.extend(form.write(clip, folder, report))
            return {"format": name, **form.folder, **clip.facts()}

        replace_folder(path, fill, "export")
    else:
        place_files(path, lambda target: notes.extend(form.write(clip, target, report)), "export")
    return path, notes


def each_frame(clip: Performance, report: Report, stage: str = "export") -> Iterator[tuple[int, np.ndarray]]:
    """(index, vertices) of all frames, with events."""
    return enumerate(counted(clip.vertices(), report, stage, len(clip.track)))
