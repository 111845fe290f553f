"""FReeNet: its networks, its losses, and the method from clips to pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from foundation.errors import PortraitError
from neural_render.corpus import gather
from neural_render.methods.base import METHODS
from neural_render.methods.clip import Clip
from neural_render.methods.common.contours import Contours
from neural_render.methods.common.head_frame import HeadFrame
from neural_render.methods.freenet.converter import LandmarkConverter, LandmarkJudge
from neural_render.methods.freenet.generator import GeometryGenerator
from neural_render.methods.freenet.method import fitted
from neural_render.methods.freenet.settings import Settings
from neural_render.methods.freenet.trainer import Trainer, triplet
from neural_render.training import make_fabric
from tests.neural_render.methods.drawn import clip_of as drawn_clip
from tests.neural_render.methods.landmarked import SIDE, clip_of, people

SMALL = dict(size=64, width=4, points=16, batch=2)


def test_networks_are_the_papers():
    with torch.device("meta"):
        generator, converter, judge = GeometryGenerator(), LandmarkConverter(torch.empty(106, 3)), LandmarkJudge(106)
        points = torch.empty(1, 106, 2)
        made = generator(torch.empty(1, 3, 256, 256), points, points)
        reference = generator.encoder(torch.empty(1, 3, 256, 256))
        heads = torch.empty(2, 106, 3)
        moved, logits = converter(heads, heads), judge(heads, heads)
    assert made.shape == (1, 3, 256, 256) and reference.shape == (1, 256, 64, 64)
    assert generator.marks(torch.empty(1, 1, 256, 256, device="meta")).shape == (1, 16, 64, 64)
    assert [b.body[1].in_channels for b in generator.blocks] == [256, 256, 272, 256, 256, 272, 256, 256, 272]
    linear = [m for m in converter.of_driver if isinstance(m, torch.nn.Linear)]
    assert [m.out_features for m in linear] == [512] * 6 and moved.shape == heads.shape
    assert [m.out_features for m in converter.to_offsets if isinstance(m, torch.nn.Linear)] == [1024, 512, 318]
    assert [x.shape for x in logits] == [(2, 1), (2, 1)]


def test_the_converter_begins_as_the_drivers_points_and_as_least_squares():
    g = torch.Generator().manual_seed(0)
    shape = torch.randn(5, 3, generator=g)
    converter = LandmarkConverter(shape, 8)
    driver, person = (shape + 0.1 * torch.randn(400, 5, 3, generator=g) for _ in range(2))
    torch.testing.assert_close(converter(driver, person), driver)
    mixed = driver.flip(1) - 0.3 * person + 0.2  # linear in both, with a constant
    converter.begin(driver, person, mixed, 1e-9)
    torch.testing.assert_close(converter(driver, person), mixed, atol=1e-4, rtol=0)


def test_the_triplet_loss_in_closed_form():
    class Layers:
        def features(self, x):
            return [x, 2 * x, 3 * x, 100 * x]

    zero, one = torch.zeros(2, 3, 4, 4), torch.ones(2, 3, 4, 4)
    # Layers are apart by 1, 4 and 9: the fourth isn't looked at.
    assert triplet(Layers(), zero, one, zero).item() == pytest.approx((1.3 + 4.3 + 9.3) / 3)
    assert triplet(Layers(), zero, zero, one).item() == 0
    assert triplet(Layers(), zero, zero, 0.5 * one).item() == pytest.approx((0.3 - 0.25) / 3)


def test_pairs_teach_the_converter_a_strangers_face(tmp_path):
    faces = gather(people(8, 2), tmp_path, 64)
    trainer = Trainer(Settings(width=4, points=16, batch=2, size=64), faces, make_fabric("cpu"))
    contours = Contours.of("ibug68")
    points = torch.from_numpy(contours.pick(faces.landmarks))
    rows = np.flatnonzero((faces.person != 3) & (faces.performance == 0))
    wanted, own = faces.counterpart(rows, np.array(3)), np.flatnonzero((faces.person == 3) & (faces.performance == 1))
    frame = HeadFrame.of(contours)
    made = fitted(trainer.averages["converter"], contours, points[rows], torch.from_numpy(faces.landmarks[own]))
    error = lambda x: (frame.split(x)[0] - frame.split(points[wanted])[0]).norm(dim=-1).mean()  # noqa: E731
    assert error(made) < 0.6 * error(points[rows])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    method, out = METHODS["freenet"](), tmp_path_factory.mktemp("freenet") / "w"
    method.train(people(2), out, method.options(steps=1, **SMALL))
    summary = method.train(people(2), out, method.options(steps=2, **SMALL))
    return method, out, summary


def test_a_training_goes_on_to_the_same_bits(trained, tmp_path):
    method, out, summary = trained
    said = []
    method.train(people(2), tmp_path / "w", method.options(steps=2, **SMALL), report=said.append)
    assert (summary.resumed_at, summary.steps, summary.frames) == (1, 2, 24)
    assert set(summary.losses) == {"truth", "cycle", "own", "realness", "likeness", "l1", "adversarial"}
    assert any("the triplet loss is left out" in event.note for event in said)
    weights, whole = method.load(out), method.load(tmp_path / "w")
    assert all(torch.equal(whole.tensors[k], t) for k, t in weights.tensors.items())
    assert weights.header.scheme == "ibug68"


def test_a_corpus_without_pairs_is_told_of(trained, tmp_path):
    method, clips, said = trained[0], people(2, 1), []
    for clip in clips:
        clip.performance = ""
    summary = method.train(clips, tmp_path / "w", method.options(steps=1, **SMALL), report=said.append)
    assert any("no performance is labelled" in event.note for event in said)
    assert summary.losses["truth"] == 0


def test_landmarks_drive_pictures(trained):
    method, out, _ = trained
    weights, target = method.load(out), clip_of(5, frames=3)
    driver = clip_of(6, 1, frames=4, missing=(2,))
    alone = Clip(None, SIDE, SIDE, person="person 6", find_landmarks=driver.find_landmarks)
    made = np.stack(list(method.animate(weights, target, alone)))
    assert made.shape == (4, 64, 64, 3) and made.dtype == np.uint8
    assert np.array_equal(made[1], made[2]) and not np.array_equal(made[0], made[1])
    same = Clip(None, SIDE, SIDE, person=target.person, find_landmarks=driver.find_landmarks)
    own = np.stack(list(method.animate(weights, target, same)))
    assert not np.array_equal(own, made)  # its own person's landmarks aren't converted
    photograph = list(method.animate(weights, clip_of(5, frames=1), driver))
    assert len(photograph) == 4


def test_bad_input(trained):
    method, out, _ = trained
    weights = method.load(out)
    with pytest.raises(PortraitError, match="size: expected 64, 128 or 256, got 96"):
        method.options(size=96)
    with pytest.raises(PortraitError, match="points: expected at least 4, got 1"):
        method.options(points=1)
    with pytest.raises(PortraitError, match="target: expected landmarks 'ibug68' of clip '1-0.mp4'.* got 'drawn'"):
        method.animate(weights, drawn_clip(1), clip_of(0))
    with pytest.raises(PortraitError, match="driver: expected a face|expected a face in at least one frame"):
        method.animate(weights, clip_of(1), clip_of(0, frames=2, missing=(0, 1)))
    weights.tensors.pop("generator.decoder.7.bias")
    with pytest.raises(PortraitError, match="tensors of the generator aren't what the header says"):
        method.animate(weights, clip_of(1), clip_of(0))
