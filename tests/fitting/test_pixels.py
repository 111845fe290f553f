"""Small pictures as a camera sees them: against the renderer, and derivatives against finite differences."""

import cv2
import numpy as np
import pytest
import torch

from benchmarks.faults import PICTURE_FAULTS
from fitting import pixels
from fitting.energy.terms import projection
from fitting.observation.crop import SMALL, Crop, Pixels, cut_out
from fitting.pixels import Drawing, _Surface, guess_behind
from fitting.solver.state import FitState, Layout
from renderer import Camera, linear_to_srgb, render, rotation_matrix, sh_basis
from synthetic import make_scene

BLUR = torch.tensor(0.7)
STEPS = {
    "identity": ([0, 10], (0.05, 0.3)),
    "reflectance": ([0], (0.1,)),
    "log_focal": ([0], (0.002,)),
    "rotation": ([0, 1], (0.004,) * 2),
    "translation": ([0, 2], (0.5, 3.0)),
    "expression": ([0, 25], (0.1, 0.1)),
    "gaze": ([0, 1], (0.05, 0.05)),  # the eye that is seen
    "light": ([0, 13], (0.02,) * 2),
}


def state_of(truth) -> FitState:
    return FitState(
        truth.identity, truth.reflectance, torch.zeros(1, 3), torch.zeros(20), truth.focal.log(),
        rotation_matrix(truth.rotation), truth.translation, truth.expression, truth.gaze, truth.illumination,
    )  # fmt: skip


def pixels_of(scene) -> Pixels:
    middle = torch.tensor([scene.camera.width / 2, scene.camera.height / 2])
    return Pixels(torch.from_numpy(scene.pictures[0]).float() / 255, torch.zeros(2), middle)


@pytest.fixture(scope="module")
def small():
    import facemodel

    model = facemodel.load()
    scene = make_scene(model, 0, 1, 512, PICTURE_FAULTS["small"])
    layout = Layout(len(model.identity_basis), len(model.albedo_basis), len(model.expression_names))
    with torch.inference_mode():
        yield model, state_of(scene.truth), pixels_of(scene), layout, scene


def test_is_what_the_renderer_draws(small):
    model, state, seen, _, scene = small
    size = scene.camera.width
    behind = torch.full((size, size, 3), 0.3)
    drawn = Drawing(model, state, seen, BLUR, behind)
    maps = render(model, scene.truth, Camera(float(scene.truth.focal), size, size), ("diffuse", "mask"), supersample=6)
    expected = maps["diffuse"][0] + (1 - maps["mask"][0]) * 0.3
    blurred = cv2.GaussianBlur(expected.numpy(), (0, 0), float(BLUR), borderType=cv2.BORDER_REPLICATE)
    assert np.abs(drawn.colour.numpy() - blurred).max() < 0.02
    cover = cv2.GaussianBlur(maps["mask"][0, ..., 0].numpy(), (0, 0), float(BLUR), borderType=cv2.BORDER_REPLICATE)
    assert np.abs(drawn.cover.numpy() - cover).max() < 0.01


def test_a_part_of_a_frame_is_that_part(small):
    """Pixels cut out about the face are drawn as they are in the whole frame."""
    model, state, seen, _, _ = small
    whole = Drawing(model, state, seen, BLUR, torch.zeros_like(seen.picture))
    part = Pixels(seen.picture[20:80, 30:85], torch.tensor([30.0, 20.0]), seen.centre)
    drawn = Drawing(model, state, part, BLUR, torch.zeros_like(part.picture))
    inner = slice(4, -4)
    assert torch.allclose(drawn.colour[inner, inner], whole.colour[24:76, 34:81], atol=2e-3)


@pytest.mark.parametrize("block", STEPS)
def test_jacobian(small, block):
    """Outlines move, so many fine pixels are needed for differences that are smooth."""
    model, state, seen, layout, _ = small
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pixels, "FINER", 20)
        drawn = Drawing(model, state, seen, BLUR)
        jacobian, first = drawn.jacobian(layout), layout.slices()[block].start
        for k, size in zip(*STEPS[block]):
            step = torch.zeros(layout.shared + layout.frame)
            step[first + k] = size
            sides, ends = [], []
            for sign in (1, -1):
                other = state.stepped(sign * step[: layout.shared], sign * step[None, layout.shared :], layout)
                sides.append(Drawing(model, other, seen, BLUR, drawn.behind).colour)
                ends.append(other.expression[0, k] if block == "expression" else sign * size)  # bounded
            expected = (sides[0] - sides[1]) / float(ends[0] - ends[1])
            off = (jacobian[..., first + k] - expected).norm() / expected.norm()
            assert off < (0.3 if block in ("expression", "gaze", "identity") else 0.15), (k, float(off))


