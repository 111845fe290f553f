"""ARKit's expressions carried over to ICT-FaceKit's mesh, beside ICT's own of the same names.

`benchmarks.models` calls it; alone: ``python -m benchmarks.model_bridge FaceXModel worst.png``, which also draws the
five that are least alike. The cosine is between all displacements of the face's vertices, in one vector each.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import torch

import facemodel
from facemodel.base import FaceModel
from facemodel.bridge.expressions import transfer
from facemodel.bridge.registration import register
from facemodel.importing import import_model
from facemodel.parameters import FaceParameters
from geometry.camera import Camera
from geometry.spherical_harmonics import C0
from renderer import render

WORST = 5
SIZE = 300  # px


def carried(model: FaceModel) -> dict[str, torch.Tensor]:
    """By name (V, 3) mm: the default model's expressions on a model that has expressions of the same names."""
    default = facemodel.load()
    names = [n for n in default.expression_names if n in model.arkit]
    return dict(zip(names, transfer(default, model, register(default, model), names)))


def cosines(model: FaceModel, moves: dict[str, torch.Tensor]) -> dict[str, float]:
    """By name, between what was carried over and the model's own."""
    face = model.region("face")
    found = {}
    for name, move in moves.items():
        own, ours = model.expression_basis[model.arkit[name]][face], move[face]
        found[name] = float((own * ours).sum() / (own.norm() * ours.norm()).clamp_min(1e-9))
    return found


def draw(model: FaceModel, moves: dict[str, torch.Tensor], alike: dict[str, float], path: Path) -> None:
    """The worst: ICT's own above, what was carried over below."""
    worst = sorted(alike, key=alike.get)[:WORST]
    rows = [[_picture(model, model.expression_basis[model.arkit[n]]) for n in worst],
            [_picture(model, moves[n]) for n in worst]]  # fmt: skip
    sheet = np.concatenate([np.concatenate(row, 1) for row in rows])
    for k, name in enumerate(worst):
        cv2.putText(sheet, f"{name} {alike[name]:.2f}", (k * SIZE + 6, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255,) * 3)
    cv2.imwrite(str(path), sheet[..., ::-1])


def _picture(model: FaceModel, move: torch.Tensor) -> np.ndarray:
    face = model.mean[model.region("face")]
    middle, high = face.mean(0), float(face[:, 1].max() - face[:, 1].min())
    camera = Camera(0.9 * SIZE * 1000 / high, SIZE, SIZE)
    light = torch.zeros(9, 3)
    light[0], light[1:4] = 0.5 / C0, torch.tensor([0.35, 0.4, 0.3])[:, None]
    p = FaceParameters.neutral(model, (), focal=float(camera.focal), distance=1000.0)
    p = p.replace(illumination=light, translation=torch.tensor([-float(middle[0]), float(middle[1]), 1000.0]))
    names, before = model.expression_names, model.expression_basis.clone()
    values = torch.zeros(len(names))
    values[0] = 1.0
    with torch.no_grad():
        model.expression_basis[0] = move
        drawn = render(model, p.replace(expression=values), camera, ("diffuse",), supersample=2)["diffuse"][0]
        model.expression_basis.copy_(before)
    return (drawn.clamp(0, 1) * 255).byte().numpy().copy()


def main() -> None:
    model = import_model(sys.argv[1])
    moves = carried(model)
    alike = cosines(model, moves)
    if len(sys.argv) > 2:
        draw(model, moves, alike, Path(sys.argv[2]))
    for name in sorted(alike, key=alike.get):
        print(f"{name:22}{alike[name]:.2f}")
    print(json.dumps({"arkit_cosine": round(float(np.median(list(alike.values()))), 4)}))


if __name__ == "__main__":
    main()
