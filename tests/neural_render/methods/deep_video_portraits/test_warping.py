import dataclasses

import numpy as np
import pytest
import torch

from facemodel.track import FrameStatus
from neural_render.methods.deep_video_portraits import warping
from neural_render.methods.deep_video_portraits.conditioning import camera_for, head_crop
from neural_render.methods.deep_video_portraits.data import ClipCache
from neural_render.methods.deep_video_portraits.settings import Settings
from neural_render.methods.deep_video_portraits.trainer import Trainer
from renderer import project, rasterize, to_camera
from tests.neural_render.arrays import ArraySamples, moving_disc
from tests.neural_render.conftest import FRAMES

SIZE = 64


def with_brows_up(model, parameters, by=0.8):
    expression = parameters.expression.clone()
    expression[..., [k for k, n in enumerate(model.expression_names) if n.startswith("browOuterUp")]] += by
    return parameters.replace(expression=expression)


def test_performances_move_the_named_shapes_and_the_eyes_alone(model, track):
    made = warping.performances(track, model, 3, seed=1)
    assert len(made) == 3 * FRAMES
    cuts = (made.status & int(FrameStatus.CUT)) != 0
    assert torch.nonzero(cuts).flatten().tolist() == [0, FRAMES, 2 * FRAMES]
    assert torch.equal(made.tracked, track.tracked.repeat(3))
    was, now = track.parameters.expression.repeat(3, 1), made.parameters.expression
    assert now.min() >= 0 and now.max() <= 1
    moved = [n for n, far in zip(model.expression_names, (now - was).abs().amax(0)) if far > 0]
    kinds = {n.removesuffix("Left").removesuffix("Right") for n in moved if not n.startswith("eyeLook")}
    assert kinds == {m.shape for m in warping.POLICY.moves}
    turned = made.parameters.gaze - track.parameters.gaze.repeat(3, 1, 1)
    assert torch.equal(turned[:, 0], turned[:, 1])
    assert (turned.abs().amax((0, 1)) <= torch.tensor(warping.POLICY.gaze).deg2rad() + 1e-6).all()
    assert torch.equal(made.parameters.rotation, track.parameters.rotation.repeat(3, 1))
    again = warping.performances(track, model, 3, seed=1)
    assert torch.equal(again.parameters.expression, now)
    assert not torch.equal(now[:FRAMES], now[FRAMES : 2 * FRAMES])


def test_pictures_show_what_is_performed_and_eyes_that_turn_further(model, track):
    performed = warping.performances(track, model, 1).parameters.expanded()[3]
    real = track.parameters.expanded()[3]
    seen = warping.shown(real, performed, model)
    for k in map(model.expression_index, ("browInnerUp", "browDownLeft", "jawOpen")):
        assert seen.expression[k] == performed.expression[k]
    torch.testing.assert_close(seen.gaze - real.gaze, warping.POLICY.gaze_gain * (performed.gaze - real.gaze))
    same = warping.shown(real, real, model)
    torch.testing.assert_close(same.expression, real.expression)


def test_curves_are_smooth_and_use_their_range():
    curve = warping.smooth_noise(np.random.default_rng(0), 4000, 6.0)
    assert curve.min() >= 0 and curve.max() <= 1
    assert np.quantile(curve, 0.05) < 0.15 and np.quantile(curve, 0.95) > 0.85
    assert np.abs(np.diff(curve)).max() < 0.2
    closed = warping.blinks(np.random.default_rng(0), 4000, 25.0)
    assert closed.max() > 0.9 and 0.1 < (closed > 0.1).mean() < 0.5


def test_nothing_moves_where_the_expression_stays(model, track):
    camera = camera_for(track, head_crop(track, model), SIZE)
    p = track.parameters.expanded()[2]
    shift, inside = warping.motion(model, p, p, camera)
    assert inside.any() and np.abs(shift).max() == 0
    picture = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    np.testing.assert_array_equal(warping.warped(picture, warping.faded(shift, inside, 2.0)), picture)


def test_points_of_the_model_move_as_the_projection_says(model, track):
    """At the pixel of a visible brow's point, the motion leads back to where that point was."""
    camera = camera_for(track, head_crop(track, model), 256)
    before = track.parameters.expanded()[2]
    after = with_brows_up(model, before)
    was, now = (
        to_camera(model.vertices(p.identity, p.expression, p.gaze), p.rotation, p.translation) for p in (before, after)
    )
    old, new = project(was, camera).numpy(), project(now, camera).numpy()
    shift, _ = warping.motion(model, before, after, camera)
    depth = rasterize(now[None], model.triangles, camera).zbuf[0, ..., 0].numpy()
    points = np.flatnonzero(model.regions["brows"].numpy())
    column, row = np.floor(new[points]).astype(int).T
    seen = np.abs(depth[row, column] - now[points, 2].numpy()) < 2
    far = np.linalg.norm(old - new, axis=1)[points]
    assert seen.all() and (far > 0.8).sum() >= 8
    error = np.linalg.norm(shift[row, column] - (old - new)[points], axis=1)  # up to a pixel away from the point
    assert error.max() < 0.2


