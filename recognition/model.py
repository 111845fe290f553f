"""What is trained: the embedder, and the objective that it is trained with; weights on disk; embeddings of files."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from foundation.errors import PortraitError
from foundation.progress import Event, Report, ignore
from foundation.tensors import read_tensors, write_tensors
from recognition.backbones import make_backbone
from recognition.dream import Dream
from recognition.heads import make_head
from recognition.losses import CenterLoss, ExclusiveLoss, RingLoss, UniformLoss
from recognition.pictures import prepare, read_picture
from recognition.settings import LossSettings, ModelSettings

FORMAT, KIND, VERSION = "video-portraits recognition", "weights", 1
MAKE = "portrait recognize train SETTINGS -o FOLDER"


class Embedder(nn.Module):
    """Backbone, and DREAM where the settings say so: (B, 3, H, W) pictures, (B,) yaws in degrees -> (B, D)."""

    def __init__(self, settings: ModelSettings):
        super().__init__()
        s = self.settings = settings
        self.backbone = make_backbone(s.backbone, s.height, s.width_px, s.features, s.width)
        self.dream = None if s.dream == "none" else Dream(s.features)

    def forward(self, pictures: Tensor, yaw: Tensor | None = None) -> Tensor:
        embeddings = self.backbone(pictures)
        if self.dream is None:
            return embeddings
        if yaw is None or bool(yaw.isnan().any()):
            raise PortraitError("yaw: a network with DREAM needs every face's yaw; give it in metadata.csv, in degrees")
        return self.dream(embeddings, yaw)


class EmbeddingObjective(nn.Module):
    """The embedder with its head and added losses; forward gives each loss, weighted, and their sum as "loss"."""

    def __init__(self, model: ModelSettings, losses: LossSettings, classes: int):
        super().__init__()
        self.weights = losses
        self.embedder = Embedder(model)
        if model.dream == "stitched":
            self.embedder.dream = None  # added when the network is done
        self.dropout = nn.Dropout(model.dropout)
        self.head = make_head(losses.head, classes, model.features, losses.margin)
        self.center = CenterLoss(classes, model.features) if losses.center else None
        self.ring = RingLoss() if losses.ring else None
        self.exclusive = ExclusiveLoss() if losses.exclusive else None
        self.uniform = UniformLoss(classes, model.features) if losses.uniform else None

    def forward(self, pictures: Tensor, labels: Tensor, yaw: Tensor | None = None) -> dict[str, Tensor]:
        x, w = self.embedder(pictures, yaw), self.weights
        parts = {w.head: self.head(self.dropout(x), labels)}
        if self.center is not None:
            parts["center"] = w.center * self.center(x, labels)
        if self.ring is not None:
            parts["ring"] = w.ring * self.ring(x)
        if self.exclusive is not None:
            parts["exclusive"] = w.exclusive * self.exclusive(self.head.class_weights)
        if self.uniform is not None:
            parts["uniform"] = w.uniform * self.uniform(x, labels)
        return {"loss": sum(parts.values()), **parts}


def save_embedder(path: Path, embedder: Embedder, facts: dict) -> None:
    """Writes weights with what they are: the model's settings and ``facts`` (JSON)."""
    header = {"format": FORMAT, "model": asdict(embedder.settings), **facts}
    write_tensors(path, KIND, VERSION, embedder.state_dict(), header)


def load_embedder(path: Path, device: str = "cpu") -> tuple[Embedder, dict]:
    """The network in evaluation mode, and its header. PortraitError for any other file."""
    tensors, header = read_tensors(path, KIND, VERSION, MAKE)
    if header.get("format") != FORMAT:
        raise PortraitError(f"weights '{path}': expected a face embedding's, found others; make it with '{MAKE}'")
    try:
        embedder = Embedder(ModelSettings(**header["model"]))
        embedder.load_state_dict(tensors)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise PortraitError(f"weights '{path}': don't fit their own settings ({reason}); train again") from None
    return embedder.to(device).eval(), header


@dataclass(frozen=True)
class Embedded:
    """Embeddings of a list of files."""

    features: np.ndarray  # (N, 2 D) float32, of the picture and of its mirror image; rows of NaN for unreadable files
    unreadable: tuple[int, ...]  # rows


@torch.inference_mode()
def embed_files(
    embedder: Embedder, files: list[Path], yaw: np.ndarray | None = None, *, batch: int = 64, mirror: bool = True,
    report: Report = ignore, stage: str = "embedding",
) -> Embedded:  # fmt: skip
    """Embeddings of the picture and of its mirror image, side by side, as SphereFace's evaluation has them.

    yaw: (N,) degrees, which only a network with DREAM needs. mirror: False leaves the second half out.
    """
    s, device = embedder.settings, next(embedder.parameters()).device
    size = s.features * (2 if mirror else 1)
    features = np.full((len(files), size), np.nan, np.float32)
    for start in range(0, len(files), batch):
        pictures = [read_picture(f) for f in files[start : start + batch]]
        rows = [k for k, p in enumerate(pictures) if p is not None]
        if rows:
            turned = None
            if yaw is not None:
                turned = torch.as_tensor(yaw[start : start + batch][rows], dtype=torch.float32, device=device)
            images = torch.stack([prepare(pictures[k], s.height, s.width_px) for k in rows]).to(device)
            halves = [embedder(x, turned) for x in ([images, images.flip(3)] if mirror else [images])]
            features[[start + k for k in rows]] = torch.cat(halves, 1).float().cpu().numpy()
        report(Event(stage, min(start + batch, len(files)), len(files), "pictures"))
    return Embedded(features, tuple(np.flatnonzero(np.isnan(features[:, 0])).tolist()))
