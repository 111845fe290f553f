"""Networks trained on each method's pictures, and what they are worth: verification by yaw, geometry of embeddings.

A run is a folder: what ``recognition.training`` writes, and the results; what is there already isn't made again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from neural_render.training import make_fabric
from recognition.dream import stitch
from recognition.evaluation import Result, verify_pairs
from recognition.folder import FaceFolder, read_folder
from recognition.model import Embedder, embed_files, load_embedder
from recognition.poses import USUAL, pose_pairs
from recognition.results import read_results, write_results
from recognition.settings import DataSettings, Experiment, LossSettings, ModelSettings, TrainingSettings
from recognition.training import train, training_data

FAR = (60.0, 90.0)  # degrees of the figure that counts
ALL = (*USUAL.bins, FAR)
BATCH, RATE = 32, 0.05
LIBRARY_RATE = RATE / 64  # ArcFace's and CosFace's cosines are multiplied by 64, and so are their gradients
DREAM_STEPS, DREAM_RATE = 3000, 0.01  # of the stitched block, on batches of embeddings
NETWORK = ModelSettings(backbone="resnet20", features=128, width=16, height=56, width_px=48)


def protocol(low: float, high: float) -> str:
    """The name of a row: frontal pictures against those turned by ``low`` to ``high`` degrees."""
    return f"{low:g}-{high:g}"


@dataclass(frozen=True)
class Trainer:
    """Trains on views under ``root`` into folders under ``runs``."""

    root: Path
    runs: Path
    iterations: int
    seeds: tuple[int, ...]

    def experiment(
        self, view: str, loss: LossSettings, model: ModelSettings = NETWORK, *, rate: float = RATE, times: int = 1
    ) -> Experiment:
        """times: more iterations at a lower rate, for a view with so many times more pictures."""
        n = self.iterations * times
        training = TrainingSettings(
            iterations=n, batch=BATCH, rate=rate / times, drops=(n * 6 // 10, n * 85 // 100), seeds=self.seeds,
            workers=0, checkpoint_every=200,
        )  # fmt: skip
        return Experiment(DataSettings(view, split="train"), model, loss, training, base=self.root)

    def train(self, name: str, experiment: Experiment) -> dict[int, Embedder]:
        """The run's embedders by seed; a stopped training goes on, a finished one is read."""
        out = {}
        for seed in self.seeds:
            folder = self.runs / name / f"seed-{seed}"
            if not (folder / "weights.safetensors").is_file():
                data = training_data(experiment)
                done = train(make_fabric("cpu"), experiment, data, folder, seed)
                losses = ", ".join(f"{k} {v:.3f}" for k, v in done.losses.items())
                print(
                    f"  {name}, seed {seed}: {done.steps} steps, {done.seconds / 60:.1f} minutes; {losses}", flush=True
                )
            out[seed] = load_embedder(folder / "weights.safetensors")[0]
        return out

    def stitched(self, embedder: Embedder, view: str, seed: int) -> Embedder:
        """The embedder with DREAM's block, trained on its own embeddings of the training pictures."""
        people = self.people(view, "train")
        features = embed_files(embedder, people.paths, mirror=False).features
        torch.manual_seed(seed)
        made = Embedder(replace(embedder.settings, dream="stitched"))
        made.backbone.load_state_dict(embedder.backbone.state_dict())
        stitch(
            made.dream, torch.from_numpy(features), people.labels, people.yaw, iterations=DREAM_STEPS, batch=BATCH,
            rate=DREAM_RATE, seed=seed,
        )  # fmt: skip
        return made.eval()

    def people(self, view: str, split: str = "test") -> FaceFolder:
        return read_folder(self.root / view).of_split(split)

    def embed(self, embedder: Embedder, views: tuple[str, ...]) -> np.ndarray:
        """(N, D) of the test pictures; of several views the mean of unit embeddings."""
        parts = [self.people(view) for view in views]
        found = [embed_files(embedder, part.paths, part.yaw).features for part in parts]
        return found[0] if len(found) == 1 else sum(f / np.linalg.norm(f, axis=1, keepdims=True) for f in found)

    def results(self, name: str, embedders: dict[int, Embedder], views: tuple[str, ...]) -> dict[int, list[Result]]:
        """Rows by yaw of each seed, written into the run's folder; a run that has them is read."""
        folder = self.runs / name
        if not (folder / "results.csv").is_file():
            people = self.people(views[0])
            rows = {s: by_yaw(self.embed(e, views), people) for s, e in embedders.items()}
            write_results(folder, rows)
        return read_results(folder)


def by_yaw(features: np.ndarray, people: FaceFolder) -> list[Result]:
    """Frontal pictures against turned ones: a row a bin, and one for all from 60 degrees."""
    rows = []
    for low, high in ALL:
        pairs = pose_pairs(people, low, high)
        if pairs is not None:
            rows.append(verify_pairs(features, pairs, protocol(low, high)))
    return rows


def geometry(features: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """How embeddings (N, D) of classes (N,) lie: angles in degrees, norms as they are.

    ``nearest``: from a class's centre (mean unit embedding) to the nearest other one, the mean; ``between``: to all
    others; ``within``: from an embedding to its own centre, which is compactness; ``norm`` and ``norm_std``,
    its standard deviation relative to it.
    """
    norms = np.linalg.norm(features, axis=1)
    unit = features / norms[:, None]
    names, of_class = np.unique(labels, return_inverse=True)
    centers = np.stack([unit[of_class == k].mean(0) for k in range(len(names))])
    centers /= np.linalg.norm(centers, axis=1, keepdims=True)
    cosines = (centers @ centers.T).clip(-1, 1)
    others = ~np.eye(len(names), dtype=bool)
    degrees = lambda c: np.degrees(np.arccos(np.clip(c, -1, 1)))  # noqa: E731
    return {
        "nearest": float(degrees(np.where(others, cosines, -1).max(1)).mean()),
        "between": float(degrees(cosines[others]).mean()),
        "within": float(degrees((unit * centers[of_class]).sum(1)).mean()),
        "norm": float(norms.mean()),
        "norm_std": float(norms.std() / norms.mean()),
    }
