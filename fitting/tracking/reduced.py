"""What a fit solves for, where a model has more coefficients than a face in a picture tells apart.

Enters a model; leaves the same surface with fewer coefficients, and the way from its parameters to the model's own.

- Statistical models have a hundred signed expressions or more (FLAME), of which the last move a face by hundredths of a
  millimetre, and a solver's step costs by the square of how many there are. Those that have a name of ARKit's, a bound
  that means something or a rest that isn't zero stay as they are. The others are exchanged for their principal
  directions on the face, as their prior has them, as far as these move it at all; what is left stays at rest.
- Of identity, what a model was given at its import (`FaceModel.own_identities`) is for tracks that are carried over:
  its own statistics say what people are like.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from facemodel.base import Block, FaceModel
from facemodel.linear import LinearModel
from facemodel.parameters import FaceParameters
from facemodel.recombination import recombined


@dataclass(frozen=True, eq=False)
class Reduced:
    """A model as a fit has it."""

    model: FaceModel  # with K expressions
    whole: FaceModel  # with E of them, and at least as many identities
    sums: Tensor | None = None  # (K, E): what a unit of each is of the whole model's; None: they are the same

    def identity(self, values: Tensor, rest: float = 0.0) -> Tensor:
        """(..., I) of the whole model, of those that are solved for; the others are ``rest``."""
        more = self.whole.count("identity") - values.shape[-1]
        return torch.nn.functional.pad(values, (0, more), value=rest) if more else values

    def expression(self, values: Tensor) -> Tensor:
        """(..., E) of the whole model, of (..., K)."""
        return values if self.sums is None else self.whole.blocks["expression"].clamp(values @ self.sums.to(values))

    def expression_spread(self, stds: Tensor) -> Tensor:
        """Standard deviations (..., E), of (..., K) that are independent; what isn't solved for has its prior's."""
        if self.sums is None:
            return stds
        sums, prior, own = (x.to(stds) for x in (self.sums.square(), *(m.blocks["expression"].std for m in self._both)))
        left = (prior.square() - own.square() @ sums).clamp_min(0)
        return (stds.square() @ sums + left).sqrt()

    def spread(self, stds: dict[str, Tensor]) -> dict[str, Tensor]:
        """The whole model's, by parameter; 0 of what isn't solved for of identity."""
        own = {"identity": self.identity(stds["identity"]), "expression": self.expression_spread(stds["expression"])}
        return stds | own

    @property
    def _both(self) -> tuple[FaceModel, FaceModel]:
        return self.whole, self.model

    def parameters(self, p: FaceParameters) -> FaceParameters:
        """The whole model's, of the same face."""
        return p.replace(identity=self.identity(p.identity), expression=self.expression(p.expression))

    def part(self, p: FaceParameters) -> FaceParameters:
        """What comes nearest to a face of the whole model, of whom nothing is left out."""
        if self.sums is None:
            return p
        nearest = p.expression @ torch.linalg.pinv(self.sums).to(p.expression)
        return p.replace(expression=self.model.blocks["expression"].clamp(nearest))


@lru_cache(maxsize=2)
def reduced(model: FaceModel, least: float, anybody: bool = False) -> Reduced:
    """A model as a fit has it.

    Args:
        least: mm, rms over the face, that a direction moves it at one standard deviation.
        anybody: with all of identity's coefficients: of a person who is known already.
    """
    if not isinstance(model, LinearModel):
        return Reduced(model, model)
    with torch.inference_mode(False):  # else it could be used nowhere else
        identities = model.count("identity") if anybody else model.own_identities
        block, sums = _directions(model, least)
        if sums is None and identities == model.count("identity"):
            return Reduced(model, model)
        return Reduced(recombined(model, identities, block, sums), model, sums)


def statistical(model: FaceModel) -> Tensor:
    """(E,) bool: expressions that are mere components: signed alike both ways from zero, without a name of ARKit's."""
    block = model.blocks["expression"]
    named = torch.zeros(len(block), dtype=torch.bool, device=block.mean.device)
    named[list(model.arkit.values())] = True
    return (block.lower == -block.upper) & (block.mean == 0) & ~named


def _directions(model: LinearModel, least: float) -> tuple[Block, Tensor | None]:
    """The expressions that are solved for, and what they are of the model's own, (K, E)."""
    block, free = model.blocks["expression"].to("cpu"), statistical(model).cpu()
    if not free.any():
        return block, None
    at, others = free.nonzero().flatten(), (~free).nonzero().flatten()
    std, face = block.std[at].double(), model.region("face").cpu()
    moves = model.expression_basis.cpu()[at][:, face if face.any() else torch.ones_like(face)].flatten(1).double()
    moves = std[:, None] * moves
    squares, ways = torch.linalg.eigh(moves @ moves.T * (3 / moves.shape[1]))
    kept = squares > least**2
    if kept.all():
        return block, None
    ways = (ways[:, kept].T * std).flip(0)  # a standard deviation each, the widest first
    sums = ways.new_zeros(len(others) + len(ways), len(block))
    sums[torch.arange(len(others)), others] = 1
    sums[len(others) :, at] = ways
    found = Block.standard("direction", len(ways))
    bound = torch.full((len(ways),), float((block.upper[at].double() / std).amax()))
    ends = {"lower": -bound, "upper": bound, "mean": found.mean, "std": found.std}
    joined = {name: torch.cat([getattr(block, name)[others], value]) for name, value in ends.items()}
    return Block((*(block.names[k] for k in others.tolist()), *found.names), **joined), sums.float()
