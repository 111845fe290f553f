import dataclasses

import numpy as np
import pytest
import torch

from foundation.errors import PortraitError
from neural_render import (
    Drive,
    Settings,
    Target,
    Weights,
    find_method,
    method_of,
    synthesize,
    synthesize_crops,
    target_frames,
    train,
)
from tests.neural_render.conftest import FRAMES, HEIGHT, WIDTH, Clip

SETTINGS = Settings(adversarial_after=2, batch=2)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, track, clip, model):
    out = tmp_path_factory.mktemp("weights") / "w.safetensors"
    summary = train(track, clip, out, model=model, size=64, width=4, steps=4, settings=SETTINGS)
    return out, summary


def test_summary_and_weights(trained, track, model):
    out, summary = trained
    assert (summary.steps, summary.frames, summary.excluded, summary.resumed_at) == (4, FRAMES - 1, 1, 0)
    assert set(summary.losses) == {"l1", "adversarial", "discriminator"}
    header = Weights.load(out, model=model, size=64).header
    assert (header.frame_width, header.frame_height, header.crop) == (WIDTH, HEIGHT, summary.crop)
    assert header.target["source"] == {"name": "synthetic"}


def test_train_resumes_to_the_same_weights(trained, tmp_path, track, clip, model):
    out = tmp_path / "w.safetensors"
    options = {"model": model, "size": 64, "width": 4, "settings": SETTINGS}
    train(track, clip, out, steps=2, **options)
    assert train(track, clip, out, steps=4, **options).resumed_at == 2
    whole, parts = Weights.load(trained[0]), Weights.load(out)
    assert all(torch.equal(v, parts.generator[k]) for k, v in whole.generator.items())
    with pytest.raises(PortraitError, match="width 4 instead of 8"):
        train(track, clip, out, model=model, size=64, width=8, settings=SETTINGS)


def test_progress_says_what_is_left_out(tmp_path, track, clip, model):
    said = []
    train(
        track, clip, tmp_path / "w", model=model, size=64, width=4, steps=1, settings=SETTINGS,
        progress=lambda *said_now: said.append(said_now),
    )  # fmt: skip
    assert any("1 of 14 frames have no tracked face" in note for _, _, _, note in said)
    assert all(0 <= done <= total for done, total, _, _ in said)


def test_bad_arguments(tmp_path, track, clip, model):
    for options, reason in [
        ({"size": 100}, "size: expected"),
        ({"minutes": 0}, "minutes"),
        ({"width": 1}, "width"),
        ({"batch": 0}, "batch"),
        ({"held_out": 1.0}, "held-out"),
        ({"losses": {"l2": 1.0}}, "unknown loss 'l2'"),
        ({"losses": {"perceptual": 1.0}, "vgg": str(tmp_path / "none")}, "no such file"),
    ]:
        with pytest.raises(PortraitError, match=reason):
            train(track, clip, tmp_path / "w", model=model, **options)
    foreign = dataclasses.replace(track, fingerprint="0" * 16)
    with pytest.raises(PortraitError, match="fitted with model"):
        train(foreign, clip, tmp_path / "w", model=model)
    assert list(tmp_path.iterdir()) == []


def test_held_out_frames_score_the_training(tmp_path, track, clip, model):
    options = {"model": model, "size": 64, "width": 4, "settings": SETTINGS, "steps": 3}
    summary = train(track, clip, tmp_path / "w", held_out=0.2, **options)
    assert summary.frames == FRAMES - 1 - 2
    assert 0 < summary.score < 2
    header = Weights.load(tmp_path / "w").header
    assert (header.target["held_out"], header.target["score"]) == (2, summary.score)
    assert {"samples", "tensorboard", "best.safetensors"} <= {p.name for p in (tmp_path / "w.work").iterdir()}


def test_the_method_gives_what_synthesis_gives(trained, track, clip, model):
    method = find_method(method_of(trained[0]))
    weights = method.load(trained[0], model)
    given = method.reenact(weights, Drive(track), Target(track, clip, model))
    assert all(np.array_equal(a, b) for a, b in zip(given, synthesize(trained[0], track, clip, model=model)))


def test_one_frame_clip_trains(tmp_path, track, clip, model):
    one = dataclasses.replace(
        track, parameters=track.parameters[:1], times=track.times[:1], status=track.status[:1],
        confidence=track.confidence[:1],
    )  # fmt: skip
    summary = train(
        one, Clip(clip.frames[:1]), tmp_path / "w", model=model, size=64, width=4, steps=3, settings=SETTINGS
    )
    assert summary.frames == 1
    assert np.isfinite(list(summary.losses.values())).all()


def test_synthesis_streams_whole_frames(trained, track, clip, model):
    frames = list(synthesize(trained[0], track, clip, model=model, batch=4))
    crop = trained[1].crop
    assert len(frames) == FRAMES
    outside = np.ones((HEIGHT, WIDTH), bool)
    outside[crop.y0 : crop.y0 + crop.side, crop.x0 : crop.x0 + crop.side] = False
    for k, frame in enumerate(frames):
        assert frame.shape == (HEIGHT, WIDTH, 3)
        assert frame.dtype == np.uint8
        assert np.array_equal(frame[outside], clip.frames[k][outside])
        assert np.array_equal(frame, clip.frames[k]) is (k == 5)  # no face there: as it was


def test_batches_do_not_change_the_result(trained, track, model):
    weights = Weights.load(trained[0])
    network = weights.network()
    one = np.stack([c for c, _ in synthesize_crops(network, weights, track, model=model, batch=1)])
    five = np.stack([c for c, _ in synthesize_crops(network, weights, track, model=model, batch=5)])
    assert np.abs(one.astype(int) - five).max() <= 3  # bfloat16


def test_target_frames(track):
    assert target_frames(track) == list(range(FRAMES))
    assert target_frames(track, 5) == [0, 1, 2, 3, 4, 3, 2, 1, 0, 1, 2, 3, 4, 3]
    assert target_frames(track, 1) == [0] * FRAMES
    listed = track.with_parameters(track.parameters, target_frames=[3] * FRAMES)
    assert target_frames(listed, 5) == [3] * FRAMES
    with pytest.raises(PortraitError, match="one target frame for each"):
        target_frames(track.with_parameters(track.parameters, target_frames=[1, 2]))


def test_longer_track_plays_the_target_back_and_forth(trained, track, clip, model):
    order = list(range(FRAMES)) + list(range(FRAMES - 2, -1, -1))
    rows = torch.tensor(order)
    longer = dataclasses.replace(
        track, parameters=track.parameters[rows], times=torch.arange(len(order)).double() / 25,
        status=torch.ones(len(order), dtype=torch.int64), confidence=torch.ones(len(order)),
    )  # fmt: skip
    frames = list(synthesize(trained[0], longer, clip, model=model))
    assert len(frames) == 27
    assert np.array_equal(frames[0][:, 0], clip.frames[0][:, 0])
    assert np.array_equal(frames[26][:, 0], clip.frames[0][:, 0])


def test_tracks_that_do_not_belong_are_refused_at_once(trained, track, clip, model):
    with pytest.raises(PortraitError, match="expected frames of 160 x 120"):
        synthesize(trained[0], dataclasses.replace(track, width=320), clip, model=model)
    with pytest.raises(PortraitError, match="one model"):
        synthesize(trained[0], dataclasses.replace(track, fingerprint="0" * 16), clip, model=model)
    with pytest.raises(PortraitError, match="give the target clip"):
        list(synthesize(trained[0], track, Clip(clip.frames[:, ::2, ::2]), model=model))
