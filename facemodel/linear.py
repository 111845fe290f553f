"""The linear model: vertices = mean + identity + expression, albedo = mean + reflectance."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from facemodel.base import (
    Block,
    Eyes,
    FaceModel,
    LandmarkEmbedding,
    Linearization,
    Reflectance,
    UVAtlas,
    combine,
)
from facemodel.combinations import Combinations, Constant
from facemodel.correspondence import Correspondence, Placement

if TYPE_CHECKING:
    from scipy import sparse

PARTS = ("lower", "upper", "mean", "std")  # of a block, beside its names


class LinearModel(FaceModel):
    """Identity, expression and reflectance are independent of each other, and each is a basis.

    What it's made of is a dictionary of tensors; those after the first four may be missing, and the capabilities with
    them:

    - ``mean`` (V, 3) mm, ``triangles`` (T, 3), ``identity_basis`` (I, V, 3) mm a standard deviation,
      ``expression_basis`` (E, V, 3) mm a unit;
    - ``albedo_mean`` (V, 3), ``albedo_basis`` (A, V, 3): linear RGB, 0 to 1, a standard deviation;
    - ``uv`` (U, 2), ``uv_triangles`` (T, 3);
    - ``eye_vertices_left``, ``eye_vertices_right`` (K,), ``eye_center_mean`` (2, 3) mm, ``eye_center_basis``
      (I, 2, 3), ``eye_radius_mean`` (2,), ``eye_radius_basis`` (I, 2);
    - ``region_masks`` (R, V) bool; ``landmark_triangles_<scheme>``, ``landmark_barycentric_<scheme>``,
      ``landmark_weights_<scheme>``;
    - ``correspondence_...`` of a model that the default one was registered to: see `correspondence`.
    """

    linear = True

    def __init__(
        self,
        tensors: dict[str, Tensor],
        *,
        name: str,
        fingerprint: str,
        license: str = "unknown",
        expression: Block,
        region_names: tuple[str, ...] = (),
        symmetric_atlas: bool = False,
        registered: str | None = None,
    ) -> None:
        """``tensors``: as in the class's description, shapes and indices checked by who read them.

        registered: the fingerprint of the default model that the correspondence in ``tensors`` is with.
        """
        super().__init__()
        self.name, self.license, self.fingerprint = name, license, fingerprint
        self.region_names, self.symmetric_atlas = tuple(region_names), symmetric_atlas
        self.registered = registered
        for key, value in tensors.items():
            kept = value.float() if value.is_floating_point() else value.long()
            self.register_buffer(key, value.bool() if key == "region_masks" else kept, persistent=False)
        schemes = (k.removeprefix("landmark_weights_") for k in tensors if k.startswith("landmark_weights_"))
        self._schemes = tuple(sorted(schemes))
        blocks = {"identity": Block.standard("identity", len(tensors["identity_basis"])), "expression": expression}
        if "albedo_basis" in tensors:
            blocks["reflectance"] = Block.standard("reflectance", len(tensors["albedo_basis"]))
        self._names: dict[str, tuple[str, ...]] = {}
        for block, value in blocks.items():
            self._add_block(block, value)

    def _add_block(self, name: str, block: Block) -> None:
        for part in PARTS:
            self.register_buffer(f"_{name}_{part}", getattr(block, part).float(), persistent=False)
        self._names[name] = block.names

    def _has(self, *names: str) -> bool:
        return all(name in self._buffers for name in names)

    @property
    def blocks(self) -> Mapping[str, Block]:
        return {b: Block(names, *(getattr(self, f"_{b}_{p}") for p in PARTS)) for b, names in self._names.items()}

    @property
    def expression_names(self) -> tuple[str, ...]:
        return self._names["expression"]

    @property
    def reflectance(self) -> Reflectance | None:
        return Reflectance(self.albedo_mean, self.albedo_basis) if self._has("albedo_mean", "albedo_basis") else None

    @property
    def eyes(self) -> Eyes | None:
        if not self._has("eye_vertices_left", "eye_vertices_right", "eye_center_mean", "eye_radius_mean"):
            return None
        return Eyes(
            (self.eye_vertices_left, self.eye_vertices_right), self.eye_center_mean, self.eye_center_basis,
            self.eye_radius_mean, self.eye_radius_basis,
        )  # fmt: skip

    @property
    def atlas(self) -> UVAtlas | None:
        return UVAtlas(self.uv, self.uv_triangles, self.symmetric_atlas) if self._has("uv", "uv_triangles") else None

    @property
    def regions(self) -> Mapping[str, Tensor]:
        return dict(zip(self.region_names, self.region_masks)) if self._has("region_masks") else {}

    @property
    def embeddings(self) -> Mapping[str, LandmarkEmbedding]:
        parts = [f.name for f in dataclasses.fields(LandmarkEmbedding)]
        return {s: LandmarkEmbedding(*(getattr(self, f"landmark_{part}_{s}") for part in parts)) for s in self._schemes}

    @property
    def correspondence(self) -> Correspondence | None:
        """With the default model, of a model that it was registered to at import."""
        if self.registered is None or not self._has("correspondence_registered"):
            return None
        sides = ([getattr(self, f"correspondence_{on}_{f.name}") for f in dataclasses.fields(Placement)]
                 for on in ("on_default", "on_model"))  # fmt: skip
        return Correspondence(self.registered, *(Placement(*parts) for parts in sides), self.correspondence_registered)

    def vertices(
        self,
        identity: Tensor | None = None,
        expression: Tensor | None = None,
        gaze: Tensor | None = None,
        joints: Tensor | None = None,
    ) -> Tensor:
        """See `FaceModel.vertices`. A linear model has no joints: (..., 0) at most."""
        vertices = self.mean
        if identity is not None:
            vertices = vertices + combine("identity", identity, self.identity_basis)
        if expression is not None:
            vertices = vertices + combine("expression", expression, self.expression_basis)
        return vertices if gaze is None else self.turn_eyes(vertices, identity, gaze)

    def linearize(self, identity: Tensor, expression: Tensor, joints: Tensor) -> Linearization:
        """See `FaceModel.linearize`."""
        joints = self.mean.new_zeros(0, *self.mean.shape)
        return Linearization(self.vertices(identity, expression), self.identity_basis, self.expression_basis, joints)

    def combinations(self, rows: sparse.csr_matrix) -> Combinations:
        """See `FaceModel.combinations`."""
        return Constant(rows, self.mean, self.identity_basis, self.expression_basis)

    def rebuilt(self, tensors: dict[str, Tensor], **changes) -> LinearModel:
        """A model of the same kind of these tensors; ``changes``: any of `about`."""
        made = type(self)(tensors, **(self.about() | changes))
        made.provenance = self.provenance
        return made

    def about(self) -> dict:
        """What it was made with beside its tensors."""
        return {
            "name": self.name,
            "license": self.license,
            "fingerprint": self.fingerprint,
            "expression": self.blocks["expression"],
            "region_names": self.region_names,
            "symmetric_atlas": self.symmetric_atlas,
            "registered": self.registered,
        }

    def flatten(self) -> dict[str, Tensor]:
        """What it was made of (the class's description), on the CPU."""
        named = self.named_buffers(remove_duplicate=False)  # texture triangles may be the triangles themselves
        return {k: v.cpu() for k, v in named if not k.startswith("_")}
