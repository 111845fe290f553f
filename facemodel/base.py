"""What a face model is to the rest of the project: named blocks of coefficients, a surface, and what else it offers.

A model has vertices that follow from identity, expression and, where it has joints, their rotations. Everything beyond
that is a capability (`CAPABILITIES`): who needs one asks for it (`FaceModel.require`), and a model that lacks it is
refused in a line that says what is missing and who has it. Millimetres; x to the subject's left, y up, z towards the
viewer; right-handed.

To add a model with a file format of its own, see `facemodel.formats`; one that isn't linear subclasses `FaceModel`.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from facemodel.arkit import ARKIT_NAMES
from facemodel.combinations import Combinations, Gathered
from facemodel.gaze import gaze_rotation
from facemodel.provenance import Provenance
from foundation.errors import PortraitError, unknown_name

if TYPE_CHECKING:
    from scipy import sparse

CAPABILITIES = {
    "reflectance": "a reflectance basis",
    "eyes": "eyeballs that turn",
    "atlas": "a UV atlas",
    "symmetric atlas": "a UV atlas that is mirror-symmetric about u = 0.5",
    "regions": "masks of the face's parts",
    "arkit": "expressions that have ARKit's names",
    "joints": "joints",
}
"""What a model may offer beside its surface, in words. Landmark schemes and regions are asked for by their names."""

PLAIN_SKIN = (0.48, 0.32, 0.25)
"""Linear RGB of the surface of a model without reflectance: the default model's mean skin, about."""


@dataclass(frozen=True)
class Block:
    """K named coefficients: what they may be, and what they are likely to be before a picture is seen."""

    names: tuple[str, ...]
    lower: Tensor  # (K,) bounds, -inf where there is none
    upper: Tensor  # (K,)
    mean: Tensor  # (K,) of the prior; an expression at rest
    std: Tensor  # (K,) of the prior

    @classmethod
    def standard(cls, prefix: str, count: int) -> Block:
        """Coefficients in standard deviations, without bounds: identity 0, identity 1, ..."""
        limit = torch.full((count,), torch.inf)
        names = tuple(f"{prefix} {k}" for k in range(count))
        return cls(names, -limit, limit, torch.zeros(count), torch.ones(count))

    @classmethod
    def activations(cls, names: tuple[str, ...], std: float = 0.45) -> Block:
        """Blend shapes from 0, at rest, to 1."""
        count = len(names)
        return cls(tuple(names), torch.zeros(count), torch.ones(count), torch.zeros(count), torch.full((count,), std))

    def __len__(self) -> int:
        return len(self.names)

    def clamp(self, values: Tensor) -> Tensor:
        """Values (..., K) within the bounds."""
        return torch.minimum(torch.maximum(values, self.lower.to(values)), self.upper.to(values))

    def index(self, name: str, kind: str = "coefficient") -> int:
        """Where a name stands, whatever the case of its letters; PortraitError with the nearest one otherwise."""
        found = {n.lower(): k for k, n in enumerate(self.names)}.get(name.strip().lower())
        if found is None:
            raise unknown_name(kind, name, self.names)
        return found

    def to(self, device: str | torch.device) -> Block:
        return Block(self.names, *(t.to(device) for t in (self.lower, self.upper, self.mean, self.std)))


@dataclass(frozen=True)
class Reflectance:
    """albedo = mean + basis, per vertex."""

    mean: Tensor  # (V, 3) linear RGB, 0 to 1
    basis: Tensor  # (A, V, 3) linear RGB a standard deviation


@dataclass(frozen=True)
class Eyes:
    """Two spheres that identity moves and scales and that gaze turns about their centres, the subject's left first."""

    vertices: tuple[Tensor, Tensor]  # indices (int64) of each one's vertices
    center_mean: Tensor  # (2, 3) mm
    center_basis: Tensor  # (I, 2, 3) mm a standard deviation
    radius_mean: Tensor  # (2,) mm
    radius_basis: Tensor  # (I, 2) mm a standard deviation