def test_a_mark_lands_where_it_is_asked_for():
    picture = np.zeros((96, 96, 3), np.uint8)
    picture[40:44, 60:64] = 255
    shift = np.zeros((48, 48, 2), np.float32)
    shift[..., 0] = -3  # of 48 px: six of the picture's
    landed = warping.warped(picture, shift)
    rows, columns = np.nonzero(landed[..., 0] > 128)
    assert (rows.mean(), columns.mean()) == (41.5, 67.5)


def test_motion_fades_out_beside_the_face():
    inside = np.zeros((64, 64), bool)
    inside[20:44, 20:44] = True
    shift = np.where(inside[..., None], np.float32([4, -2]), 0)
    faded = warping.faded(shift, inside, 2.0)
    np.testing.assert_array_equal(faded[inside], shift[inside])
    beside = faded[32, 44:56, 0]
    assert beside[0] > 3 and (np.diff(beside) <= 0).all() and beside[-1] < 0.01


def test_what_was_hidden_is_taken_from_the_nearest_that_was_seen():
    before, after = np.zeros((8, 8), bool), np.zeros((8, 8), bool)
    before[3:5, 2:5], after[3:5, 2:7] = True, True
    shift = np.zeros((8, 8, 2), np.float32)
    shift[..., 0] = 1  # so that columns 4 to 6 lead out of what was seen
    warping.seen_before(shift, after, before)
    assert shift[3, 2:7, 0].tolist() == [1, 1, 0, -1, -2] and not shift[..., 1].any()
    assert shift[0, 0, 0] == 1


@pytest.fixture
def caches(tmp_path, model, track, clip):
    real = ClipCache.build(tmp_path / "real", track, clip, model, crop=head_crop(track, model), size=SIZE)
    return real, warping.build(tmp_path / "warped", real, track, clip, model)


def test_warped_samples_are_of_the_clip_and_follow_their_maps(caches, model, track, clip):
    real, made = caches
    copies = warping.POLICY.copies
    assert len(made) == copies * len(real) and made.batch(np.arange(2), 3)[0].shape == (2, 3, SIZE, SIZE, 9)
    np.testing.assert_array_equal(made.made_from, np.tile(np.arange(len(real)), copies))
    was, now = real.batch(made.made_from, 1)[1].float(), made.batch(np.arange(len(made)), 1)[1].float()
    face = real.batch(made.made_from, 1)[0][:, 0, ..., 3:6].amax(-1) > 0
    assert (now - was).abs()[face].mean() > 0.3
    corners = (..., slice(0, 3), slice(0, 3), slice(None))
    assert torch.equal(now[corners], was[corners])
    # The clip is its own shaded maps, so where those change the warped picture is nearer to the new ones
    before, after = (c.batch(k, 1)[0][:, 0].float() for c, k in ((real, made.made_from), (made, np.arange(len(made)))))
    changed = face & ((after - before)[..., :3].abs().amax(-1) > 25) & (after[..., 3:6].amax(-1) > 0)
    assert changed.sum() > 1000
    assert (now - after[..., :3]).abs()[changed].mean() < 0.7 * (was - after[..., :3]).abs()[changed].mean()


def test_a_performance_sets_in_anywhere_in_the_window(caches):
    """Before, maps are the clip's own; the current frame always performs."""
    real, made = caches
    samples, window = np.arange(len(made)), 4
    maps, _ = made.batch(samples, window)
    performed, own = made.cache.batch(samples, window)[0], real.batch(made.made_from, window)[0]
    different = (performed != own).flatten(2).any(-1)
    assert different[:, -1].float().mean() > 0.9
    for k in range(window):
        before = k < samples % window
        assert torch.equal(maps[before, k], own[before, k])
        assert torch.equal(maps[~before, k], performed[~before, k])
        assert 0 < before.sum() < len(samples) or k == window - 1 and not before.any()


class Made(ArraySamples):
    made_from = np.arange(8)


def test_warped_steps_leave_the_discriminator_alone_and_held_out_samples_out():
    settings = Settings(size=64, width=4, batch=2, adversarial_after=0, warped_every=2, held_out=0.25)
    disc = moving_disc()
    trainer = Trainer(settings, disc, warped=Made(disc.maps.numpy(), 255 - disc.images.numpy()))
    np.testing.assert_array_equal(trainer.warped_on, trainer.trained_on)
    assert {"adversarial", "discriminator"} <= trainer.advance().keys()
    before = {k: v.clone() for k, v in trainer.discriminator.state_dict().items()}
    assert trainer.advance().keys() == {"l1"}
    assert all(torch.equal(v, before[k]) for k, v in trainer.discriminator.state_dict().items())
    plain = Trainer(dataclasses.replace(settings, warped_every=0), disc, warped=trainer.warped)
    plain.advance()
    assert "discriminator" in plain.advance()
