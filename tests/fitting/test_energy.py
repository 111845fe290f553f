"""Every block of the analytic Jacobians against finite differences, in double precision."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from fitting.energy.landmark_points import landmark_points
from fitting.energy.landmarks import Landmarks, landmarks
from fitting.energy.occluder import occluder
from fitting.energy.photometric import Look, photometric
from fitting.energy.samples import surface_samples
from fitting.energy.surface import MARKS, Affine, SampledSurface, model_surface
from fitting.landmarks.base import Face
from fitting.observation.crop import Level, Observation
from fitting.policy.settings import Thinning
from fitting.policy.weights import TermWeights
from fitting.solver.state import FitState, Unknowns
from geometry.rotation import rotation_matrix
from geometry.spherical_harmonics import sh_basis, sh_basis_gradient
from tests.fitting.conftest import in_double

SIZE = 64
BLOCKS = ["identity", "reflectance", "log_focal", "rotation", "translation", "expression", "gaze", "light"]


def random_state(model, frames=2, seed=0):
    g = torch.Generator().manual_seed(seed)
    normal = lambda *s: torch.randn(*s, generator=g, dtype=torch.float64)  # noqa: E731
    light = 0.2 * normal(frames, 9, 3)
    light[:, 0] = 3 + 0.1 * normal(frames, 3)
    return FitState(
        identity=0.5 * normal(model.count("identity")),
        reflectance=0.3 * normal(model.count("reflectance")),
        detail=torch.zeros(200, 3, dtype=torch.float64),
        log_focal=torch.tensor(900.0, dtype=torch.float64).log(),
        rotation=rotation_matrix(0.2 * normal(frames, 3)),
        translation=torch.tensor([5.0, 10.0, 700.0], dtype=torch.float64) + 4 * normal(frames, 3),
        expression=0.2 + 0.2 * torch.rand(frames, model.count("expression"), generator=g, dtype=torch.float64),
        joints=0.1 * normal(frames, model.count("joints")),
        gaze=0.1 * normal(frames, 2, 2),
        light=light,
        brows=0.01 * normal(1),
    )


class SmoothPicture(Level):
    """A picture given by a formula, so that its value and gradient are exact anywhere."""

    def sample(self, points):
        x, y = points.unbind(-1)
        phase = points.new_tensor([0.0, 0.7, 1.9])
        arg = 0.11 * x[..., None] + 0.07 * y[..., None] + phase
        gradient = torch.stack([0.11 * arg.cos(), 0.07 * arg.cos()], -1) * 0.3
        return 0.5 + 0.3 * arg.sin(), gradient, torch.ones_like(x, dtype=torch.bool)


def setup(model, state, scheme="mediapipe478"):
    marks = landmark_points(model, scheme)
    points = 320 + 40 * torch.randn(
        len(state), len(marks.mean), 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )
    seen = Observation(
        levels={SIZE: SmoothPicture(torch.zeros(1), SIZE)},
        corner=torch.full((len(state), 2), 180.0, dtype=torch.float64),
        side=torch.tensor([300.0, 310.0], dtype=torch.float64)[: len(state)],
        landmarks=points,
        face_size=torch.tensor([200.0, 205.0], dtype=torch.float64)[: len(state)],
        frame_centre=torch.tensor([320.0, 240.0], dtype=torch.float64),
    )
    return in_double(marks), seen, Unknowns.of(model).layout


def shapes(model, samples=200, scheme="mediapipe478"):
    """What gives the shape of a state, in double: a function of the state."""
    marks, drawn = landmark_points(model, scheme), surface_samples(model, samples)
    surface = model_surface(model, {samples: drawn}, marks, occluder(model, Thinning()))
    whole = [in_double(surface._sets[x]) for x in (samples, MARKS)]
    colours = in_double(drawn)

    def shape(state):
        points, at = (Affine(w.neutral + w.identity @ state.identity, w.identity, w.motion) for w in whole)
        albedo = colours.albedo_mean + colours.albedo @ state.reflectance + state.detail
        return SimpleNamespace(surface=SampledSurface(points, albedo, colours.albedo), marks=at)

    return shape


def difference(residual, state, layout, block, frames):
    """Central differences of residual(state) (F, R) along a few columns of a block, with the columns."""
    columns = range(layout.shared + layout.frame)[layout.slices[block]]
    step = {"translation": 1e-3, "log_focal": 1e-6}.get(block, 1e-5)
    chosen = list(columns)[:: max(1, len(columns) // 5)]
    out = []
    for column in chosen:
        values = []
        for sign in (1, -1):
            shared = torch.zeros(layout.shared, dtype=torch.float64)
            own = torch.zeros(frames, layout.frame, dtype=torch.float64)
            if column < layout.shared:
                shared[column] = sign * step
            else:
                own[:, column - layout.shared] = sign * step
            values.append(residual(state.stepped(shared, own, layout)))
        out.append((values[0] - values[1]) / (2 * step))
    return chosen, torch.stack(out, -1)


@pytest.mark.parametrize("block", BLOCKS)
def test_photometric_jacobian(model, block):
    state = random_state(model)
    shape = shapes(model)
    _, seen, layout = setup(model, state)
    look = Look(seen, SIZE, torch.ones(2, 200, dtype=torch.float64))

    def rows(s):
        return photometric(shape(s).surface, s, look, TermWeights(), layout, shared=True)[0]

    columns, expected = difference(lambda s: rows(s).value, state, layout, block, 2)
    got = rows(state).jacobian[..., columns]
    assert got.abs().max() > 0 or block == "gaze"
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=2e-6 * max(1.0, float(expected.abs().max())))


@pytest.mark.parametrize("scheme", ["mediapipe478", "ibug68"])
@pytest.mark.parametrize("block", BLOCKS)
def test_landmark_jacobian(model, block, scheme):
    state = random_state(model)
    marks, seen, layout = setup(model, state, scheme)
    shape = shapes(model, scheme=scheme)

    def rows(s):
        return landmarks(Landmarks(marks, shape(s).marks), s, seen, TermWeights(), layout, shared=True)[0]

    columns, expected = difference(lambda s: rows(s).value, state, layout, block, 2)
    got = rows(state).jacobian[..., columns]
    if block in ("identity", "rotation", "translation", "expression", "log_focal"):
        assert got.abs().max() > 0
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-7 * max(1.0, float(expected.abs().max())))


def test_landmarks_on_the_eyeballs_move_with_gaze(model):
    state = random_state(model)
    marks, seen, layout = setup(model, state)
    rows, _ = landmarks(Landmarks(marks, shapes(model)(state).marks), state, seen, TermWeights(), layout, shared=False)
    at = layout.slices["gaze"]
    gaze = rows.jacobian[..., at.start - layout.shared : at.stop - layout.shared]
    moved = gaze.abs().amax((0, 2))[: 2 * len(marks.mean)].view(-1, 2).amax(1) > 0
    assert torch.equal(moved, marks.eye >= 0)
    assert moved.sum() >= 10


def test_samples_reproduce_the_model(model):
    """Positions equal barycentric points of the mesh; normals are near the mesh's interpolated ones."""
    samples = surface_samples(model, 400)
    geometry = samples.gather(model.mean).view(-1, 3, 3)
    normal = torch.nn.functional.normalize(torch.linalg.cross(geometry[:, 1], geometry[:, 2]), dim=-1)
    vertex_normals = facemodel_normals(model)
    nearest = torch.cdist(geometry[:, 0], model.mean).argmin(1)
    cosine = (normal * vertex_normals[nearest]).sum(-1)
    assert cosine.median() > 0.98
    assert torch.cdist(geometry[:, 0], model.mean).min(1).values.max() < 15  # mm: on the mesh, not off it


