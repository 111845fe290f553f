"""Parts of the face: soft fields over the vertices for painting, and the masks that the model's file carries."""

from __future__ import annotations

import numpy as np

from tools.build_model.eyeball import IRIS_RADIUS, PUPIL_RADIUS
from tools.build_model.identity import Identity
from tools.build_model.source import Source
from tools.build_model.topology import EYE_RADIUS, Topology

REGIONS = (
    "face", "lips", "eyelids", "brows", "nose", "ears", "scalp", "neck", "eyes", "iris", "pupil",
    "mouth_inside", "tongue", "teeth", "skin",
)  # fmt: skip
"""Of the default model, in the order of its file."""


def smooth_step(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 at ``low``, 1 at ``high``, smooth between (``low`` may be above ``high``)."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def soft_fields(source: Source, topology: Topology, identity: Identity) -> dict[str, np.ndarray]:
    """Each (V,) in [0, 1], mirror-symmetric: how much a vertex of the mean head belongs to a part."""
    x, y, z = identity.mean.T
    ax = np.abs(x)
    eye = identity.eye_center[0]
    ex, ey = ax - eye[0], y - eye[1]
    head = topology.parts["head"].astype(float)

    def painted(name: str) -> np.ndarray:
        field = np.zeros(topology.count)
        field[: len(topology.base)] = source.painted(name)[topology.base]
        return (field + field[topology.mirror]) / 2 * head

    front = smooth_step(z, 25, 50)
    # A brow: an arch from beside the nose to beyond the outer corner, thick inside, thin outside.
    along = (ax - 10.0) / 44.0
    arch = (
        eye[1] + 18.5 + 5.5 * np.sin(np.clip(along, 0, 1) * np.pi * 0.62) - 4.0 * np.clip(along - 0.7, 0, 1) ** 1.2 * 6
    )
    thick = 5.6 - 3.2 * np.clip(along, 0, 1)
    brow = np.exp(-(((y - arch) / thick) ** 2)) * smooth_step(along, -0.08, 0.1) * smooth_step(along, 1.08, 0.85)
    scalp = smooth_step(_height_above_hairline(x, y, z), -5, 5)
    ears = painted("ears")
    lips = painted("lips")
    mouth_y = float((y * lips).sum() / lips.sum())
    neck = smooth_step(y, -78, -92) * smooth_step(z, 100, 50) + smooth_step(y, -40, -60) * smooth_step(z, 5, -15)
    neck = np.clip(np.maximum(neck, smooth_step(y, -96, -106)), 0, 1) * head
    nose_y = (y - mouth_y - 14) / (eye[1] - mouth_y - 14)
    nose = smooth_step(ax, 23 - 12 * np.clip(nose_y, 0, 1), 16 - 10 * np.clip(nose_y, 0, 1))
    nose = nose * smooth_step(nose_y, -0.05, 0.06) * smooth_step(nose_y, 1.12, 0.95) * smooth_step(z, 70, 82) * head
    beard = smooth_step(y, mouth_y + 16, mouth_y + 6) * front * head * (1 - lips)
    beard *= smooth_step(y, -104, -84)
    sides = smooth_step(ax, 44, 54) * smooth_step(y, eye[1] - 8, eye[1] - 40) * smooth_step(z, 15, 30)
    rim = topology.parts["eye_cavity_rim"]
    return {
        "head": head,
        "scalp_height": np.where(head * (1 - ears) > 0.5, _height_above_hairline(x, y, z), -50.0),
        "lashes": _next_to(topology, rim) * head * (1 - rim) * front,
        "lips": lips,
        "lids": painted("eyelids") * front,
        "lid_shade": np.exp(-((ex / 16) ** 2 + ((ey - 3) / 11) ** 2)) * front * head,
        "under_eye": np.exp(-((ex / 13) ** 2 + ((ey + 11) / 5) ** 2)) * front * head,
        "brows": np.clip(brow, 0, 1) * front * head,
        "ears": ears,
        "scalp": scalp * head * (1 - ears),
        "neck": neck,
        "nose": nose,
        "nose_tip": np.exp(-((x / 12) ** 2 + ((y - mouth_y - 26) / 12) ** 2)) * smooth_step(z, 88, 100) * head,
        "cheeks": np.exp(-(((ax - 40) / 16) ** 2 + ((y - (mouth_y + eye[1]) / 2 - 4) / 16) ** 2)) * front * head,
        "forehead": smooth_step(y, eye[1] + 24, eye[1] + 38) * front * head,
        "beard": np.clip(beard + 0.5 * sides * head * (1 - ears), 0, 1),
        "moustache": beard * smooth_step(y, mouth_y - 2, mouth_y + 4) * smooth_step(ax, 32, 24),
    }


def _height_above_hairline(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """(V,) About how many mm a vertex lies inside the hair's edge; negative on the face."""
    ax = np.abs(x)
    front = y - (88 - 20 * np.clip(ax / 70, 0, 1) ** 2)
    temple = np.minimum(14 - z, y + 25)  # behind the ears' front, above their lower end
    nape = np.minimum(-12 - z, y + 62)
    return np.maximum(front, np.maximum(temple, nape))


def _next_to(topology: Topology, mask: np.ndarray) -> np.ndarray:
    """(V,) bool: shares a quad with the mask."""
    near = np.zeros(topology.count, bool)
    near[topology.quads[mask[topology.quads].any(1)]] = True
    return near


def region_masks(topology: Topology, fields: dict[str, np.ndarray], identity: Identity) -> dict[str, np.ndarray]:
    """(V,) bool by the names of `REGIONS`."""
    x, y, z = identity.mean.T
    parts = topology.parts
    head = parts["head"]
    polar = np.full(topology.count, np.pi)
    for eye in topology.eye_vertices:
        polar[eye] = topology.eye_polar
    neck, ears = head & (fields["neck"] > 0.5), fields["ears"] > 0.5
    scalp = head & (fields["scalp"] > 0.5) & ~ears
    face = head & ~neck & ~ears & ~scalp & (z > 12)
    masks = {
        "face": face,
        "lips": head & (fields["lips"] > 0.5),
        "eyelids": head & (fields["lids"] > 0.35),
        "brows": face & (fields["brows"] > 0.4),
        "nose": face & (fields["nose"] > 0.5),
        "ears": ears,
        "scalp": scalp,
        "neck": neck,
        "eyes": parts["eyes"],
        "iris": polar < np.arcsin(IRIS_RADIUS / EYE_RADIUS),
        "pupil": polar < np.arcsin(PUPIL_RADIUS / EYE_RADIUS),
        "mouth_inside": parts["mouth_cavity"],
        "tongue": parts["tongue"],
        "teeth": parts["upper_teeth"] | parts["lower_teeth"],
        "skin": face & (y > -100),
    }
    return {name: masks[name] for name in REGIONS}
