"""The benchmark's faults as the mask network sees them: what it finds of a drawn hand and of a shadow.

    python -m tools.train_mask.faults [--weights FILE] [--people 16]

Prints one JSON object, over all pixels of all faces: overlap (intersection over union) of the hand and of the shadow,
and the shares of clean faces that are taken for either.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

import facemodel
from benchmarks.faults import DARK, PICTURE_FAULTS
from fitting.landmarks.base import SQUARE, Face, square_crop
from fitting.observation.crop import cut_out
from fitting.occlusion.network import PARTS, SIZE, WEIGHTS, MaskNet
from synthetic import make_scene
from tools.train_mask.augmentation import GAMMA
from tools.train_mask.pictures import face_alpha
from tools.train_mask.train import overlap

CROP = 256  # px, the largest level that is cut out


@dataclass(frozen=True)
class Spoiled:
    """The square about one face."""

    picture: Tensor  # (SIZE, SIZE, 3), as the level of an observation has it
    face: Tensor  # (SIZE, SIZE) bool, what isn't hidden of it too
    fault: Tensor  # (SIZE, SIZE) bool, where a hand or a shadow is; nowhere without a fault


def spoiled(model, seed: int, name: str | None, size: int = 512) -> Spoiled:
    """Person ``seed`` of the benchmark with the fault ``name`` of `PICTURE_FAULTS`, in a picture of ``size`` px."""
    where = np.zeros((size, size))

    def fault(pictures: np.ndarray, scene, g) -> np.ndarray:
        out = PICTURE_FAULTS[name](pictures, scene, g)
        if name == "shadow":
            left = (out[0].max(-1) / np.maximum(pictures[0].max(-1), 1e-4)) ** GAMMA
            where[:] = left < (1 + DARK) / 2
        else:
            where[:] = np.abs(out[0] - pictures[0]).max(-1) > 1e-3
        return out

    scene = make_scene(model, seed, 1, size, fault if name else None)
    face = Face(scene.landmarks[0], "mediapipe478", 1.0)
    cut = lambda picture: square_crop(picture, face.centre, face.size * SQUARE, CROP)  # noqa: E731
    small = lambda a: torch.from_numpy(cv2.resize(cut(a), (SIZE, SIZE), interpolation=cv2.INTER_AREA) > 0.5)  # noqa: E731
    alpha = face_alpha(model, scene.truth, scene.camera).numpy()
    level = cut_out(scene.pictures[0], face, CROP).observe((SIZE,)).levels[SIZE]
    return Spoiled(level.stack[0, :3].permute(1, 2, 0), small(alpha), small(where))


def within(net: MaskNet, some: list[Spoiled]) -> tuple[Tensor, Tensor]:
    """Over all pixels of these people's faces: which of `PARTS` is found (P,), and where their fault is (P,) bool."""
    face = torch.stack([s.face for s in some])
    with torch.inference_mode():
        found = net(torch.stack([s.picture for s in some]).permute(0, 3, 1, 2)).argmax(1)
    return found[face], torch.stack([s.fault for s in some])[face]


def measure(model, net: MaskNet, seeds: range, size: int = 512) -> dict[str, float]:
    """See above."""
    clean, _ = within(net, [spoiled(model, k, None, size) for k in seeds])
    out = {}
    for name, part in (("occluder", PARTS.index("other")), ("shadow", PARTS.index("shadow"))):
        found, fault = within(net, [spoiled(model, k, name, size) for k in seeds])
        out[name] = overlap(found == part, fault)
        out[f"false {name}"] = float((clean == part).float().mean())
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--people", type=int, default=16)
    options = parser.parse_args()
    torch.set_num_threads(1)
    net = MaskNet()
    net.load_state_dict({name: v.float() for name, v in load_file(options.weights).items()})
    print(json.dumps(measure(facemodel.load(), net.eval(), range(options.people))))


if __name__ == "__main__":
    main()
