"""Classification heads: from embeddings and labels to the loss of telling the training identities apart.

All heads share one form: ``head(embeddings (B, D), labels (B,)) -> scalar``, ``head.class_weights`` (C, D), one row a
class. They compute in float32 whatever autocast says, since margins on cosines don't survive half precision.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from foundation.errors import PortraitError, unknown_name


def check_labels(labels: Tensor, classes: int) -> None:
    """Raises PortraitError for labels outside 0 .. classes - 1."""
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise PortraitError(
            f"labels: expected 0 to {classes - 1} for a head of {classes} classes, got {low} to {high}; "
            "make the head for the number of identities of the data set"
        )


class Head(nn.Module):
    """What the heads share: (C, D) class weights, labels checked, float32."""

    def __init__(self, classes: int, features: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes, features))
        nn.init.xavier_uniform_(self.weight)

    @property
    def class_weights(self) -> Tensor:
        return self.weight

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        if not labels.is_cuda:  # there it would cost a synchronisation a step; the trainer checks once
            check_labels(labels, len(self.class_weights))
        with torch.autocast(embeddings.device.type, enabled=False):
            return self.loss(embeddings.float(), labels)

    def loss(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        raise NotImplementedError


class SoftmaxHead(Head):
    """Plain softmax cross-entropy with a bias."""

    def __init__(self, classes: int, features: int):
        super().__init__(classes, features)
        self.bias = nn.Parameter(torch.zeros(classes))

    def loss(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(F.linear(embeddings, self.weight, self.bias), labels)


class ASoftmaxHead(Head):
    """A-Softmax with its annealing (Liu et al., SphereFace, CVPR 2017, equations 7 and 8; the authors' schedule).

    Logits ||x|| cos(theta_j) with unit weights; the target's is (lam cos(theta) + psi(theta)) / (1 + lam) * ||x||, with
    lam = max(floor, base / (1 + gamma * iteration)). The iteration is part of the state, so that a resumed training
    goes on where it was. Gradients are the true ones; the authors' layer rescales them.
    """

    def __init__(
        self, classes: int, features: int, *, margin: int = 4, base: float = 1000.0, gamma: float = 0.12,
        floor: float = 5.0,
    ):  # fmt: skip
        super().__init__(classes, features)
        if margin < 1 or margin != int(margin):
            raise PortraitError(f"margin: A-Softmax multiplies angles by a whole number from 1, got {margin}; try 4")
        self.margin, self.base, self.gamma, self.floor = int(margin), base, gamma, floor
        self.register_buffer("iteration", torch.zeros((), dtype=torch.int64))

    @property
    def annealing(self) -> Tensor:
        """lam of the next step: the plain cosine's weight against psi's 1."""
        return (self.base / (1 + self.gamma * self.iteration)).clamp_min(self.floor)

    def loss(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        cosines = F.linear(F.normalize(embeddings), F.normalize(self.weight)).clamp(-1, 1)
        target = cosines.gather(1, labels[:, None])
        lam = self.annealing
        moved = (lam * target + psi(target, self.margin)) / (1 + lam)
        logits = cosines.scatter(1, labels[:, None], moved) * embeddings.norm(dim=1, keepdim=True)
        if self.training:
            self.iteration += 1
        return F.cross_entropy(logits, labels)


def psi(cosine: Tensor, margin: int) -> Tensor:
    """SphereFace's monotonic margin function of cos(theta): (-1)^k cos(m theta) - 2k, k = floor(m theta / pi).

    cos(m theta) is Chebyshev's polynomial of cos(theta), so no gradient passes acos, whose slope is infinite at +-1.
    """
    before, multiple = torch.ones_like(cosine), cosine
    for _ in range(margin - 1):
        before, multiple = multiple, 2 * cosine * multiple - before
    with torch.no_grad():
        k = (margin * torch.acos(cosine.clamp(-1, 1)) / torch.pi).floor().clamp_max(margin - 1)
        sign = 1 - 2 * (k % 2)
    return sign * multiple - 2 * k


class LibraryHead(Head):
    """ArcFace or CosFace as pytorch-metric-learning has them, behind the heads' form."""

    def __init__(self, classes: int, features: int, *, kind: str, margin: float, scale: float = 64.0):
        nn.Module.__init__(self)  # the library's loss brings its own weights
        from pytorch_metric_learning import losses

        made = {"arcface": losses.ArcFaceLoss, "cosface": losses.CosFaceLoss}[kind]
        self.inner = made(classes, features, margin=margin, scale=scale)

    @property
    def class_weights(self) -> Tensor:
        return self.inner.W.t()

    def loss(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        return self.inner(embeddings, labels)


HEADS = ("softmax", "a-softmax", "arcface", "cosface")


def make_head(name: str, classes: int, features: int, margin: float | None = None) -> Head:
    """The head called ``name``. margin: a factor (a-softmax, 4), degrees (arcface, 28.6), a cosine (cosface, 0.35)."""
    if name == "softmax":
        return SoftmaxHead(classes, features)
    if name == "a-softmax":
        return ASoftmaxHead(classes, features, margin=4 if margin is None else margin)
    if name in HEADS:
        default = {"arcface": 28.6, "cosface": 0.35}[name]
        return LibraryHead(classes, features, kind=name, margin=default if margin is None else margin)
    raise unknown_name("head", name, HEADS)
