"""How well textures are completed: the network, trained here, against what needs no training.

    python -m benchmarks.completion --minutes 60 --people 2000 --size 128 --sheet completion.png

Identities that the training never saw are drawn at yaws from 0 to 90 degrees; the picture is unwrapped, and what the
camera didn't see is filled. PSNR and SSIM against the person's own texture under the same light, in sRGB of 255, are
taken inside the holes and over the whole skin, means over pictures; visible texels are pasted back in all methods.
``--clips`` does the same with real faces, against other frames of the same clip (``benchmarks.completion_real``).
The last line is one JSON object; ``gain_db`` is PSNR in the holes at 45 degrees and more, ours less the best other's.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import torch
from torch import Tensor

import facemodel
from benchmarks.completion_real import evaluate_clips
from benchmarks.image_metrics import psnr, ssim_map
from benchmarks.sheets import save_sheet
from fitting.texture import sight
from neural_render.training import run
from neural_render.uv_gan.filling import blend_weight, mirror_fill
from neural_render.uv_gan.samples import lit_texture, synthetic_set
from neural_render.uv_gan.settings import Settings
from neural_render.uv_gan.trainer import UVTrainer
from neural_render.uv_gan.weights import CompletionWeights, complete
from renderer import (
    Sight,
    extend,
    linear_to_srgb,
    main_island,
    render_textured,
    srgb_to_linear,
    surface_points,
    to_uint8,
    unwrap_view,
)
from synthetic import Person, Shot, SkinAtlas, frame_shot, make_person

YAWS = (0, 15, 30, 45, 60, 75, 90)
STRANGERS = 1_000_003  # seed of the people that are tested with; trainings have others
PICTURE = 384  # px a side of the picture that is unwrapped
FAR = 45
OURS = "network"


def observe(model, person: Person, shot: Shot, island: Tensor) -> tuple[np.ndarray, np.ndarray, Tensor]:
    """The truth (S, S, 3) uint8, and what a picture shows of it, (S, S, 3) uint8, with a weight (S, S) 0 to 1."""
    truth, _ = lit_texture(model, person, shot, island)
    parameters, camera = frame_shot(model, person, shot, PICTURE)
    picture, alpha = render_textured(model, parameters, camera, person.albedo)
    photograph = to_uint8(picture * alpha)[0]
    view = unwrap_view(
        photograph, surface_points(model, parameters), model, camera, (len(island), len(island)), Sight(grazing=80.0)
    )
    weight = blend_weight(sight(model, view), island)
    return truth.numpy(), to_uint8(view.texture).numpy(), weight


def mean_of(network) -> np.ndarray:
    """(S, S, 3) uint8: the mean texture of the network's training set."""
    return ((network.mean[0].movedim(0, -1) + 1) * 127.5).round().to(torch.uint8).numpy()


def methods(network, mean: np.ndarray) -> dict[str, Callable[[np.ndarray, Tensor], np.ndarray]]:
    """Functions of what is seen (S, S, 3) uint8 and its weight to a whole texture, by name. mean: (S, S, 3) uint8."""

    def linear(picture: np.ndarray) -> Tensor:
        return srgb_to_linear(torch.from_numpy(picture).float() / 255)

    def to_bytes(texture: Tensor) -> np.ndarray:
        return to_uint8(linear_to_srgb(texture.clamp(0, 1))).numpy()

    def mirror(seen: np.ndarray, weight: Tensor) -> np.ndarray:
        return np.where(weight.flip(1).numpy()[..., None] > 0.5, seen[:, ::-1], mean)

    def inpaint(way: int) -> Callable[[np.ndarray, Tensor], np.ndarray]:
        def fill(seen: np.ndarray, weight: Tensor) -> np.ndarray:
            # OpenCV looks at what a hole holds beside its border: the nearest known colour does it no harm.
            nearest = extend(torch.from_numpy(seen), weight >= 0.5).numpy()
            return cv2.inpaint(nearest, (weight.numpy() < 0.5).astype(np.uint8), 3, way)

        return fill

    return {
        "mean": lambda seen, weight: mean,
        "mirror": mirror,
        "mirror, toned": lambda seen, weight: to_bytes(mirror_fill(linear(seen), weight, linear(mean))),
        "Telea": inpaint(cv2.INPAINT_TELEA),
        "Navier-Stokes": inpaint(cv2.INPAINT_NS),
        OURS: lambda seen, weight: to_bytes(complete(network, linear(seen), weight, linear(mean))),
    }


def score(made: np.ndarray, truth: np.ndarray, hole: np.ndarray, island: np.ndarray) -> dict[str, float]:
    """PSNR and SSIM in the holes and over the skin."""
    similar = ssim_map(made, truth)
    return {
        "hole_psnr": psnr(made, truth, hole),
        "hole_ssim": float(similar[hole].mean()),
        "skin_psnr": psnr(made, truth, island),
        "skin_ssim": float(similar[island].mean()),
    }


