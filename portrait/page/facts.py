"""What a page is told of a track, of a model, of what it's compared with: JSON and arrays, read by ``src/main.js``."""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from facemodel import FaceModel, FaceParameters, FrameStatus, PortraitError, Track
from facemodel.arkit import ARKIT_NAMES
from facemodel.base import check_same_model
from facemodel.editing.contact import LIDS, ContactPolicy, Contacts
from facemodel.editing.curves import ANGLES, BLINKS, SWAPPED
from facemodel.editing.edits_file import track_fingerprint
from facemodel.editing.neutral import neutral_expression, neutral_frame
from facemodel.gaze import FULL_LOOK
from portrait.page.surface import PageSurface, blocks, person_surface

A, B = "a ", "b "  # before the names of arrays: the track's, and those of the one it's compared with


@dataclass(frozen=True)
class Content:
    """What `portrait.page.document.document` takes."""

    facts: dict
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


def model_content(model: FaceModel) -> Content:
    """A model alone: its mean face, to be moved by its coefficients."""
    rest = FaceParameters.neutral(model, (1,)).to("cpu")
    identity = torch.zeros(model.count("identity"))
    surface = person_surface(model, identity, None, None)
    arrays = _named(A, surface.arrays | {"expression": _rows(rest.expression), "joints": _rows(rest.joints)})
    if _gazes(model):
        arrays[A + "gaze"] = np.zeros((1, 4), np.float32)
    return Content(_common(model, surface, model.name, f"face model, {_counts(model)}") | {"file": "model"}, arrays)


def track_content(
    track: Track, model: FaceModel, path: Path, video: Path | None = None, against: tuple[Track, Path] | None = None
) -> Content:
    """A track, of which everything can be edited. against: another track of the same model, and its folder.

    Raises PortraitError for tracks of other models.
    """
    p = track.parameters.expanded()
    surface = person_surface(model, p.identity[0], p.reflectance[0], None)
    face = "a frame" if len(track) == 1 else f"{len(track)} frames"
    about = f"{face}, {track.width} × {track.height}, model {track.model}"
    facts = _common(model, surface, path.name, about) | {
        "file": path.stem,
        "command": f"portrait edit {path.name} --edits {path.stem}.edits.json -o {path.stem}.edited.track",
        "track": _track_facts(track, path),
        "curves": _curve_facts(track, model),
    }
    arrays = _named(A, surface.arrays | _track_arrays(track))
    if against is not None:
        other, other_path = against
        check_same_model(f"track '{other_path}': fitted", other, model)
        o = other.parameters.expanded()
        person = person_surface(model, o.identity[0], o.reflectance[0], surface)
        arrays |= _named(B, person.arrays | _track_arrays(other))
        name = other_path.name if other_path.name != path.name else f"{other_path.parent.name}/{other_path.name}"
        facts["against"] = {"name": name, "frames": len(other), "focal": other.camera.focal}
        if len(other) != len(track):
            facts["notes"].append(f"{name} has {len(other)} frames, {path.name} {len(track)}.")
    return Content(facts, arrays)


def with_texture(content: Content, model: FaceModel, path: Path) -> Content:
    """The first head in a picture over the UV atlas, as 'portrait uv' writes it. PortraitError for anything else."""
    import cv2

    from portrait.video import read_image

    model.require("atlas", "a texture on the head")
    picture = read_image(path)
    if picture.shape[0] != picture.shape[1]:
        raise PortraitError(
            f"texture '{path}': expected a square picture over the UV atlas, as 'portrait uv' writes texture.png, got "
            f"{picture.shape[1]} x {picture.shape[0]}"
        )
    if picture.shape[0] > 1024:
        picture = cv2.resize(picture, (1024, 1024), interpolation=cv2.INTER_AREA)
    data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
    corners = torch.stack([model.triangles.flatten(), model.atlas.triangles.flatten()], -1).cpu().numpy()
    pairs, index = np.unique(corners, axis=0, return_inverse=True)
    uv = model.atlas.coordinates.cpu().numpy()[pairs[:, 1]]
    arrays = {"atlas at": pairs[:, 0], "atlas uv": uv.astype(np.float32), "atlas triangles": index.reshape(-1)}
    facts = {"texture": "data:image/jpeg;base64," + base64.b64encode(data).decode()}
    return Content(content.facts | facts, content.arrays | arrays)


