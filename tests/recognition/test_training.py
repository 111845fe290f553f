"""Settings, the loop, its checkpoints, and what goes wrong; the smallest network on twelve coloured people."""

import copy
import csv
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from foundation.errors import PortraitError
from foundation.tensors import read_tensors, write_tensors
from neural_render.training import RunPolicy, make_fabric, resume
from neural_render.training import run as train_on
from recognition.evaluation import evaluate_poses
from recognition.folder import read_folder
from recognition.model import Embedder, EmbeddingObjective, embed_files, load_embedder
from recognition.settings import LossSettings, TrainingSettings
from recognition.training import Trainer, learning_rate, parameter_groups, training_data
from tests.recognition.conftest import MODEL, SIZE, TRAINING, experiment, run, tensors, write_people


def test_training_learns_people_apart(people, trained):
    folder, done = trained
    embedder, header = load_embedder(done.weights)
    assert header["seed"] == 0 and header["steps"] == 40 and done.resumed_at == 0
    results = evaluate_poses(embedder, read_folder(people), "poses")
    torch.manual_seed(0)
    untrained = evaluate_poses(Embedder(MODEL).eval(), read_folder(people), "poses")
    assert np.mean([r.accuracy for r in results]) > max(0.9, np.mean([r.accuracy for r in untrained]))
    assert [r.protocol for r in results][0] == "poses 15-30" and all(r.rank_one > 0.8 for r in results)
    with open(folder / "log.csv", newline="") as file:
        log = list(csv.DictReader(file))
    assert list(log[0]) == ["step", "loss", "softmax", "rate/objective"]
    assert [row["step"] for row in log] == ["10", "20", "30", "40"]
    assert float(log[-1]["rate/objective"]) == pytest.approx(0.005)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_resumed_training_gives_the_same_weights(people, trained, tmp_path, workers):
    """Workers don't matter, dropout's random numbers come from the step."""
    model, training = replace(MODEL, dropout=0.3), replace(TRAINING, iterations=16)
    whole = run(experiment(people, model=model, training=training), tmp_path / "whole")
    parts = [replace(training, iterations=k, workers=workers) for k in (7, 16)]
    first, second = (run(experiment(people, model=model, training=t), tmp_path / "parts") for t in parts)
    assert (first.steps, second.steps, second.resumed_at) == (7, 16, 7)
    for name, value in tensors(whole.weights).items():
        torch.testing.assert_close(tensors(second.weights)[name], value, rtol=0, atol=0)
    third = run(experiment(people, model=model, training=training), tmp_path / "parts")  # nothing is left to do
    assert third.resumed_at == 16 and third.losses == second.losses == whole.losses
    fewer = run(experiment(people, model=model, training=parts[0]), tmp_path / "parts")  # it is further already
    assert fewer.steps == 16 and load_embedder(fewer.weights)[1]["steps"] == 16


def test_seeds_differ(people, trained, tmp_path):
    other = run(experiment(people, training=replace(TRAINING, iterations=5)), tmp_path, seed=1)
    again = run(experiment(people, training=replace(TRAINING, iterations=5)), tmp_path / "again", seed=1)
    a, b, c = (tensors(p)["backbone.head.weight"] for p in (other.weights, again.weights, trained[1].weights))
    assert torch.equal(a, b) and not torch.allclose(a, c, atol=1e-2)


def test_every_loss_s_state_is_in_the_checkpoint(people, tmp_path):
    loss = LossSettings("a-softmax", center=0.1, ring=0.1, exclusive=1.0, uniform=1.0)
    wanted = experiment(people, loss=loss, training=replace(TRAINING, iterations=3, checkpoint_every=3))
    run(wanted, tmp_path)
    saved, header = read_tensors(tmp_path / "checkpoint.safetensors", "checkpoint", 1, "")
    network = "network.objective."
    assert header["step"] == 3 and saved[network + "head.iteration"] == 3 and saved[network + "ring.begun"]
    trainer = Trainer(wanted, training_data(wanted).folder, 0, make_fabric())
    resume(trainer, tmp_path / "checkpoint.safetensors", trainer.identity())
    objective, optimizer = trainer.objective, trainer.optimizers["objective"]
    assert trainer.step == 3
    for name, value in objective.state_dict().items():
        torch.testing.assert_close(value, saved[network + name], rtol=0, atol=0)
    moments = [k for k in saved if k.startswith("optimizer.objective.") and k.endswith("momentum_buffer")]
    assert len(moments) == len(list(objective.parameters())) == len(optimizer.state_dict()["state"])
    radius = next(g for g in optimizer.param_groups if any(p is objective.ring.radius for p in g["params"]))
    assert radius["weight_decay"] == 0


