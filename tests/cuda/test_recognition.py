"""Training of face recognition on the GPU, and its embeddings on either device."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch


@pytest.fixture(scope="module")
def folder(device, tmp_path_factory):
    """Six people, as tests/recognition draws them."""
    from tests.recognition.conftest import write_people

    return write_people(tmp_path_factory.mktemp("people") / "set", 6)


def train(folder, device, output, *, iterations, dream="none", precision="32-true", **losses):
    """A short training on the device; what ``recognition.training.train`` says of it."""
    from neural_render.training import make_fabric
    from recognition.settings import LossSettings
    from recognition.training import train, training_data
    from tests.recognition.conftest import MODEL, TRAINING, experiment

    training = replace(
        TRAINING, iterations=iterations, batch=8, checkpoint_every=2, dream_iterations=3, precision=precision
    )
    wanted = experiment(folder, loss=LossSettings(**losses), model=replace(MODEL, dream=dream), training=training)
    return train(make_fabric(device, precision=precision), wanted, training_data(wanted), output, 0)


ALL = {"head": "a-softmax", "center": 0.1, "ring": 0.1, "exclusive": 1.0, "uniform": 1.0}
CASES = {
    "all losses": ALL,
    "half precision": {"head": "softmax", "precision": "bf16-mixed"},
    "half precision, scaled": {"head": "a-softmax", "precision": "16-mixed"},
    "dream": {"head": "softmax", "dream": "end-to-end"},
    "dream, stitched": {"head": "softmax", "dream": "stitched"},
}


@pytest.mark.parametrize("case", CASES)
def test_training_and_embeddings(folder, device, tmp_path, case):
    from recognition.folder import read_folder
    from recognition.model import embed_files, load_embedder

    half = train(folder, device, tmp_path, iterations=4, **CASES[case])
    done = train(folder, device, tmp_path, iterations=6, **CASES[case])  # goes on from the checkpoint
    assert half.steps == 4 and done.resumed_at == 4 and done.steps == 6
    assert done.losses and np.isfinite(list(done.losses.values())).all()
    people, made = read_folder(folder), []
    for where in ("cpu", device):
        embedder, _ = load_embedder(done.weights, where)
        assert next(embedder.parameters()).device.type == torch.device(where).type
        made.append(embed_files(embedder, people.paths[:10], people.yaw[:10]).features)
    cosine = (made[0] * made[1]).sum(1) / np.linalg.norm(made[0], axis=1) / np.linalg.norm(made[1], axis=1)
    assert cosine.min() > 0.999 and np.abs(made[0] - made[1]).max() < 0.01 * np.abs(made[0]).max()


def test_faces_of_a_texture_are_embedded(folder, device, tmp_path):
    """The embedding that UV completion is trained with."""
    from portrait.services.uv_training import load_embedding

    done = train(folder, device, tmp_path, iterations=2, head="softmax")
    pictures = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    cpu, gpu = (load_embedding(done.weights, where)(pictures.to(where)).cpu() for where in ("cpu", device))
    torch.testing.assert_close(gpu, cpu, atol=0.01, rtol=0.01)
