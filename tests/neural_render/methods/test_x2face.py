"""X2Face: its losses, its codes, and the method from clips to pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torchvision.models.vgg import cfgs, make_layers

from facemodel import FaceParameters
from facemodel.editing.poses import head_rotation
from facemodel.track import FrameStatus, Track
from foundation.errors import PortraitError
from neural_render.corpus import gather
from neural_render.losses.terms import pyramid_l1
from neural_render.methods.base import METHODS
from neural_render.methods.clip import Clip, Landmarks
from neural_render.methods.common.linear_map import applied, linear_map
from neural_render.methods.x2face.codes import Codes
from neural_render.methods.x2face.method import codes_of_track
from neural_render.methods.x2face.network import X2Face
from neural_render.methods.x2face.settings import Settings
from neural_render.methods.x2face.trainer import Trainer
from neural_render.training import make_fabric
from tests.neural_render.methods.drawn import clip_of, people

SMALL = dict(size=64, width=4, batch=4)


def test_the_pyramid_of_a_shift():
    """Stripes two pixels wide, moved by two, differ by their whole contrast, and by nothing once averaged over four."""
    stripes = torch.tensor([0.0, 0.0, 1.0, 1.0]).repeat(4).expand(1, 3, 16, 16)
    moved = stripes.roll(2, -1)
    assert pyramid_l1(stripes, moved).item() == pytest.approx((1 + 0) / 2)  # at 8 px and at 4


def test_somebody_is_driven_by_each_of_several():
    network = X2Face(64, 4).eval()
    sources, drivers = torch.rand(2, 3, 3, 64, 64), torch.rand(2, 2, 3, 64, 64)
    made = network(sources, drivers)
    face = network.embedder(sources).face
    for k in range(2):
        torch.testing.assert_close(made[:, k], network.drive(face, network.vector(drivers[:, k])))


def test_it_learns_drawn_people(tmp_path):
    settings = Settings(**SMALL, rate=2e-3, sources=1)
    trainer = Trainer(settings, gather(people(1, acts=1, frames=2), tmp_path, 64), make_fabric("cpu"))
    history = [trainer.advance()["l1"] for _ in range(16)]
    assert np.mean(history[-3:]) < 0.8 * history[0]
    assert trainer.sheet().shape == (5 * 64, 6 * 64, 3)


def random_vgg(path) -> str:
    """A file with VGG-16's convolutions, as they begin."""
    layers = make_layers(cfgs["D"])
    save_file({f"features.{k}": v for k, v in layers.state_dict().items()}, path)
    return str(path)


def test_stage_two_asks_vgg_who_is_seen(tmp_path):
    settings = Settings(size=64, width=4, batch=2, stage_two_after=1, vgg=random_vgg(tmp_path / "vgg.safetensors"))
    trainer = Trainer(settings, gather(people(2), tmp_path, 64), make_fabric("cpu"))
    assert trainer.advance().keys() == {"l1", "pyramid"}
    assert trainer.advance().keys() == {"l1", "pyramid", "content", "identity content"}
    assert trainer.optimizers["x2face"].param_groups[0]["lr"] == settings.second_rate
    pictures = torch.rand(1, 2, 3, 64, 64)
    same = trainer._content(pictures, pictures[:, 0], pictures[:, 1])
    assert same["content"] == 0 and same["identity content"] == 0
    other = trainer._content(pictures, pictures[:, 1], pictures[:, 0])
    assert other["content"] > 0 and other["identity content"] > 0


def test_codes_are_least_squares_and_leave_the_rest():
    g = torch.Generator().manual_seed(0)
    codes = torch.randn(200, 2, generator=g, dtype=torch.float64)
    rest = torch.randn(200, 3, generator=g, dtype=torch.float64)
    mixing = torch.randn(5, 128, generator=g, dtype=torch.float64)
    vectors = torch.cat([codes, rest], 1) @ mixing + 3
    both = Codes(linear_map(vectors, codes, 1e-9), linear_map(codes, vectors, 1e-9))
    torch.testing.assert_close(both.read(vectors), codes, atol=1e-4, rtol=0)
    slope = np.linalg.lstsq(np.c_[codes.numpy(), np.ones(200)], vectors.numpy(), rcond=None)[0]
    np.testing.assert_allclose(both.to_vector.numpy(), slope, atol=1e-4)
    wanted = torch.tensor([[1.0, -2.0], [0.0, 0.5]], dtype=torch.float64)
    moved = both.moved(vectors[:1], wanted)
    assert moved.shape == (2, 128)
    torch.testing.assert_close(moved[1] - moved[0], (wanted[1] - wanted[0]) @ both.to_vector[:-1])
    torch.testing.assert_close(both.moved(vectors[:1], both.read(vectors[:1])), vectors[:1])
    assert applied(both.to_codes, vectors).shape == (200, 2)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    method, out = METHODS["x2face"](), tmp_path_factory.mktemp("x2face") / "w"
    clips = people(3)
    method.train(clips, out, method.options(steps=3, **SMALL))
    assert method.train(clips, out, method.options(steps=4, **SMALL)).resumed_at == 3
    whole = out.with_name("whole")
    method.train(clips, whole, method.options(steps=4, **SMALL))
    a, b = method.load(out).tensors, method.load(whole).tensors
    assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
    return method, method.load(out)