def _common(model: FaceModel, surface: PageSurface, title: str, subtitle: str) -> dict:
    names = list(model.blocks["identity"].names[: surface.facts["components"]])
    return {
        "title": title,
        "subtitle": subtitle,
        "model": {"name": model.name, "fingerprint": model.fingerprint},
        "blocks": blocks(model) | {"identity": names},
        "surface": surface.facts,
        "gaze": _gazes(model),
        "notes": list(surface.notes),
    }


def _gazes(model: FaceModel) -> bool:
    """Whether eyes turn."""
    skeleton = getattr(model, "skeleton", None)
    return model.eyes is not None or (skeleton is not None and skeleton.eyes is not None)


def _counts(model: FaceModel) -> str:
    return ", ".join(f"{len(block)} {name}" for name, block in model.blocks.items())


def _track_facts(track: Track, path: Path) -> dict:
    labels = sorted({int(s) for s in track.status})
    return {
        "name": path.name,
        "fingerprint": track_fingerprint(track),
        "frames": len(track),
        "fps": track.fps,
        "seconds": [round(s, 6) for s in track.seconds.tolist()],
        "width": track.width,
        "height": track.height,
        "focal": track.camera.focal,
        "labels": {s: FrameStatus(s).label for s in labels},
    }


def _track_arrays(track: Track) -> dict[str, np.ndarray]:
    p = track.parameters.expanded()
    values = {
        "expression": p.expression, "joints": p.joints, "gaze": p.gaze.flatten(-2), "rotation": p.rotation,
        "translation": p.translation, "illumination": p.illumination,
    }  # fmt: skip
    tables = {name: _rows(value) for name, value in values.items()}
    status = track.status.numpy().astype(np.uint8)
    return tables | {"status": status, "confidence": track.confidence.float().nan_to_num(0.0).numpy()}


def _rows(values: torch.Tensor) -> np.ndarray:
    return values.detach().cpu().float().numpy()


def _curve_facts(track: Track, model: FaceModel) -> dict:
    """What ``src/save.js`` needs to write curves as `facemodel.write_curves` does."""
    return {
        "arkit": list(ARKIT_NAMES), "angles": list(ANGLES), "swapped": SWAPPED, "full": FULL_LOOK,
        "lids": _lids(track, model),
    }  # fmt: skip


def _lids(track: Track, model: FaceModel) -> dict | None:
    """How far lids are open as a linear function of the expression; None where it isn't known or isn't linear."""
    if not model.linear or not track.tracked.any():
        return None
    identity = track.parameters.expanded().identity[0]
    rest = neutral_expression(track, neutral_frame(track, model))
    contacts = Contacts.of(model, identity, rest)
    if contacts is None:
        return None
    count = model.count("expression")
    joints = torch.zeros(count + 1, model.count("joints"))
    at = contacts.opening(torch.cat([torch.zeros(1, count), torch.eye(count)]).double(), joints.double())
    lids = list(LIDS)
    return {
        "names": list(BLINKS), "base": at[0, lids].tolist(), "slopes": (at[1:] - at[0])[:, lids].T.tolist(),
        "zero": contacts.zero[lids].tolist(), "unit": contacts.unit[lids].tolist(), "ends": list(ContactPolicy().lids),
    }  # fmt: skip


def _named(who: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {who + name: array for name, array in arrays.items()}


def finite(track: Track, path: Path) -> None:
    """PortraitError where a track's parameters aren't numbers: a page can't show them."""
    for name, value in vars(track.parameters.expanded()).items():
        if not bool(torch.isfinite(value).all()):
            raise PortraitError(f"track '{path}': {name} has values that aren't numbers; fit the video again")
    if not math.isfinite(track.fps):
        raise PortraitError(f"track '{path}': its times aren't numbers; fit the video again")
