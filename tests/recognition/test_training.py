"""Settings, the loop, its checkpoints, and what goes wrong; the smallest network on twelve coloured people."""

import copy
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from foundation.errors import PortraitError
from recognition.checkpoint import Run, check_finite, load_checkpoint
from recognition.evaluation import evaluate_poses
from recognition.files import read_tensors
from recognition.folder import read_folder
from recognition.model import Embedder, Objective, embed_files, load_embedder
from recognition.settings import LossSettings, TrainingSettings
from recognition.training import learning_rate, parameter_groups, training_data
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
    log = (folder / "log.csv").read_text().splitlines()
    assert log[0] == "step,rate,loss,softmax" and [row.split(",")[0] for row in log[1:]] == ["20", "40"]
    assert float(log[2].split(",")[1]) == pytest.approx(0.005)


def test_a_resumed_training_gives_the_same_weights(people, trained, tmp_path):
    folder, _ = trained
    first = run(experiment(people, training=replace(TRAINING, iterations=20)), tmp_path)
    assert first.steps == 20
    second = run(experiment(people), tmp_path)
    assert second.resumed_at == 20
    for name, value in tensors(folder / "weights.safetensors").items():
        torch.testing.assert_close(tensors(second.weights)[name], value, rtol=0, atol=0)
    third = run(experiment(people), tmp_path)  # nothing is left to do
    assert third.resumed_at == 40 and third.losses == second.losses
    fewer = run(experiment(people, training=replace(TRAINING, iterations=30)), tmp_path)  # it is further already
    assert fewer.steps == 40 and load_embedder(fewer.weights)[1]["steps"] == 40


def test_seeds_differ(people, trained, tmp_path):
    other = run(experiment(people, training=replace(TRAINING, iterations=5)), tmp_path, seed=1)
    again = run(experiment(people, training=replace(TRAINING, iterations=5)), tmp_path / "again", seed=1)
    a, b, c = (tensors(p)["backbone.head.weight"] for p in (other.weights, again.weights, trained[1].weights))
    assert torch.equal(a, b) and not torch.allclose(a, c, atol=1e-2)


def test_every_loss_s_state_is_in_the_checkpoint(people, tmp_path):
    loss = LossSettings("a-softmax", center=0.1, ring=0.1, exclusive=1.0, uniform=1.0)
    wanted = experiment(people, loss=loss, training=replace(TRAINING, iterations=3, checkpoint_every=3))
    run(wanted, tmp_path)
    saved, header = read_tensors(tmp_path / "checkpoint.safetensors", "checkpoint", "")
    assert header["step"] == 3 and saved["objective.head.iteration"] == 3 and saved["objective.ring.begun"]
    for name in ("center.centers", "uniform.centers", "ring.radius"):
        assert f"objective.{name}" in saved
    assert "momentum.ring.radius" in saved and "momentum.head.weight" in saved
    folder = training_data(wanted).folder
    objective = Objective(wanted.model, loss, len(folder.identities))
    optimizer = torch.optim.SGD(parameter_groups(objective, 0.1), lr=0.1, momentum=0.9)
    assert load_checkpoint(tmp_path / "checkpoint.safetensors", Run(wanted, folder, 0), objective, optimizer) == 3
    torch.testing.assert_close(objective.center.centers, saved["objective.center.centers"])
    momentum = optimizer.state[objective.head.weight]["momentum_buffer"]
    torch.testing.assert_close(momentum, saved["momentum.head.weight"])
    radius = next(g for g in optimizer.param_groups if any(p is objective.ring.radius for p in g["params"]))
    assert radius["weight_decay"] == 0


def test_a_checkpoint_of_another_training_is_refused_and_kept(people, trained, tmp_path):
    shutil.copy(trained[0] / "checkpoint.safetensors", tmp_path)
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    wider = replace(MODEL, backbone="resnet27")
    with pytest.raises(PortraitError, match="made with backbone = resnet20, the settings say resnet27"):
        run(experiment(people, model=wider), tmp_path)
    with pytest.raises(PortraitError, match="made with head = softmax"):
        run(experiment(people, loss=LossSettings("cosface")), tmp_path)
    with pytest.raises(PortraitError, match="made with balanced = False"):
        run(experiment(people, balanced=True), tmp_path)
    with pytest.raises(PortraitError, match="made with seed 0, not 3"):
        run(experiment(people), tmp_path, seed=3)
    few = write_people(tmp_path / "few", 5)
    with pytest.raises(PortraitError, match="made with 12 identities, the data set has 5"):
        run(experiment(few), tmp_path)
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before
    (tmp_path / "checkpoint.safetensors").write_bytes(before[:-100])
    with pytest.raises(PortraitError, match="not a whole safetensors file"):
        run(experiment(people), tmp_path)


def test_weights_that_are_not_finite_never_replace_good_ones(people, trained, tmp_path):
    shutil.copy(trained[0] / "checkpoint.safetensors", tmp_path)
    objective = Objective(MODEL, LossSettings("softmax", center=0.1), 4)
    check_finite(tmp_path / "checkpoint.safetensors", objective, 60)
    for spoilt in (objective.head.weight, objective.center.centers):
        kept = spoilt[0, 0].item()
        spoilt.data[0, 0] = torch.nan
        with pytest.raises(PortraitError, match="at step 60; .* still has the last good state"):
            check_finite(tmp_path / "checkpoint.safetensors", objective, 60)
        spoilt.data[0, 0] = kept
    late = experiment(people, training=replace(TRAINING, rate=1e6, checkpoint_every=2))
    with pytest.raises(PortraitError, match="no checkpoint was written"):
        run(late, tmp_path / "late")
    wild = experiment(people, training=replace(TRAINING, rate=1e6))
    with pytest.raises(PortraitError, match="aren't finite at step 20; no checkpoint"):
        run(wild, tmp_path / "wild")
    assert not (tmp_path / "wild" / "weights.safetensors").exists()


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
    objective = Objective(MODEL, LossSettings("softmax", ring=0.1), 3)
    decayed, spared = parameter_groups(objective, 0.5)
    assert all(p.ndim > 1 for p in decayed["params"]) and decayed["weight_decay"] == 0.5
    assert any(p is objective.ring.radius for p in spared["params"]) and spared["weight_decay"] == 0


def test_several_losses_add_up(people):
    torch.manual_seed(0)
    loss = LossSettings("softmax", center=0.5, ring=0.1, exclusive=2.0, uniform=1.0)
    objective = Objective(MODEL, loss, 4)
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
    saved, _ = read_tensors(tmp_path / "checkpoint.safetensors", "checkpoint", "")
    assert all(t.dtype == torch.float32 for t in saved.values() if t.is_floating_point())
    whole = run(experiment(people, loss=loss, training=replace(training, precision="32-true")), tmp_path / "whole")
    assert done.losses["loss"] == pytest.approx(whole.losses["loss"], rel=0.05)
    assert done.losses != whole.losses