def test_a_photograph_is_driven_by_pictures(trained):
    method, weights = trained
    made = np.stack(list(method.animate(weights, clip_of(7, frames=1), clip_of(8, 1))))
    assert made.shape == (6, 64, 64, 3) and made.dtype == np.uint8
    panels = list(method.panels(weights, clip_of(7), clip_of(8), iter(made[:2]), 40))
    assert len(panels) == 2 and panels[0]["embedded face"].shape == (40, 40, 3)
    one, four = (method.person(weights, clip_of(7), count=count).face for count in (1, 4))
    assert (one != four).any()


def track_of(model, angles: np.ndarray) -> Track:
    """A resting head, 5 m away, that turns by angles (F, 3), radians."""
    rest = FaceParameters.neutral(model, (len(angles),), focal=4000.0, distance=5000.0)
    p = rest.replace(rotation=head_rotation(angles).float())
    status = torch.full((len(angles),), int(FrameStatus.TRACKED))
    times = torch.arange(len(angles)) / 25.0
    return Track(model.name, model.fingerprint, 128, 128, p, times, status, torch.ones(len(angles)))


def test_a_track_without_pictures_drives_by_its_codes(model, tmp_path):
    """The drawn people's landmarks are replaced by those of a head that turns as far as theirs moves to the right."""
    clips = []
    for person in range(3):
        clip, angles = clip_of(person), np.zeros((6, 3))
        angles[:, 0] = (clip.landmarks.points[:, 12, 0] - 24) / 10
        head = track_of(model, angles)
        points = (24 + 0.25 * (head.parameters.landmarks(model, head.camera).numpy() - 64)).astype(np.float32)
        clip.find_landmarks = lambda _, points=points: Landmarks("mediapipe478", points)
        clip.release()
        clips.append(clip)
    method = METHODS["x2face"]()
    method.train(clips, tmp_path / "w", method.options(steps=2, units=True, **SMALL))
    weights = method.load(tmp_path / "w")
    assert weights.header.codes == ("yaw", "pitch", "roll", "AU01", "AU26")
    driver = Clip.of_track(track_of(model, np.array([[0.0, 0, 0], [0.4, 0, 0]])), model=model)
    made = list(method.animate(weights, clips[0], driver))
    assert len(made) == 2 and made[0].shape == (64, 64, 3) and (made[0] != made[1]).any()
    turned = codes_of_track(driver, weights.header.codes)
    np.testing.assert_allclose(turned[:, 0], [0, 0.4], atol=0.02)
    np.testing.assert_allclose(turned[:, 3:], 0, atol=1e-6)
    with pytest.raises(PortraitError, match="expected the face model of"):
        method.animate(weights, clips[0], Clip(None, 8, 8, person="eve"))


def test_bad_input(trained, tmp_path):
    method, weights = trained
    assert weights.header.codes == ()  # the drawn people's points are of no face model
    with pytest.raises(PortraitError, match="expected the driver's pictures, as these weights have no codes"):
        method.animate(weights, clip_of(7), Clip(None, 8, 8, person="eve"))
    bare = clip_of(8)
    bare.find_landmarks = None
    with pytest.raises(PortraitError, match="driver: expected landmarks of"):
        method.animate(weights, clip_of(7), bare)
    with pytest.raises(PortraitError, match="size: expected 64, 128, 256, got 65"):
        method.options(size=65)
    with pytest.raises(PortraitError, match="expected VGG-16's weights"):
        method.options(stage_two_after=5, vgg=str(tmp_path / "none.pth"))
