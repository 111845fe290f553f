"""Makes the README's pictures from what `make demo` left and from the default model.

python -m tools.readme_pictures [demo]
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import torch

import facemodel
import fitting
from facemodel import FaceParameters, Track
from fitting.landmarks.base import square_crop
from portrait.video import VideoReader
from portrait.video.sample import carphone
from renderer import Camera, render

OUT = Path(__file__).parent.parent / "docs" / "images"
TILE = 240


def chosen_frames(path: Path, indices: list[int]) -> list[np.ndarray]:
    wanted = set(indices)
    return [frame for k, _, frame in VideoReader(path) if k in wanted]


def grid(rows: list[list[np.ndarray]]) -> np.ndarray:
    return np.concatenate([np.concatenate(row, 1) for row in rows], 0)


def write(name: str, picture: np.ndarray) -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(OUT / name), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
    print(f"{OUT / name}: {picture.shape[1]} x {picture.shape[0]}")


def face_tiles(picture: np.ndarray, track: Track, k: int, model) -> tuple[np.ndarray, np.ndarray]:
    """The face of frame ``k``, and the fitted model drawn over it."""
    points = track.landmarks[k].numpy()
    centre, side = (points.min(0) + points.max(0)) / 2, 1.45 * float((points.max(0) - points.min(0)).max())
    p = track.parameters[k].expanded().map(lambda t: t[None])
    scale = TILE / side
    middle = (np.array([track.width, track.height]) / 2 - (centre - side / 2)) * scale
    camera = Camera(float(p.focal) * scale, TILE, TILE, cx=float(middle[0]), cy=float(middle[1]))
    drawn = render(model, p, camera, maps=("diffuse", "mask"), supersample=2)
    tile = square_crop(picture, centre, side, TILE)
    mask = drawn["mask"][0].numpy()
    shown = drawn["diffuse"][0].clamp(0, 1).numpy() * 255
    return tile, (tile * (1 - mask) + shown * mask).astype(np.uint8)


def overlays(model, demo: Path) -> np.ndarray:
    from skimage.data import astronaut

    track = Track.load(demo / "work" / "target.track", model)
    indices = [5, 30, 60, 85, 110]
    tiles = [face_tiles(f, track, k, model) for k, f in zip(indices, chosen_frames(carphone(), indices))]
    picture = astronaut()
    tiles.append(face_tiles(picture, fitting.fit_image(picture, model=model), 0, model))
    return grid([[a for a, _ in tiles], [b for _, b in tiles]])


def shadows(model) -> np.ndarray:
    """A photograph with a shadow drawn over a half of it, twice, each beside its fit in the light that's left."""
    from skimage.data import astronaut

    picture, tiles = astronaut().astype(np.float32), []
    for dark in (np.s_[:, 225:], np.s_[130:]):
        shaded = picture.copy()
        shaded[dark] *= 0.25 ** (1 / 2.2)
        shaded = shaded.astype(np.uint8)
        tiles += face_tiles(shaded, fitting.fit_image(shaded, model=model), 0, model)
    return grid([tiles])


def people(model) -> np.ndarray:
    """A row of random people, a row of expressions of the mean face."""
    generator = torch.Generator().manual_seed(7)
    count = 6
    base = FaceParameters.neutral(model, (count,), focal=1500.0, distance=1800.0)
    light = base.illumination.clone()
    light[:, 1:4] += torch.tensor([0.25, 0.6, 0.35])[:, None]
    turn = torch.zeros(count, 3)
    turn[:, 1] = torch.linspace(-0.5, 0.5, count)
    random = base.replace(
        illumination=light,
        rotation=turn,
        identity=torch.randn(base.identity.shape, generator=generator),
        reflectance=0.8 * torch.randn(base.reflectance.shape, generator=generator),
    )
    expression, gaze = torch.zeros_like(base.expression), torch.zeros_like(base.gaze)
    shapes = (
        {"jawOpen": 0.8},
        {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0},
        {"mouthSmileLeft": 0.9, "mouthSmileRight": 0.9, "cheekSquintLeft": 0.5, "cheekSquintRight": 0.5},
        {"mouthPucker": 0.9, "browInnerUp": 0.8},
        {"browDownLeft": 1.0, "browDownRight": 1.0, "noseSneerLeft": 0.7, "noseSneerRight": 0.7},
        {"eyeWideLeft": 0.6, "eyeWideRight": 0.6},
    )
    for k, values in enumerate(shapes):
        for name, value in values.items():
            expression[k, model.expression_index(name)] = value
    gaze[5] = torch.tensor([0.45, 0.1])
    posed = base.replace(illumination=light, expression=expression, gaze=gaze)
    camera = Camera(1500.0, TILE, TILE, cy=TILE * 0.46)
    rows = []
    for p in (random, posed):
        drawn = render(model, p, camera, maps=("diffuse", "mask"), supersample=2)
        back = 0.93 * (1 - drawn["mask"])
        rows.append(list(((drawn["diffuse"].clamp(0, 1) + back).clamp(0, 1) * 255).byte().numpy()))
    return grid(rows)


def main() -> None:
    demo = Path(sys.argv[1] if len(sys.argv) > 1 else "demo")
    model = facemodel.load()
    with torch.inference_mode():
        write("model.jpg", people(model))
        write("shadows.jpg", shadows(model))
        if (demo / "comparison.mp4").is_file():
            write("overlays.jpg", overlays(model, demo))
            rows = chosen_frames(demo / "comparison.mp4", [10, 75, 150, 200])
            write("comparison.jpg", grid([[cv2.resize(r, None, fx=0.75, fy=0.75)] for r in rows]))
        else:
            print(f"no {demo}/comparison.mp4: run 'make demo' first for the other pictures")


if __name__ == "__main__":
    main()
