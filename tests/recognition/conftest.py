"""A small data set whose people differ by colour, so that the smallest network learns them in seconds."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from foundation.tensors import read_tensors
from neural_render.training import make_fabric
from recognition.settings import DataSettings, Experiment, LossSettings, ModelSettings, TrainingSettings
from recognition.training import train, training_data

SIZE = 32  # px
YAWS = (0, 10, -5, 25, -40, 55, 70, -80)


def draw_person(person: int, picture: int) -> np.ndarray:
    """(SIZE, SIZE, 3) uint8: a person's colours with noise."""
    of_person, noise = np.random.default_rng(person), np.random.default_rng([person, picture])
    tile = of_person.integers(30, 226, (4, 4, 3)).astype(float)
    image = tile.repeat(SIZE // 4, 0).repeat(SIZE // 4, 1) + noise.normal(0, 12, (SIZE, SIZE, 3))
    return image.clip(0, 255).astype(np.uint8)


def write_people(root: Path, people: int, yaws=YAWS) -> Path:
    """The standard layout: root/person_0/0.png..., metadata.csv; even pictures are for training."""
    rows = ["file,identity,yaw,pitch,light,expression,split"]
    for person in range(people):
        folder = root / f"person_{person:02d}"
        folder.mkdir(parents=True)
        for k, yaw in enumerate(yaws):
            cv2.imwrite(str(folder / f"{k}.png"), draw_person(person, k))
            rows.append(f"{folder.name}/{k}.png,{folder.name},{yaw},0,{k},{k},{'train' if k % 2 == 0 else 'test'}")
    (root / "metadata.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.fixture(scope="session")
def people(tmp_path_factory) -> Path:
    """Twelve people; read only."""
    return write_people(tmp_path_factory.mktemp("people") / "set", 12)


MODEL = ModelSettings("resnet20", features=16, width=4, height=SIZE, width_px=SIZE)
TRAINING = TrainingSettings(
    iterations=40, batch=24, rate=0.05, drops=(35,), workers=0, checkpoint_every=20, dream_iterations=20
)


def experiment(root, *, loss=None, model=MODEL, training=TRAINING, **data) -> Experiment:
    return Experiment(DataSettings(str(root), split="train", **data), model, loss or LossSettings("softmax"), training)


def run(wanted: Experiment, output, seed=0):
    fabric = make_fabric("cpu", precision=wanted.training.precision)
    return train(fabric, wanted, training_data(wanted), output, seed)


def tensors(path) -> dict:
    return read_tensors(path, "weights", 1, "")[0]


@pytest.fixture(scope="session")
def trained(people, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    return folder, run(experiment(people), folder)
