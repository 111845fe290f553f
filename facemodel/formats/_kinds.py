"""What a model file says about a model beyond the first version of the format: joints, bilinear form, bounds, source.

Version 2's header has, beside version 1's facts: ``kind`` ("linear", "jointed", "bilinear"), ``expression`` (bounds,
mean and std of each coefficient; null is no bound), ``skeleton`` and ``joints`` of a jointed model, ``provenance`` of
an imported one, ``registered``: the fingerprint of the default model that its correspondence is with.
`facemodel.formats.default` writes and reads it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import torch
from torch import Tensor

from facemodel.base import Block
from facemodel.bilinear import BilinearModel
from facemodel.jointed import JointedModel, Skeleton
from facemodel.linear import LinearModel
from facemodel.provenance import Provenance

GROUPS: tuple[dict[str, tuple[str | int | None, ...]], ...] = (
    {
        "joint_mean": ("J", 3),
        "joint_identity_basis": ("I", "J", 3),
        "joint_expression_basis": ("E", "J", 3),
        "skinning_weights": ("V", "J"),
    },
    {"pose_correctives": ("9 C", "V", 3), "corrective_joints": ("C",)},
    {"joint_drive": ("E", "3 F")},
    {
        "core": ("rank 1", "rank 2", "rank 3"),
        "vertex_factor": ("rank 3", "V", 3),
        "identity_origin": ("rank 1",),
        "identity_directions": ("I", "rank 1"),
        "expression_origin": ("rank 2",),
        "expression_directions": ("E", "rank 2"),
    },
    {"added_mean": ("V", 3), "added_identity": ("I", "V", 3), "added_expression": ("E", "V", 3)},
    {
        "correspondence_on_default_triangles": ("V",),
        "correspondence_on_default_barycentric": ("V", 3),
        "correspondence_on_default_weights": ("V",),
        "correspondence_on_model_triangles": ("default V",),
        "correspondence_on_model_barycentric": ("default V", 3),
        "correspondence_on_model_weights": ("default V",),
        "correspondence_registered": ("default V", 3),
    },
)
"""Tensors of jointed and of bilinear models, and their shapes, as `facemodel.formats.default` has them."""

INDICES = {"corrective_joints": "J", "correspondence_on_model_triangles": "T"}


def facts_of(model: LinearModel) -> dict:
    """The header's facts, less format and version, of a model of any kind."""
    facts = {
        "name": model.name,
        "license": model.license,
        "sources": list(model.provenance.files) if model.provenance else [],
        "expression_names": list(model.expression_names),
        "region_names": list(model.region_names),
        "symmetric_atlas": model.symmetric_atlas,
        "kind": "linear",
        "expression": _numbers(model.blocks["expression"]),
    }
    if model.correspondence is not None:
        facts["registered"] = model.correspondence.fingerprint
    if model.provenance is not None:
        facts["provenance"] = dataclasses.asdict(model.provenance)
    if isinstance(model, BilinearModel):
        facts["kind"] = "bilinear"
    if isinstance(model, JointedModel):
        joints = model.blocks["joints"]
        facts |= {
            "kind": "jointed",
            "skeleton": dataclasses.asdict(model.skeleton),
            "joints": {"names": list(joints.names), **_numbers(joints)},
        }
    return facts


def build(tensors: dict[str, Tensor], facts: Mapping, fingerprint: str) -> LinearModel:
    """The model of a file's tensors, shapes and indices checked, and its facts.

    Raises:
        KeyError, TypeError, ValueError: the facts don't belong together.
    """
    about = {
        "name": facts["name"],
        "license": facts["license"],
        "fingerprint": fingerprint,
        "expression": _block(facts["expression_names"], facts["expression"]),
        "region_names": tuple(facts["region_names"]),
        "symmetric_atlas": bool(facts.get("symmetric_atlas", False)),
        "registered": None if facts.get("registered") is None else str(facts["registered"]),
    }
    jointed = "joint_mean" in tensors or "joint_drive" in tensors
    kind, has = facts["kind"], {"jointed": jointed, "bilinear": "core" in tensors}
    if kind not in ("linear", *has) or has != {k: k == kind for k in has}:
        raise ValueError(f"kind {kind!r} with other tensors")
    if kind == "jointed":
        skeleton = _skeleton(facts["skeleton"], len(tensors["joint_mean"]))
        joints = _block(facts["joints"]["names"], facts["joints"])
        if len(joints) != 3 * len(skeleton.free):
            raise ValueError(f"{len(joints)} angles of {len(skeleton.free)} joints")
        if "pose_correctives" in tensors and len(tensors["pose_correctives"]) != 9 * len(tensors["corrective_joints"]):
            raise ValueError("pose correctives of other joints")
        if "joint_drive" in tensors and tensors["joint_drive"].shape[1] != len(joints):
            raise ValueError("expressions that turn other joints")
        model = JointedModel(tensors, skeleton=skeleton, joints=joints, **about)
    else:
        model = (BilinearModel if kind == "bilinear" else LinearModel)(tensors, **about)
    if "provenance" in facts:
        said = facts["provenance"]
        lists = {k: tuple(str(x) for x in said.get(k, ())) for k in ("files", "notes", "carried")}
        counts = {k: said.get(k) for k in ("own_vertices", "own_expressions", "own_identities")}
        if any(n is not None and not isinstance(n, int) for n in counts.values()):
            raise ValueError("counts that aren't numbers")
        model.provenance = Provenance(**{k: str(said[k]) for k in ("format", "sha256", "unit")}, **lists, **counts)
    return model


def _numbers(block: Block) -> dict[str, list[float | None]]:
    parts = ("lower", "upper", "mean", "std")
    return {p: [x if abs(x) != float("inf") else None for x in getattr(block, p).tolist()] for p in parts}


def _block(names: list[str], numbers: Mapping) -> Block:
    ends = {"lower": -float("inf"), "upper": float("inf"), "mean": 0.0, "std": 1.0}
    values = {p: torch.tensor([end if x is None else float(x) for x in numbers[p]]) for p, end in ends.items()}
    if any(len(v) != len(names) for v in values.values()):
        raise ValueError("bounds of other coefficients")
    return Block(tuple(str(n) for n in names), **values)


def _skeleton(said: Mapping, count: int) -> Skeleton:
    parents = tuple(int(p) for p in said["parents"])
    eyes = None if said["eyes"] is None else tuple(int(e) for e in said["eyes"])
    chained = parents[:1] == (-1,) and all(0 <= p < k for k, p in enumerate(parents) if k)
    if not chained or len(parents) != count or len(said["names"]) != count:
        raise ValueError("joints that don't hang from each other")
    if eyes is not None and (len(eyes) != 2 or not all(0 < e < count for e in eyes)):
        raise ValueError("eyes that aren't joints")
    return Skeleton(tuple(str(n) for n in said["names"]), parents, eyes)
