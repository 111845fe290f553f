"""``portrait uv``: a face's texture from a picture or a clip, completed, on a mesh, turned."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from facemodel import FaceParameters, PortraitError, Track
from fitting import fit_image
from fitting.landmarks import DETECTORS
from fitting.texture import TextureMerger, frame_texture, gain_between
from foundation.atomic import write_file
from foundation.progress import Event, Report, ignore
from neural_render import FrameCursor
from neural_render.uv_gan.filling import blend_weight, mirror_fill
from portrait.files import synthetic_note
from portrait.services.checks import MOST, check_folder, check_names, check_number
from portrait.services.events import Notes
from portrait.services.setup import Setup
from portrait.services.uv_outputs import (  # fmt: skip
    ALWAYS,
    INDEX,
    PICTURE,
    TexturedFace,
    remove_stale,
    turntable,
    write_maps,
    write_mesh,
    yaw_pictures,
)
from portrait.tracks import check_video, is_track, load_track
from portrait.video import is_image, open_frames, read_image
from portrait.video.png import write_picture
from renderer import extend, main_island
from renderer.mirroring import mirroring
from renderer.unwrapping import uv_fragments

SIZES = (128, 256, 512, 1024)
MIRROR = "mirror"


@dataclass(frozen=True)
class Skin:
    """A texture and what it lies on."""

    parameters: FaceParameters  # of the frame that meshes and pictures show, no leading dimensions
    delit: Tensor  # (S, S, 3) linear RGB without light; zero where nothing was seen
    confidence: Tensor  # (S, S) 0 to 1
    visible: Tensor  # (S, S) bool
    light: Tensor  # (S, S, 3) linear RGB
    albedo: Tensor  # (S, S, 3) linear RGB, the fitted model's

    @property
    def lit(self) -> Tensor:
        """(S, S, 3) linear RGB: the texture as the picture has it."""
        return self.delit * self.light


@dataclass(frozen=True)
class TextureOptions:
    """What is made of a face's texture."""

    frame: int | None = None  # which of a clip, from 0; None is a confident, frontal one
    merge: bool = False  # all frames into one texture
    delight: bool = False  # the fitted light divided out
    complete: str | None = None  # what fills holes: a file of weights, or "mirror"; None: nothing
    size: int = 512  # texels a side
    yaws_deg: tuple[float, ...] = ()  # also pictures of the face turned so far
    frontalize: bool = False  # also one from the front
    detector: str = "mediapipe"  # for a picture, which is fitted

    def check(self) -> None:
        """Raises PortraitError for what can't be made."""
        if self.size not in SIZES:
            raise PortraitError(f"--size: expected 128, 256, 512 or 1024 texels, got {self.size}")
        for yaw in self.yaws_deg:
            check_number("yaw", yaw, -120, 120, unit=" degrees")
        check_number("frame", self.frame, 0, MOST)
        check_names("landmark detector", [self.detector], DETECTORS)
        if self.complete not in (None, MIRROR) and not Path(self.complete).is_file():
            raise PortraitError(
                f"--complete '{self.complete}': no such file; train with 'portrait uv-train FOLDER -o {self.complete}' "
                f"or 'portrait uv-train --synthetic 2000 -o {self.complete}', or use '--complete mirror', which needs "
                "none"
            )


@dataclass(frozen=True)
class Textured:
    """A folder with a face's texture and what was made of it."""

    path: Path
    size: int  # texels a side
    seen: float  # share of the head's skin
    complete: str | None
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """What there is to say of it."""
        unfilled = "holes show the fitted model (--complete fills them)"
        filled = f"holes filled by {self.complete}" if self.complete else unfilled
        seen = f"{100 * self.seen:.0f} % of the head's skin seen"
        return [f"{self.path}: {self.size} x {self.size} texture, {seen}; {filled}"]


def texture_file(
    input: Path,
    output: Path,
    options: TextureOptions = TextureOptions(),
    *,
    video: Path | None = None,
    setup: Setup = Setup(),
    report: Report = ignore,
) -> Textured:
    """Writes everything into the folder ``output``; see the command's help and docs/uv.md.

    input: a picture, which is fitted, or a track, whose pictures are in ``video``.
    Raises PortraitError for what can't be used.
    """
    options.check()
    check_folder(output, "texture.png")
    if video is not None and not is_track(input) and input.exists() and not input.is_dir():
        raise PortraitError(f"--video '{video}': is for tracks, and '{input}' is none; leave it out")
    setup, notes, size = setup.started(), Notes(report), options.size
    model = setup.face_model()
    model.require("atlas", "unwrapping a texture")
    completer = load_completer(options.complete, model, setup.device)
    track, pictures = open_source(input, video, model, setup.device, options.detector, notes)
    chosen = choose_frame(track, options.frame)
    report(Event("texture", 0, None))
    if options.merge:
        skin = merged(model, track, pictures, chosen, size, report)
    else:
        cursor = FrameCursor(pictures)
        skin = single(model, of_frame(model, track, chosen), cursor.at(chosen), size)
        cursor.close()
    island = main_island(model, size)
    weight = blend_weight(skin.confidence, island)
    dress = dressed(skin, weight, island, completer)
    seen = skin.delit if options.delight else skin.lit
    if options.delight:
        dress = dress / skin.light
    dress = extend(dress.clamp(0, 1), uv_fragments(model, (size, size)).mask[0])
    turned = yaw_pictures(options.yaws_deg, options.frontalize)
    files = [*ALWAYS, *(["observed.png"] if completer else []), *turned]
    note = synthetic_note(
        "uv", input={"file": input.name}, frame=chosen, frames=int(track.tracked.sum()) if options.merge else 1,
        complete=options.complete, delight=options.delight,
    )  # fmt: skip
    remove_stale(output, keep=[*files, input.name])  # the picture may lie there too
    write_maps(output, seen, weight, skin, dress if completer else None)
    write_mesh(output, model, track, chosen, dress)
    face = TexturedFace(model, skin.parameters, dress, lit=not options.delight)
    for name, yaw in turned.items():
        write_picture(output / name, face.at_yaw(yaw, PICTURE))
    turntable(face, output / "turntable.mp4", note, report)
    write_file(output / INDEX, json.dumps(note | {"files": files}, indent=1), "index")
    share = float((weight > 0.5)[island].float().mean())
    return Textured(output, size, share, options.complete, tuple(notes))