def test_a_checkpoint_of_another_training_is_refused_and_kept(people, trained, tmp_path):
    shutil.copy(trained[0] / "checkpoint.safetensors", tmp_path)
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    wider = replace(MODEL, backbone="resnet27")
    with pytest.raises(PortraitError, match="another training .backbone resnet20 instead of resnet27"):
        run(experiment(people, model=wider), tmp_path)
    with pytest.raises(PortraitError, match="head softmax instead of cosface"):
        run(experiment(people, loss=LossSettings("cosface")), tmp_path)
    with pytest.raises(PortraitError, match="balanced False instead of True"):
        run(experiment(people, balanced=True), tmp_path)
    with pytest.raises(PortraitError, match="seed 0 instead of 3"):
        run(experiment(people), tmp_path, seed=3)
    few = write_people(tmp_path / "few", 5)
    with pytest.raises(PortraitError, match="identities 12 instead of 5, names"):
        run(experiment(few), tmp_path)
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before
    (tmp_path / "checkpoint.safetensors").write_bytes(before[:-100])
    with pytest.raises(PortraitError, match="not a whole safetensors file"):
        run(experiment(people), tmp_path)


def test_a_run_of_an_earlier_version_is_tested_and_its_checkpoint_refused_in_one_line(people, trained, tmp_path):
    old = {"format": "video-portraits recognition", "settings": {}, "identities": 12, "names": "f" * 64, "seed": 0}
    path = tmp_path / "checkpoint.safetensors"
    write_tensors(path, "checkpoint", 1, {"objective.head.bias": torch.zeros(12)}, old | {"step": 40})
    with pytest.raises(PortraitError, match="written by an earlier version.*delete it to train again") as error:
        run(experiment(people), tmp_path)
    assert "\n" not in str(error.value)
    weights, header = read_tensors(trained[1].weights, "weights", 1, "")
    assert header["format"] == "video-portraits recognition"  # as they were
    write_tensors(tmp_path / "weights.safetensors", "weights", 1, weights, {"format": "other", "model": "x"})
    with pytest.raises(PortraitError, match="expected a face embedding's"):
        load_embedder(tmp_path / "weights.safetensors")


def test_weights_that_are_not_finite_never_replace_good_ones(people, trained, tmp_path):
    wanted = experiment(people, loss=LossSettings("softmax", center=0.1))
    trainer = Trainer(wanted, training_data(wanted).folder, 0, make_fabric())
    assert trainer.finite()
    for spoilt in (trainer.objective.head.weight, trainer.objective.center.centers):
        kept = spoilt[0, 0].item()
        spoilt.data[0, 0] = torch.nan
        assert not trainer.finite()
        spoilt.data[0, 0] = kept
    wild = experiment(people, training=replace(TRAINING, rate=1e12))
    with pytest.raises(PortraitError, match="diverged .* as it had 3 times before.*lower the rate"):
        run(wild, tmp_path / "wild")
    kept, _ = read_tensors(tmp_path / "wild" / "checkpoint.safetensors", "checkpoint", 1, "")
    assert all(bool(t.isfinite().all()) for t in kept.values())
    assert not (tmp_path / "wild" / "weights.safetensors").exists()


def test_a_training_that_diverges_once_goes_on_from_its_checkpoint(people, tmp_path):
    class Spoilt(Trainer):
        def losses(self):
            losses = super().losses()
            if self.step == 7 and not self.rollbacks:
                losses["loss"] = losses["loss"] * torch.nan
            return losses

    wanted = experiment(people)
    trainer = Spoilt(wanted, training_data(wanted).folder, 0, make_fabric())
    done = train_on(trainer, tmp_path / "c", steps=12, policy=RunPolicy(save_steps=5))
    assert (done.steps, done.rollbacks) == (12, 1)
    assert trainer.rate("objective") == pytest.approx(0.05)
    assert trainer.optimizers["objective"].param_groups[0]["lr"] == pytest.approx(0.025)


