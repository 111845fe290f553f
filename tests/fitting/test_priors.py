"""The priors' matrices and slopes against automatic differentiation of the energy, written out here once more."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from fitting.energy.priors import (
    Priors,
    frame_prior,
    light_shape_prior,
    motion_slack,
    relative_sizes,
    shared_prior,
    temporal_prior,
)
from fitting.solver.state import FitState, Layout
from geometry.rotation import rotation_matrix
from geometry.spherical_harmonics import C0

LAYOUT = Layout(3, 2, 4)
PRIORS = Priors()


def random_state(seed, frames=2):
    g = torch.Generator().manual_seed(seed)
    normal = lambda *s: torch.randn(*s, generator=g, dtype=torch.float64)  # noqa: E731
    light = 0.3 * normal(frames, 9, 3)
    light[:, 0] = 3 + 0.2 * normal(frames, 3)
    return FitState(
        identity=normal(3),
        reflectance=normal(2),
        detail=torch.zeros(1, 3, dtype=torch.float64),
        log_focal=torch.tensor(900.0, dtype=torch.float64).log(),
        rotation=rotation_matrix(0.2 * normal(frames, 3)),
        translation=normal(frames, 3),
        expression=torch.rand(frames, 4, generator=g, dtype=torch.float64),
        gaze=0.2 * normal(frames, 2, 2),
        light=light,
        brows=torch.zeros(20, dtype=torch.float64),
    )


def energy_of_a_frame(expression, gaze, light, strength):
    """Half the sum of squared offsets over deviations; ``strength`` is what the light's bands are compared with."""
    p, square = PRIORS, lambda x, deviation: (x / deviation).square().sum()
    mean, deviation = (x / C0 for x in p.light_strength)
    apart = gaze[0] - gaze[1]
    colour = light - light.mean(1, keepdim=True)
    terms = (
        square(expression, p.expression),
        square(gaze, p.gaze),
        square(apart[0], p.gaze_yaw_difference),
        square(apart[1], p.gaze_pitch_difference),
        square(light[1:], p.light_shape * strength),
        square(colour, p.light_colour * strength),
        square(light[0].mean() - mean, deviation),
    )
    return 0.5 * sum(terms)


def test_frame_prior():
    state = random_state(0)
    matrix, slope = frame_prior(state, PRIORS, LAYOUT)
    at = LAYOUT.slices()
    own = slice(at["expression"].start - LAYOUT.shared, None)
    assert (matrix[:, : own.start] == 0).all() and (slope[:, : own.start] == 0).all()  # any pose is as good
    for f in range(2):
        strength = state.light[f, 0].mean()

        def energy(x, strength=strength):
            expression, gaze, light = x.split([4, 4, 27])
            return energy_of_a_frame(expression, gaze.view(2, 2), light.view(3, 9).T, strength)

        x = torch.cat([state.expression[f], state.gaze[f].flatten(), state.light[f].T.flatten()])
        torch.testing.assert_close(slope[f, own], torch.autograd.functional.jacobian(energy, x))
        torch.testing.assert_close(matrix[f, own, own], torch.autograd.functional.hessian(energy, x))


def test_shared_prior():
    state = random_state(1)
    sizes = torch.zeros_like(state.identity)
    sizes[0] = -0.08
    precision, slope = shared_prior(state, 700.0, PRIORS, LAYOUT, sizes)
    expected = torch.tensor([1.0] * 5 + [16.0], dtype=torch.float64)
    expected[0] += (0.08 / PRIORS.size) ** 2
    torch.testing.assert_close(precision, expected)
    off = [state.identity, state.reflectance, (state.log_focal - torch.tensor(700.0, dtype=torch.float64).log())[None]]
    torch.testing.assert_close(slope, precision * torch.cat(off))


def test_sizes_are_by_what_a_face_grows():
    """A basis of which one part scales the face, one moves it, and one does neither."""
    g = torch.Generator().manual_seed(0)
    mean = torch.randn(50, 3, generator=g)
    middle = mean[:40].mean(0)
    other = torch.randn(50, 3, generator=g)
    other -= mean * (other[:40] * (mean[:40] - middle)).sum() / (mean[:40] * (mean[:40] - middle)).sum()
    basis = torch.stack([0.03 * (mean - middle), torch.ones(50, 3), other])
    model = SimpleNamespace(mean=mean, identity_basis=basis, regions={"face": torch.arange(50) < 40})
    torch.testing.assert_close(relative_sizes(model), torch.tensor([0.03, 0.0, 0.0]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("seconds", [1 / 30, 4 / 30])
def test_what_time_lets_move(seconds):
    """Deviations grow with the root of the time between; the light's with its strength too."""
    before = random_state(2)
    step = 0.01 * torch.randn(2, LAYOUT.frame, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    after = before.stepped(None, step, LAYOUT)
    precision, slope = temporal_prior(after, before, seconds, PRIORS, LAYOUT)
    growth, p = (seconds * 30) ** 0.5, PRIORS
    steps = (p.step_rotation, p.step_translation, p.step_expression, p.step_gaze, p.step_light)
    for f in range(2):
        light = before.light[f, 0].mean()
        sigma = torch.cat(
            [torch.full((n,), s, dtype=torch.float64) for n, s in zip((3, 3, 4, 4, 27), (*steps[:4], steps[4] * light))]
        )
        torch.testing.assert_close(precision[f], (sigma * growth) ** -2)
        torch.testing.assert_close(slope[f], precision[f] * step[f], rtol=1e-4, atol=1e-6)


def test_light_never_gets_slack():
    """Else a passing shadow would be taken for light, or the other way round, in one frame."""
    before = random_state(4)
    after = replace(before, light=before.light + 1.0, expression=before.expression * 0)
    slack = motion_slack(after, before, 1 / 30, PRIORS, LAYOUT)
    at = LAYOUT.slices()
    light = slice(at["light"].start - LAYOUT.shared, None)
    expression = slice(at["expression"].start - LAYOUT.shared, at["expression"].stop - LAYOUT.shared)
    assert (slack[:, light] == 1).all() and (slack[:, expression] > 1).all()


def test_a_light_of_any_strength_has_small_bands_and_is_nearly_white():
    light = random_state(3).light
    precision, gradient = light_shape_prior(light, PRIORS, LAYOUT)
    for f in range(len(light)):
        strength = light[f, 0].mean()

        def energy(x, strength=strength):
            bands, colour = x[1:], x - x.mean(1, keepdim=True)
            return 0.5 * (
                (bands / (PRIORS.light_shape * strength)).square().sum()
                + (colour / (PRIORS.light_colour * strength)).square().sum()
            )

        slope = torch.autograd.functional.jacobian(energy, light[f]).T.flatten()  # channel-major
        torch.testing.assert_close(gradient[f], slope)
        torch.testing.assert_close(precision[f] @ light[f].T.flatten(), gradient[f])
    stronger, _ = light_shape_prior(2 * light, PRIORS, LAYOUT)
    torch.testing.assert_close(4 * stronger, precision)
