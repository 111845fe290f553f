"""Each surface sample's own albedo, eliminated from the joint system.

A face has more colour than any basis holds: moles, beards, make-up, baked shadows. Left out, that colour is explained
by moving the surface. So every sample has an albedo of its own beside the model's, shared by all key frames. It stands
in rows of its own sample only, so it's eliminated exactly (Schur complement): what remains of the photometric term is
how much the key frames disagree about a point's colour, which is parallax, and what the prior leaves of shading.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from .rows import PhotometricRows

NOISE = (0.03, 0.06)  # range of the residuals' scale, sRGB of 1: a sharp picture of the model itself, a stranger's skin


def noise_scale(squared: Tensor, seen: Tensor) -> Tensor:
    """(): three standard deviations of the colour residuals, from the median of the seen samples' squared error.

    How well the model can explain a picture differs from picture to picture, and is seen in the picture: the better
    it does, the more the colours count (maximum likelihood of the variance, made robust).
    """
    known = squared[seen > 0.2]
    if not len(known):
        return squared.new_tensor(NOISE[1])
    return (3 * (known.median() / 2.366).sqrt()).clamp(*NOISE)  # 2.366: median of a chi-square with 3 degrees


@dataclass(frozen=True)
class Elimination:
    """The 3 N values' part of a joint system of T unknowns (S shared, then P a frame)."""

    by_unknowns: Tensor  # (3 N, T) mixed second derivatives
    precision: Tensor  # (3 N,)
    slope: Tensor  # (3 N,)

    @classmethod
    def of(cls, photometric: PhotometricRows, detail: Tensor, prior: float, shared: int) -> Elimination:
        """``detail`` (N, 3) is the current estimate; ``prior`` the precision of each value about zero."""
        by, rows = photometric.by_detail, photometric.rows
        frames, own = len(rows), rows[0].shape[1] - 1 - shared
        mixed = by.new_zeros(by.shape[1], shared + frames * own)
        precision = by.square().sum(0) + prior
        slope = prior * detail.flatten()
        for f, r in enumerate(rows):
            part = r * by[f][:, None]
            mixed[:, :shared] += part[:, :shared]
            mixed[:, shared + f * own : shared + (f + 1) * own] = part[:, shared:-1]
            slope = slope + part[:, -1]
        return cls(mixed, precision, slope)

    def reduction(self) -> tuple[Tensor, Tensor]:
        """What to take from the system's matrix (T, T) and gradient (T,)."""
        scaled = self.by_unknowns / self.precision[:, None]
        return scaled.T @ self.by_unknowns, scaled.T @ self.slope

    def step(self, step: Tensor) -> Tensor:
        """The change (N, 3) of the detail that goes with a step (T,) of the unknowns."""
        return (-(self.slope + self.by_unknowns @ step) / self.precision).view(-1, 3)