def evaluate(model, network, people: int, sheet: Path | None) -> dict[int, dict[str, dict[str, float]]]:
    """Mean scores by yaw and method."""
    size = network.size
    atlas, island = SkinAtlas.of(model, size), main_island(model, size)
    skin = island.numpy()
    filling, rows, pictures = methods(network, mean_of(network)), {}, []
    for number in range(people):
        person = make_person(model, atlas, STRANGERS, number)
        draw = np.random.default_rng([STRANGERS, number])
        for k, yaw in enumerate(YAWS):
            light, expression = (int(s) for s in draw.integers(1, 2**31, 2))
            side = 1 if (number + k) % 2 else -1
            shot = Shot(side * yaw, draw.uniform(-10, 10), draw.uniform(-5, 5), light, expression, 2.5)
            truth, seen, weight = observe(model, person, shot, island)
            hole = skin & (weight.numpy() < 0.5)
            kept = weight.numpy()[..., None] * skin[..., None]
            shown = []
            for name, fill in filling.items():
                made = fill(seen, weight)
                made = (kept * seen + (1 - kept) * made).round().astype(np.uint8)
                made = np.where(skin[..., None], made, truth)
                rows.setdefault((yaw, name), []).append(score(made, truth, hole, skin))
                shown.append(made)
            if number < 2 and yaw in (15, 45, 75):
                pictures += [np.where(hole[..., None], 0, truth), *shown, truth]
    if sheet:
        save_sheet(sheet, pictures, columns=len(filling) + 2, height=max(128, size))
    table: dict[int, dict[str, dict[str, float]]] = {}
    for (yaw, name), scores in rows.items():
        table.setdefault(yaw, {})[name] = {k: float(np.mean([s[k] for s in scores])) for k in scores[0]}
    return table


def gain(table: dict[int, dict[str, dict[str, float]]]) -> tuple[float, str]:
    """PSNR in holes at ``FAR`` degrees and more, ours less the best other method's, and which that is."""
    far = [row for yaw, row in table.items() if yaw >= FAR]
    level = {name: float(np.mean([row[name]["hole_psnr"] for row in far])) for name in far[0]}
    ours = level.pop(OURS)
    best = max(level, key=level.get)
    return ours - level[best], best


def on_clips(model, network, clips: list[Path], sheet: Path | None) -> dict[str, dict[str, dict[str, float]]]:
    """Scores on real clips by turn and method (``benchmarks.completion_real``); prints those in the holes."""
    filling = methods(network, mean_of(network))
    table, pictures = evaluate_clips(model, clips, filling, network.size, score)
    if sheet:
        save_sheet(sheet.with_stem(f"{sheet.stem}-real"), pictures, len(filling) + 2, height=max(128, network.size))
    show(table, ("hole_psnr", "hole_ssim"))
    return table


def show(table: dict, measures: tuple[str, ...]) -> None:
    """Prints scores by yaw and method."""
    for measure in measures:
        print(f"{measure:14}" + "".join(f"{yaw!s:>9}" for yaw in table))
        for name in next(iter(table.values())):
            print(f"  {name:14}" + "".join(f"{row[name][measure]:9.3f}" for row in table.values()), flush=True)


def trained(model, arguments) -> tuple[torch.nn.Module, dict]:
    """The generator, trained here on people who don't exist, or read from a file."""
    if arguments.weights:
        weights = CompletionWeights.load(arguments.weights, model)
        return weights.network(), {"weights": arguments.weights.name, "steps": weights.header.steps}
    data = synthetic_set(model, arguments.people, arguments.size)
    settings = Settings(size=arguments.size, width=arguments.width)
    trainer = UVTrainer(settings, data, arguments.device)
    with TemporaryDirectory() as folder:
        run(trainer, Path(folder) / "checkpoint.safetensors", seconds=60 * arguments.minutes)
    facts = {"people": arguments.people, "minutes": trainer.seconds / 60, "steps": trainer.step}
    return trainer.averages["generator"].cpu().eval(), facts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20.0, help="of training")
    parser.add_argument("--people", type=int, default=1000, help="synthetic ones, to train on")
    parser.add_argument("--size", type=int, default=128, help="texels a side")
    parser.add_argument("--width", type=int, default=32, help="channels of the network's first layer")
    parser.add_argument("--weights", type=Path, help="of 'portrait uv-train --synthetic', in place of a training")
    parser.add_argument("--test-people", type=int, default=40, help="people to test with")
    parser.add_argument("--sheet", type=Path, help="PNG of examples")
    parser.add_argument("--clips", type=Path, nargs="*", default=[], help="real ones, one person each")
    parser.add_argument("--device", default="cpu", help="to train on")
    arguments = parser.parse_args()
    model = facemodel.load()
    network, facts = trained(model, arguments)
    table = evaluate(model, network, arguments.test_people, arguments.sheet)
    show(table, ("hole_psnr", "hole_ssim", "skin_psnr", "skin_ssim"))
    better, best = gain(table)
    real = on_clips(model, network, arguments.clips, arguments.sheet) if arguments.clips else None
    figures = {"yaw": {str(y): row for y, row in table.items()}, "size": network.size, "real": real, **facts}
    print(json.dumps({"gain_db": better, "best_other": best, "test_people": arguments.test_people, **figures}))


if __name__ == "__main__":
    main()