def dressed(skin: Skin, weight: Tensor, island: Tensor, completer) -> Tensor:
    """(S, S, 3) linear RGB, lit: a whole texture, from what was seen (``weight`` (S, S)) and what fills the rest.

    What isn't skin (eyeballs, teeth) stays the model's, and so do holes that nothing fills.
    """
    modelled = skin.albedo * skin.light
    joined = completer(skin.lit, weight, modelled) if completer else skin.lit
    over = (island.float() if completer else weight)[..., None]
    return over * joined + (1 - over) * modelled


def load_completer(complete: str | None, model, device: str):
    """What fills holes: a function of texture, weight and the model's texture, lit linear RGB; None for nothing."""
    if complete is None:
        return None
    if complete == MIRROR:
        return lambda seen, weight, modelled: mirror_fill(seen, weight, modelled, mirroring(model, len(seen)))
    from neural_render.uv_gan.weights import CompletionWeights

    return CompletionWeights.load(Path(complete), model).completer(device)


def open_source(
    input: Path, video: Path | None, model, device: str, detector: str, notes: Notes
) -> tuple[Track, object]:
    """The track, and its pictures as (index, time, picture); an image is fitted here."""
    if is_track(input) or (input.is_dir() and video is not None):
        if video is None:
            raise PortraitError(f"track '{input}': its pictures are needed too; add --video with the clip it is of")
        track = load_track(input, model)
        return track, check_video(video, track, notes.add)
    if input.is_dir() or not is_image(input):
        raise PortraitError(
            f"input '{input}': expected an image or a track; 'portrait fit {input} -o {input.stem}.track' makes one"
        )
    pictures = open_frames(input)
    try:
        return fit_image(read_image(input), model=model, device=device, detector=detector), pictures
    except PortraitError as error:
        raise PortraitError(str(error).replace("video:", f"'{input}':", 1)) from None


def choose_frame(track: Track, frame: int | None) -> int:
    """The frame asked for; else the most confident of those that look most nearly into the camera."""
    if frame is not None:
        track.check_frame(frame, "--frame")
        return frame
    if not track.tracked.any():
        raise PortraitError("track: no frame has a face; choose another clip")
    turn = track.parameters.expanded().rotation.norm(dim=-1)
    return int((track.confidence * track.tracked * (-turn.square()).exp()).argmax())


def of_frame(model, track: Track, index: int) -> FaceParameters:
    return track.parameters.expanded()[index].to(model.mean.device)


def single(model, parameters: FaceParameters, picture: np.ndarray, size: int) -> Skin:
    """The texture of one picture."""
    f = frame_texture(model, parameters, torch.from_numpy(np.ascontiguousarray(picture)), size)
    return Skin(parameters, f.delit, f.confidence, f.visible, f.light, f.albedo)


def merged(model, track: Track, pictures, chosen: int, size: int, report: Report = ignore) -> Skin:
    """The texture of all frames with a face, in the chosen frame's colours and under its light."""
    merger, last = TextureMerger(size), None
    count = 2 * int(track.tracked.sum())
    done = 0
    for take in (merger.add, merger.refine):
        for index, f in textures(model, track, pictures, size):
            take(f)
            last = f if index == chosen else last
            done += 1
            report(Event("merging frames", done, count))
    delit, confidence = merger.result()
    delit = delit * gain_between(delit, last.delit.cpu(), last.confidence.cpu() * confidence)
    place = model.mean.device  # frames were joined on the CPU
    delit, confidence, seen = (t.to(place) for t in (delit, confidence, merger.seen))
    return Skin(of_frame(model, track, chosen), delit, confidence, seen, last.light, last.albedo)


def textures(model, track: Track, pictures, size: int):
    """(index, FrameTexture) of every frame with a face."""
    cursor = FrameCursor(pictures)
    for index in torch.nonzero(track.tracked).flatten().tolist():
        picture = torch.from_numpy(np.ascontiguousarray(cursor.at(index)))
        yield index, frame_texture(model, of_frame(model, track, index), picture, size)
    cursor.close()