def test_vertices_derivatives():
    """Their motion and change of colour by a random step of each block, in double precision."""
    import facemodel

    model, random = facemodel.load().double(), torch.Generator().manual_seed(0)
    normal = lambda *size: torch.randn(*size, generator=random, dtype=torch.float64)  # noqa: E731
    layout = Layout(len(model.identity_basis), len(model.albedo_basis), len(model.expression_names))
    light = 0.1 * normal(1, 9, 3)
    light[:, 0] = 2.5
    state = FitState(
        0.7 * normal(layout.identity), 0.7 * normal(layout.reflectance), normal(1, 3), normal(20),
        torch.tensor(6.0, dtype=torch.float64), rotation_matrix(0.3 * normal(1, 3)),
        torch.tensor([[20.0, -10.0, 500.0]], dtype=torch.float64),
        0.2 + 0.1 * torch.rand(1, layout.expression, generator=random, dtype=torch.float64),
        0.2 * normal(1, 2, 2), light,
    )  # fmt: skip
    index = torch.cat([torch.arange(0, len(model.mean), 97), *(eye[::7] for eye in model.eye_vertices)]).unique()

    def shown(state):
        surface, focal = _Surface(model, state), state.log_focal.exp()
        albedo = model.albedo(state.reflectance)
        linear = albedo[index] * (sh_basis(surface.normals[index]) @ state.light[0])
        colour = linear_to_srgb(linear.clamp(1e-4, 1))
        both = surface.derivatives(index, albedo, focal, layout)
        return (projection(surface.points[None, index], focal)[0][0], colour), both

    with torch.inference_mode():
        (_, derivatives), small = shown(state), 1e-5
        for name, block in layout.slices().items():
            step = torch.zeros(layout.shared + layout.frame, dtype=torch.float64)
            step[block] = normal(block.stop - block.start)
            sides = [
                shown(state.stepped(sign * step[: layout.shared], sign * step[None, layout.shared :], layout))[0]
                for sign in (small, -small)
            ]
            for above, below, derivative in zip(*sides, derivatives):
                expected = (above - below) / (2 * small)
                assert torch.allclose(derivative @ step, expected, rtol=1e-5, atol=1e-6), name


def test_by_blur(small):
    model, state, seen, _, _ = small
    drawn = Drawing(model, state, seen, BLUR)
    sides = [Drawing(model, state, seen, BLUR * f, drawn.behind).colour for f in (1.1, 1 / 1.1)]
    expected = (sides[0] - sides[1]) / (2 * np.log(1.1))
    assert (drawn.by_blur() - expected).norm() < 0.05 * expected.norm()


def test_what_is_behind_is_guessed_from_around():
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(50.0), indexing="ij")
    ramp = torch.stack([0.2 + 0.01 * x, 0.5 + 0 * x, 0.8 - 0.01 * y], -1)
    cover = ((x - 25) ** 2 + (y - 20) ** 2 < 100).float()
    picture = torch.where(cover[..., None] > 0, torch.zeros_like(ramp), ramp)
    guess = guess_behind(picture, cover)
    near = (x - 25) ** 2 + (y - 20) ** 2 > 64
    assert (guess - ramp)[near].abs().max() < 0.08 and (guess - ramp)[cover == 0].abs().max() == 0
    assert torch.allclose(guess_behind(torch.full((9, 9, 3), 0.4), cover[15:24, 20:29]), torch.zeros(9, 9, 3))


def test_small_faces_keep_their_pixels(small):
    _, _, _, _, scene = small
    from fitting.landmarks.base import Face

    face = Face(scene.landmarks[0], "mediapipe478", 1.0)
    crop = cut_out(scene.pictures[0], face, 64)
    x, y = crop.pixels_corner
    height, width = crop.pixels.shape[:2]
    assert isinstance(crop, Crop) and np.array_equal(crop.pixels, scene.pictures[0][y : y + height, x : x + width])
    assert crop.observe((64,)).pixels[0].picture.shape == (height, width, 3)
    larger = np.repeat(np.repeat(scene.pictures[0], 4, 0), 4, 1)
    large = cut_out(larger, Face(4 * scene.landmarks[0], "mediapipe478", 1.0), 64)
    assert 4 * face.size > SMALL and large.pixels is None and large.observe((64,)).pixels is None
    for away in (120, 300):  # out of the picture
        assert cut_out(scene.pictures[0], Face(scene.landmarks[0] - away, "mediapipe478", 1.0), 64).pixels is None