def test_corrupt_pictures_and_lonely_people_are_left_out_by_name(tmp_path):
    root = write_people(tmp_path / "set", 4)
    (root / "person_01" / "2.png").write_text("broken")
    for k in (2, 4, 6):
        (root / "person_03" / f"{k}.png").write_bytes(b"")
    data = training_data(experiment(root, min_pictures=2))
    assert data.skipped == ("person_01/2.png", "person_03/2.png", "person_03/4.png", "person_03/6.png")
    assert data.folder.identities == ("person_00", "person_01", "person_02")
    assert len(training_data(experiment(root)).folder.identities) == 4
    done = run(experiment(root, balanced=True, training=replace(TRAINING, iterations=2)), tmp_path / "run")
    assert np.isfinite(done.losses["loss"])
    with pytest.raises(PortraitError, match="one identity is left"):
        training_data(experiment(write_people(tmp_path / "one", 1)))


@pytest.mark.parametrize("mode", ["stitched", "end-to-end"])
def test_dream_trains_and_is_used_with_yaw(people, tmp_path, mode):
    model = replace(MODEL, backbone="resnet18", width=64, dream=mode, dropout=0.3)
    wanted = experiment(people, model=model, training=replace(TRAINING, iterations=2, batch=8))
    embedder, header = load_embedder(run(wanted, tmp_path).weights)
    assert ("dream_error" in header) == (mode == "stitched")
    files = read_folder(people).paths[:4]
    plain = embed_files(embedder, files, np.zeros(4))
    turned = embed_files(embedder, files, np.array([0, 0, 90, 90]))
    assert np.array_equal(plain.features[:2], turned.features[:2])
    assert not np.allclose(plain.features[2:], turned.features[2:])
    with pytest.raises(PortraitError, match="needs every face's yaw"):
        embed_files(embedder, files)


def test_dream_without_yaw_is_refused_before_training(tmp_path):
    root = write_people(tmp_path / "set", 4)
    text = (root / "metadata.csv").read_text()
    (root / "metadata.csv").write_text(text.replace("person_00,0,", "person_00,,"))
    with pytest.raises(PortraitError, match="1 of 16 pictures have no yaw"):
        training_data(experiment(root, model=replace(MODEL, dream="stitched")))


def test_the_rate_drops_and_decay_spares_vectors():
    settings = TrainingSettings(rate=0.1, drops=(10, 20))
    assert [learning_rate(settings, k) for k in (9, 10, 20)] == pytest.approx([0.1, 0.01, 0.001])
    objective = EmbeddingObjective(MODEL, LossSettings("softmax", ring=0.1), 3)
    decayed, spared = parameter_groups(objective, 0.5)
    assert all(p.ndim > 1 for p in decayed["params"]) and decayed["weight_decay"] == 0.5
    assert any(p is objective.ring.radius for p in spared["params"]) and spared["weight_decay"] == 0


def test_several_losses_add_up(people):
    torch.manual_seed(0)
    loss = LossSettings("softmax", center=0.5, ring=0.1, exclusive=2.0, uniform=1.0)
    objective = EmbeddingObjective(MODEL, loss, 4)
    twin = copy.deepcopy(objective)
    x, labels = torch.randn(6, 3, SIZE, SIZE), torch.tensor([0, 1, 2, 3, 0, 1])
    parts = objective(x, labels)
    assert list(parts) == ["loss", "softmax", "center", "ring", "exclusive", "uniform"]
    torch.testing.assert_close(parts["loss"], sum(v for k, v in parts.items() if k != "loss"))
    embeddings = twin.embedder(x)
    torch.testing.assert_close(parts["center"], 0.5 * twin.center(embeddings, labels))
    torch.testing.assert_close(parts["exclusive"], 2 * twin.exclusive(twin.head.weight))


def test_mixed_precision_keeps_weights_and_centers_in_float32(people, tmp_path):
    loss = LossSettings("a-softmax", center=0.1, uniform=1.0)
    training = replace(TRAINING, iterations=3, precision="bf16-mixed")
    done = run(experiment(people, loss=loss, training=training), tmp_path)
    saved, _ = read_tensors(tmp_path / "checkpoint.safetensors", "checkpoint", 1, "")
    assert all(t.dtype == torch.float32 for t in saved.values() if t.is_floating_point())
    whole = run(experiment(people, loss=loss, training=replace(training, precision="32-true")), tmp_path / "whole")
    assert done.losses["loss"] == pytest.approx(whole.losses["loss"], rel=0.05)
    assert done.losses != whole.losses