@dataclass(frozen=True)
class UVAtlas:
    """Texture coordinates, with seams: a vertex may have several."""

    coordinates: Tensor  # (U, 2) in [0, 1], v up
    triangles: Tensor  # (T, 3) int64 into them, in the order of the model's triangles
    symmetric: bool  # left and right of u = 0.5 are the subject's two sides


@dataclass(frozen=True)
class LandmarkEmbedding:
    """Where the L landmarks of a scheme are on the surface."""

    triangles: Tensor  # (L,) int64
    barycentric: Tensor  # (L, 3) weights of the triangle's corners
    weights: Tensor  # (L,) 0 to 1: how well each is tied to the surface; 0 is unreliable


@dataclass(frozen=True)
class Linearization:
    """A surface at a state, and its derivatives there: what Gauss-Newton needs."""

    vertices: Tensor  # (V, 3) mm
    identity: Tensor  # (I, V, 3) mm a unit
    expression: Tensor  # (E, V, 3)
    joints: Tensor  # (J, V, 3) mm a radian


class FaceModel(torch.nn.Module, ABC):
    """Methods take any leading dimensions, broadcast them, are differentiable and run where the model lies."""

    name: str
    license: str
    fingerprint: str
    """Of the model's content: tracks, weights and exports carry it."""
    provenance: Provenance | None = None
    """Of a model that was read from somebody else's file."""
    linear: bool = False
    """Whether the derivatives of `linearize` are the same in all states, so that they are asked for once."""
    mean: Tensor  # (V, 3) mm, the vertices with all coefficients at their prior's mean
    triangles: Tensor  # (T, 3) int64, counter-clockwise seen from outside

    # -- what every model has -------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def blocks(self) -> Mapping[str, Block]:
        """ "identity" and "expression", always; "reflectance" and "joints" where the model has them."""

    @abstractmethod
    def vertices(
        self,
        identity: Tensor | None = None,  # (..., I)
        expression: Tensor | None = None,  # (..., E)
        gaze: Tensor | None = None,  # (..., 2 eyes, 2) yaw, pitch in radians; of no effect without eyes
        joints: Tensor | None = None,  # (..., J) radians
    ) -> Tensor:
        """Vertex positions (..., V, 3), mm, model frame. None stands for the prior's mean."""

    def linearize(self, identity: Tensor, expression: Tensor, joints: Tensor) -> Linearization:
        """The surface with straight gaze at a state, (I,), (E,), (J,), and its derivatives.

        By forward differentiation of `vertices`; a model that knows them in closed form overrides this.
        """

        def surface(i: Tensor, e: Tensor, j: Tensor) -> Tensor:
            return self.vertices(i, e, None, j if len(j) else None)

        with torch.inference_mode(False):  # whose tensors can't be differentiated
            state = tuple(t.clone() for t in (identity, expression, joints))
            slopes = torch.func.jacfwd(surface, argnums=(0, 1, 2))(*state)
            return Linearization(surface(*state), *(s.movedim(-1, 0) for s in slopes))

    def combinations(self, rows: sparse.csr_matrix) -> Combinations:
        """What R fixed combinations (R, V) of the vertices are at a state; a model that needn't work out all its
        vertices for them overrides this."""
        return Gathered(self, rows)

    # -- what it may have -----------------------------------------------------------------------------------------

    @property
    def reflectance(self) -> Reflectance | None:
        return None

    @property
    def eyes(self) -> Eyes | None:
        return None

    @property
    def atlas(self) -> UVAtlas | None:
        return None

    @property
    def regions(self) -> Mapping[str, Tensor]:
        """Masks (V,) bool by name: face, lips, eyelids, brows, nose, ears, scalp, neck, eyes, iris, teeth, ..."""
        return {}

    @property
    def embeddings(self) -> Mapping[str, LandmarkEmbedding]:
        """By landmark scheme (`facemodel.landmark_schemes`)."""
        return {}

    @property
    def arkit(self) -> Mapping[str, int]:
        """Which expression coefficient has the meaning, and the range, of an ARKit blend shape, by its name."""
        return {n: k for k, n in enumerate(self.expression_names) if n in ARKIT_NAMES}

    @property
    def capabilities(self) -> frozenset[str]:
        """Those of `CAPABILITIES` that it has."""
        atlas = self.atlas
        has = {
            "reflectance": self.reflectance is not None,
            "eyes": self.eyes is not None,
            "atlas": atlas is not None,
            "symmetric atlas": atlas is not None and atlas.symmetric,
            "regions": bool(self.regions),
            "arkit": bool(self.arkit),
            "joints": "joints" in self.blocks,
        }
        return frozenset(name for name, there in has.items() if there)

    def require(self, capability: str, purpose: str) -> None:
        """PortraitError unless the model has it. ``purpose``: what needs it, as the sentence's subject."""
        if capability not in self.capabilities:
            raise PortraitError(
                f"model '{self.name}': {purpose} needs {CAPABILITIES[capability]}, which this model doesn't have; "
                "use the default model, or one that has it ('portrait model info MODEL' says)"
            )

    @property
    def own_identities(self) -> int:
        """How many of identity's coefficients are the model's own, the first; the rest it was given at its import, so
        that it can be who the default model is. Its statistics know nothing of those."""
        own = getattr(self.provenance, "own_identities", None)
        return self.count("identity") if own is None else own

    @property
    def driven(self) -> Tensor:
        """(J,) bool: which of the joints' numbers expressions add to."""
        return torch.zeros(self.count("joints"), dtype=torch.bool, device=self.mean.device)

    # -- what follows from these ----------------------------------------------------------------------------------

    @property
    def expression_names(self) -> tuple[str, ...]:
        return self.blocks["expression"].names

    def expression_index(self, name: str) -> int:
        """Index of an expression coefficient; PortraitError with the nearest name where there is none such."""
        return self.blocks["expression"].index(name, "expression")

    def count(self, block: str) -> int:
        """How many coefficients a block has; 0 where there is no such block."""
        found = self.blocks.get(block)
        return 0 if found is None else len(found)

    def region(self, name: str) -> Tensor:
        """Mask (V,) bool, empty where the model doesn't know that region."""
        found = self.regions.get(name)
        return torch.zeros(len(self.mean), dtype=torch.bool, device=self.mean.device) if found is None else found

    def embedding(self, scheme: str) -> LandmarkEmbedding:
        """PortraitError, listing those there are, where the model has no such landmarks."""
        found = self.embeddings
        if scheme not in found:
            there = ", ".join(sorted(found)) or "none"
            raise PortraitError(
                f"model '{self.name}': has no landmarks of scheme '{scheme}' (it has {there}); choose another detector"
            )
        return found[scheme]

    def albedo(self, reflectance: Tensor | None = None) -> Tensor:
        """Linear RGB (..., V, 3) of reflectance (..., A). Not clamped: far from the mean it may leave [0, 1].

        Of a model without reflectance: `PLAIN_SKIN`, and (..., 0) coefficients.
        """
        basis = self.reflectance
        if basis is None:
            plain = self.mean.new_tensor(PLAIN_SKIN).expand(len(self.mean), 3)
            return plain if reflectance is None else plain.expand(*reflectance.shape[:-1], *plain.shape)
        return basis.mean if reflectance is None else basis.mean + combine("reflectance", reflectance, basis.basis)

    def landmarks(
        self,
        vertices: Tensor,  # (..., V, 3) in any frame, or any attribute of the vertices
        scheme: str = "ibug68",
    ) -> Tensor:
        """Landmarks (..., L, 3): barycentric combinations of the vertices, in the vertices' frame."""
        embedding = self.embedding(scheme)
        corners = self.triangles[embedding.triangles]
        picked = vertices.index_select(-2, corners.flatten()).unflatten(-2, corners.shape)
        return (picked * embedding.barycentric[..., None]).sum(-2)

    def eye_centers(self, identity: Tensor | None = None) -> Tensor:
        """Centres (..., 2, 3) of the eyeballs, mm; PortraitError without eyes."""
        return self._of_eyes("center", "the place of the eyeballs", identity)

    def eye_radius(self, identity: Tensor | None = None) -> Tensor:
        """Radii (..., 2) of the eyeballs, mm; PortraitError without eyes."""
        return self._of_eyes("radius", "the size of the eyeballs", identity)

    def _of_eyes(self, what: str, purpose: str, identity: Tensor | None) -> Tensor:
        eyes = self.eyes
        if eyes is None:  # asked for a thousand times a second: all capabilities are only looked at to say it
            self.require("eyes", purpose)
        mean, basis = getattr(eyes, f"{what}_mean"), getattr(eyes, f"{what}_basis")
        return mean if identity is None else mean + combine("identity", identity, basis)

    def turn_eyes(self, vertices: Tensor, identity: Tensor | None, gaze: Tensor) -> Tensor:
        """Vertices (..., V, 3) with the eyeballs turned by gaze (..., 2, 2); as they are without eyes."""
        if gaze.shape[-2:] != (2, 2):
            raise PortraitError(f"gaze: expected shape (..., 2 eyes, 2 angles), got {tuple(gaze.shape)}")
        if self.eyes is None:
            return vertices
        batch = torch.broadcast_shapes(vertices.shape[:-2], gaze.shape[:-2])
        vertices = vertices.expand(*batch, *vertices.shape[-2:])
        rotation, centers = gaze_rotation(gaze), self.eye_centers(identity)
        for eye, index in enumerate(self.eyes.vertices):
            center = centers[..., eye, None, :]
            offset = vertices.index_select(-2, index) - center
            turned = center + offset @ rotation[..., eye, :, :].transpose(-1, -2)
            vertices = vertices.index_copy(-2, index, turned.expand(*batch, *turned.shape[-2:]))
        return vertices

    def on(self, device: str | torch.device) -> FaceModel:
        """This model where it lies on ``device``, else a copy there: a caller's own stays where it is."""
        here = torch.empty(0, device=device).device == self.mean.device  # "cuda" alone doesn't say which
        return self if here else copy.deepcopy(self).to(device)

    def extra_repr(self) -> str:
        counts = ", ".join(f"{len(block)} {name}" for name, block in self.blocks.items())
        return (
            f"{self.name} {self.fingerprint}: {len(self.mean)} vertices, {len(self.triangles)} triangles, {counts}; "
            f"{', '.join(sorted(self.capabilities)) or 'no capabilities'}"
        )


def combine(what: str, coefficients: Tensor, basis: Tensor) -> Tensor:
    """The sum (..., V, 3) of coefficients (..., K) times a basis (K, V, 3)."""
    if coefficients.dim() < 1 or coefficients.shape[-1] != basis.shape[0]:
        raise PortraitError(
            f"{what}: expected {basis.shape[0]} coefficients in the last dimension, "
            f"got shape {tuple(coefficients.shape)}; was it made with another model?"
        )
    return (coefficients @ basis.flatten(1)).unflatten(-1, basis.shape[1:])


class MadeWith(Protocol):
    """What remembers the model that it was made with: a track, the header of weights."""

    model: str  # its name
    fingerprint: str


def check_same_model(
    what: str, made_with: MadeWith, model: FaceModel, again: str = "fit the video again with this model"
) -> None:
    """PortraitError unless ``made_with`` was made with this model: the one check of fingerprints.

    Args:
        what: what it is, and what was done, as the start of the sentence: "source track: fitted".
        again: what to do otherwise.
    """
    if made_with.fingerprint != model.fingerprint:
        raise PortraitError(
            f"{what} with model '{made_with.model}' ({made_with.fingerprint}), but the model loaded is "
            f"'{model.name}' ({model.fingerprint}); {again}"
        )