def test_samples_lie_on_the_face(model):
    """Where the skin is all of the head's, as others' models have it, the samples are those of the face alone."""
    masks = [~model.region("eyes") if n == "skin" else mask for n, mask in model.regions.items()]
    bare = model.rebuilt(model.flatten() | {"region_masks": torch.stack(masks)})
    assert bare.region("skin").sum() > model.region("skin").sum() + 1000
    near = torch.cdist(surface_samples(bare, 400).positions, model.mean).argmin(1)
    assert model.region("face")[near].float().mean() > 0.99
    no_face = [torch.zeros_like(mask) if n == "face" else mask for n, mask in bare.regions.items()]
    faceless = surface_samples(bare.rebuilt(bare.flatten() | {"region_masks": torch.stack(no_face)}), 400)
    assert (faceless.positions[:, 2] < 0).float().mean() > 0.1, "all of the skin, where nothing says what the face is"


def facemodel_normals(model):
    from geometry.mesh import vertex_normals

    return vertex_normals(model.mean, model.triangles)


def test_light_gradient():
    n = torch.randn(20, 3, dtype=torch.float64)
    got = sh_basis_gradient(n)
    expected = torch.stack(
        [torch.autograd.functional.jacobian(sh_basis, row) for row in n],
    )
    torch.testing.assert_close(got, expected)


def test_observation_samples_what_the_picture_shows():
    from fitting.observation.crop import cut_out

    y, x = np.mgrid[0:200, 0:240] + 0.5
    picture = np.stack([x / 240, y / 200, np.full_like(x, 0.5)], -1)
    picture = (picture * 255).astype(np.uint8)
    points = np.array([[90.0, 60], [150, 60], [120, 130]])
    seen = cut_out(picture, Face(points, "ibug68", 1.0), 128).observe((64, 128))
    at = torch.tensor([[[110.0, 90.0], [130.0, 100.0]]])
    for size, level in seen.levels.items():
        local = (at - seen.corner[:, None]) * size / seen.side
        colour, gradient, inside = level.sample(local)
        assert inside.all()
        torch.testing.assert_close(colour[0, :, 0], at[0, :, 0] / 240, atol=0.006, rtol=0)
        torch.testing.assert_close(colour[0, :, 1], at[0, :, 1] / 200, atol=0.006, rtol=0)
        torch.testing.assert_close(
            gradient[0, :, 0, 0] * size / float(seen.side), torch.full((2,), 1 / 240), atol=4e-4, rtol=0
        )
