"""How fast are our rasterisers against PyTorch3D's own, and do they give the same picture?

    python -m benchmarks.rasterizer

Draws the default head at 256 x 256 and 512 x 512 with both, in the same run, single pictures, and prints a table and
then one JSON line. Ours is timed through the public ``rasterize`` (tensor in, tensors out); PyTorch3D's is
``rasterize_meshes`` alone, its meshes made beforehand. The speed-up is of the median wall times;
``speedup_in_cpu_time`` is the same in CPU time. ``agreement`` is the share of pixels, of those that either covers,
with the same triangle; ``bary_max_error`` is the largest difference of a barycentric there.

Where there is a GPU, ``cuda`` has the same of the rasteriser in plain torch there: milliseconds for 128 heads at once.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table

import facemodel
from facemodel import FaceParameters
from renderer import Camera, Fragments, rasterize, render, to_camera

SIZES = (256, 512)
ROTATION = (0.1, 0.35, 0.05)  # radians: three quarters, so that nothing is symmetric to the pixels
FILL = 0.85  # of the picture's height
MANY = 128  # heads at once on a GPU


def milliseconds(call: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Median wall time and median CPU time of a call; the latter hardly depends on what else the machine does."""
    wall, cpu = [], []
    for _ in range(repeats):
        start, start_cpu = time.perf_counter(), time.process_time()
        call()
        wall.append(1e3 * (time.perf_counter() - start))
        cpu.append(1e3 * (time.process_time() - start_cpu))
    return statistics.median(wall), statistics.median(cpu)


def framing(model, size: int) -> tuple[FaceParameters, Camera]:
    """The mean head turned, and a camera that it fills."""
    distance = 800.0
    height = float(model.mean[:, 1].max() - model.mean[:, 1].min())
    focal = FILL * size * distance / height
    parameters = FaceParameters.neutral(model, (), focal=focal, distance=distance)
    middle = float(model.mean[:, 1].max() + model.mean[:, 1].min()) / 2
    translation = torch.tensor([0.0, middle, distance])
    return parameters.replace(rotation=torch.tensor(ROTATION), translation=translation), Camera(focal, size, size)


def pytorch3d_call(points: torch.Tensor, triangles: torch.Tensor, camera: Camera) -> Callable[[], Fragments]:
    """PyTorch3D's rasteriser with everything prepared, for pictures (N, V, 3) of the same triangles."""
    from pytorch3d.renderer.mesh.rasterize_meshes import rasterize_meshes
    from pytorch3d.structures import Meshes

    from renderer.rasterizers.pytorch3d import to_ndc

    meshes = Meshes(verts=to_ndc(points, camera), faces=triangles[None].expand(len(points), -1, -1))
    meshes.faces_packed()

    def call() -> Fragments:
        size = (camera.height, camera.width)
        return Fragments(*rasterize_meshes(meshes, size, 0.0, 1, perspective_correct=True)[:3])

    return call


def compare(ours: Fragments, theirs: Fragments) -> dict[str, float]:
    """Shares and largest differences; see the module."""
    same = ours.pix_to_face == theirs.pix_to_face
    both = same & (ours.pix_to_face >= 0)
    either = (ours.pix_to_face >= 0) | (theirs.pix_to_face >= 0)
    return {
        "agreement": float(same[either].double().mean()),
        "bary_max_error": float((ours.bary_coords - theirs.bary_coords)[both].abs().max()),
        "depth_max_error_mm": float((ours.zbuf - theirs.zbuf)[both].abs().max()),
        "covered_pixels": int(either.sum()),
    }


def measure(model, size: int) -> dict[str, float]:
    """Both rasterisers on one picture of the head."""
    parameters, camera = framing(model, size)
    points = to_camera(model.vertices(), parameters.rotation, parameters.translation)[None].contiguous()
    reference = pytorch3d_call(points, model.triangles, camera)
    theirs = reference()
    ours = rasterize(points, model.triangles, camera, rasterizer="numba")
    result = compare(ours, theirs)
    result["pytorch3d_ms"], slow = milliseconds(reference, 3 if size <= 256 else 1)
    result["ms"], fast = milliseconds(lambda: rasterize(points, model.triangles, camera, rasterizer="numba"), 100)
    result["speedup_vs_pytorch3d"] = result["pytorch3d_ms"] / result["ms"]
    result["speedup_in_cpu_time"] = slow / fast
    maps = ("diffuse", "correspondence", "eyes")
    render(model, parameters, camera, maps)
    result["three_maps_ms"] = milliseconds(lambda: render(model, parameters, camera, maps), 30)[0]
    return result


def many(model, device: str, count: int = MANY) -> dict[str, float]:
    """Heads turned by up to 60 degrees, on a GPU."""
    parameters, camera = framing(model, SIZES[0])
    turns = torch.tensor(ROTATION) + torch.linspace(-1, 1, count)[:, None] * torch.tensor([0.0, 1.0, 0.0])
    points = to_camera(model.vertices(), turns, parameters.translation).to(device).contiguous()
    triangles = model.triangles.to(device)
    reference = pytorch3d_call(points, triangles, camera)
    result = compare(rasterize(points, triangles, camera, "torch"), reference())
    for name, call in (
        ("ms", lambda: rasterize(points, triangles, camera, "torch")),
        ("pytorch3d_ms", reference),
    ):
        result[name] = milliseconds(lambda call=call: float(call().zbuf[0, 0, 0, 0]), 10)[0]  # waits for the device
    return result | {"heads": count, "speedup_vs_pytorch3d": result["pytorch3d_ms"] / result["ms"]}


def main() -> None:
    model = facemodel.load()
    start = time.perf_counter()
    rasterize(torch.rand(1, 3, 3) + 1, torch.tensor([[0, 1, 2]]), Camera(8.0, 8, 8), rasterizer="numba")
    first = time.perf_counter() - start
    with torch.no_grad():
        results = {size: measure(model, size) for size in SIZES}
    table = Table("size", "ours, ms", "PyTorch3D, ms", "times faster", "same triangle", "bary error", "3 maps, ms")
    for size, r in results.items():
        speed = f"{r['ms']:.2f}", f"{r['pytorch3d_ms']:.0f}", f"{r['speedup_vs_pytorch3d']:.0f}"
        quality = f"{100 * r['agreement']:.3f} %", f"{r['bary_max_error']:.1e}", f"{r['three_maps_ms']:.1f}"
        table.add_row(f"{size} x {size}", *speed, *quality)
    Console(width=100).print(table)
    cuda = many(model, "cuda") if torch.cuda.is_available() else None
    if cuda:
        print(f"on {torch.cuda.get_device_name(0)}, {MANY} heads of {SIZES[0]} x {SIZES[0]}: {json.dumps(cuda)}")
    facts = {"cuda": cuda, "model": model.name, "triangles": len(model.triangles), "first_call_s": round(first, 2)}
    print(json.dumps({**results[SIZES[0]], "at_512": results[512], **facts, "threads": torch.get_num_threads()}))


if __name__ == "__main__":
    main()
