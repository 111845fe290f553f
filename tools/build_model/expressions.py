"""The 52 expression shapes: MakeHuman's face units at the mean head, corrected where the eyes and tongue need it.

What differs from the files: eyeballs stay (gaze turns them); left and right shapes mirror each other exactly; the lids'
rims never enter the balls; the blinks close fully; the tongue lies lower in the open mouth. As in ARKit, mouthClose is
relative to jawOpen: with both at 1 the lips are closed over an open jaw, and mouthClose alone makes no sense.
"""

from __future__ import annotations

import numpy as np

from facemodel.arkit import ARKIT_NAMES
from tools.build_model.eyelids import FLIP, close_lids, fit_shape
from tools.build_model.identity import Identity
from tools.build_model.source import Source
from tools.build_model.topology import Topology

TONGUE_FALLS = np.array([0.0, -9.0, -3.0])  # mm, with jawOpen, besides what the jaw does
LIDS_RISE = 1.7  # MakeHuman's eyeLookUp goes with 10 degrees of gaze, ours with 30


def mirrored_name(name: str) -> str:
    """The shape that a shape becomes in a mirror: eyeBlinkLeft -> eyeBlinkRight, jawOpen -> jawOpen."""
    if name.endswith("Left"):
        return name[:-4] + "Right"
    return name[:-5] + "Left" if name.endswith("Right") else name


def read_expressions(source: Source, topology: Topology) -> dict[str, np.ndarray]:
    """(V, 3) mm a unit, by name, as in the files but exactly mirror-symmetric."""
    raw = {}
    for name in ARKIT_NAMES:
        raw[name] = np.zeros((topology.count, 3))
        raw[name][: len(topology.base)] = source.face_unit(name)[topology.base]
    return {n: (raw[n] + raw[mirrored_name(n)][topology.mirror] * FLIP) / 2 for n in ARKIT_NAMES}


def build_expressions(raw: dict[str, np.ndarray], topology: Topology, identity: Identity) -> np.ndarray:
    """(52, V, 3) mm a unit, in ARKit's order."""
    shapes = dict(raw)
    blink = close_lids(raw["eyeBlinkLeft"], topology, identity)
    shapes["eyeBlinkLeft"], shapes["eyeBlinkRight"] = blink, blink[topology.mirror] * FLIP
    for name in ARKIT_NAMES:
        if name.startswith(("eye", "brow", "cheek", "nose")) and "Blink" not in name:
            shapes[name] = fit_shape(shapes[name], topology, identity)
    for side in ("Left", "Right"):
        shapes[f"eyeLookUp{side}"] = shapes[f"eyeLookUp{side}"] * LIDS_RISE
    tongue = topology.parts["tongue"]
    forward = np.clip((identity.mean[tongue, 2] - 25) / 60, 0, 1)[:, None]
    shapes["jawOpen"] = shapes["jawOpen"].copy()
    shapes["jawOpen"][tongue] += TONGUE_FALLS * forward
    for eye in topology.eye_vertices:
        for shape in shapes.values():
            shape[eye] = 0.0
    return np.stack([shapes[n] for n in ARKIT_NAMES])
