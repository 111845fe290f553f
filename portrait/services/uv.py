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
from fitting.texture import TextureMerger, frame_texture, gain_between
from foundation.atomic import write_file
from neural_render import FrameCursor
from neural_render.uv_gan.filling import blend_weight, mirror_fill
from portrait.files import file_hash, synthetic_note
from portrait.progress import Progress, say
from portrait.quiet import quiet_native_stderr
from portrait.reports.pictures import write_picture
from portrait.services.uv_outputs import (  # fmt: skip
    ALWAYS,
    INDEX,
    PICTURE,
    Face,
    remove_stale,
    turntable,
    write_maps,
    write_mesh,
    yaw_pictures,
)
from portrait.tracks import check_video, default_model, is_track, load_track, note_other_file, pick_device
from portrait.video import is_image, open_frames, read_image
from portrait.video.writer import check_writable
from renderer import extend, main_island
from renderer.unwrapping import uv_fragments

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


def texture_file(
    input: Path, output: Path, *, video: Path | None, frame: int | None, merge: bool, delight: bool,
    complete: str | None, size: int, yaws: list[float], frontalize: bool, device: str,
) -> None:  # fmt: skip
    """Writes everything into the folder ``output``; see the command's help and docs/uv.md."""
    check_options(output, size, yaws)
    device = pick_device(device)
    model = default_model(device)
    completer = load_completer(complete, model, device)
    with Progress() as progress:
        track, pictures = open_source(input, video, model, device)
        chosen = choose_frame(track, frame)
        progress.update(0, None, "texture")
        if merge:
            skin = merged(model, track, pictures, chosen, size, progress)
        else:
            cursor = FrameCursor(pictures)
            skin = single(model, of_frame(model, track, chosen), cursor.at(chosen), size)
            cursor.close()
        island = main_island(model, size)
        weight = blend_weight(skin.confidence, island)
        dress = dressed(skin, weight, island, completer)
        seen = skin.delit if delight else skin.lit
        if delight:
            dress = dress / skin.light
        dress = extend(dress.clamp(0, 1), uv_fragments(model, (size, size)).mask[0])
        turned = yaw_pictures(yaws, frontalize)
        files = [*ALWAYS, *(["observed.png"] if completer else []), *turned]
        note = synthetic_note(
            "uv", input={"file": input.name}, frame=chosen, frames=int(track.tracked.sum()) if merge else 1,
            complete=complete, delight=delight,
        )  # fmt: skip
        remove_stale(output, keep=[*files, input.name])  # the picture may lie there too
        write_maps(output, seen, weight, skin, dress if completer else None)
        write_mesh(output, model, track, chosen, dress)
        face = Face(model, skin.parameters, dress, lit=not delight)
        for name, yaw in turned.items():
            write_picture(output / name, face.at_yaw(yaw, PICTURE))
        turntable(face, output / "turntable.mp4", note, progress)
        write_file(output / INDEX, json.dumps(note | {"files": files}, indent=1))
    share = float((weight > 0.5)[island].float().mean())
    filled = f"holes filled by {complete}" if completer else "holes show the fitted model (--complete fills them)"
    say(f"{output}: {size} x {size} texture, {100 * share:.0f} % of the head's skin seen; {filled}")


def dressed(skin: Skin, weight: Tensor, island: Tensor, completer) -> Tensor:
    """(S, S, 3) linear RGB, lit: a whole texture, from what was seen (``weight`` (S, S)) and what fills the rest.

    What isn't skin (eyeballs, teeth) stays the model's, and so do holes that nothing fills.
    """
    modelled = skin.albedo * skin.light
    joined = completer(skin.lit, weight, modelled) if completer else skin.lit
    over = (island.float() if completer else weight)[..., None]
    return over * joined + (1 - over) * modelled


def check_options(output: Path, size: int, yaws: list[float]) -> None:
    """PortraitError for what can't be done."""
    if size not in (128, 256, 512, 1024):
        raise PortraitError(f"--size: expected 128, 256, 512 or 1024 texels, got {size}")
    for yaw in yaws:
        if not -120 <= yaw <= 120:
            raise PortraitError(f"--yaw: expected degrees from -120 to 120, got {yaw:g}")
    if output.exists() and not output.is_dir():
        raise PortraitError(f"output '{output}': expected a folder, found a file; choose another name")
    check_writable(output / "texture.png")


def load_completer(complete: str | None, model, device: str):
    """What fills holes: a function of texture, weight and the model's texture, lit linear RGB; None for nothing."""
    if complete is None:
        return None
    if complete == MIRROR:
        model.require("symmetric atlas", "completing a texture from its mirrored side")
        return mirror_fill
    path = Path(complete)
    if not path.is_file():
        raise PortraitError(
            f"--complete '{path}': no such file; train with 'portrait uv-train FOLDER -o {path}' or "
            f"'portrait uv-train --synthetic 2000 -o {path}', or use '--complete mirror', which needs none"
        )
    from neural_render.uv_gan.weights import CompletionWeights

    return CompletionWeights.load(path, model).completer(device)


def open_source(input: Path, video: Path | None, model, device: str) -> tuple[Track, object]:
    """The track, and its pictures as (index, time, picture); an image is fitted here."""
    if is_track(input) or (input.is_dir() and video is not None):
        if video is None:
            raise PortraitError(f"track '{input}': its pictures are needed too; add --video with the clip it is of")
        track = load_track(input, model)
        pictures = check_video(video, track)
        note_other_file("the track was fitted to", track.facts.get("source"), video, file_hash(video))
        return track, pictures
    if input.is_dir() or not is_image(input):
        raise PortraitError(
            f"input '{input}': expected an image or a track; 'portrait fit {input} -o {input.stem}.track' makes one"
        )
    pictures = open_frames(input)
    try:
        with quiet_native_stderr():
            return fit_image(read_image(input), model=model, device=device), pictures
    except PortraitError as error:
        raise PortraitError(str(error).replace("video:", f"'{input}':", 1)) from None


def choose_frame(track: Track, frame: int | None) -> int:
    """The frame asked for; else the surest of those that look most nearly into the camera."""
    if frame is not None:
        if not 0 <= frame < len(track):
            raise PortraitError(f"--frame: expected 0 to {len(track) - 1}, got {frame}")
        if not track.tracked[frame]:
            raise PortraitError(f"--frame {frame}: no face was found in it; choose another frame")
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


def merged(model, track: Track, pictures, chosen: int, size: int, progress: Progress) -> Skin:
    """The texture of all frames with a face, in the chosen frame's colours and under its light."""
    merger, last = TextureMerger(size), None
    count = 2 * int(track.tracked.sum())
    done = 0
    for take in (merger.add, merger.refine):
        for index, f in textures(model, track, pictures, size):
            take(f)
            last = f if index == chosen else last
            done += 1
            progress.update(done, count, "merging frames")
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
