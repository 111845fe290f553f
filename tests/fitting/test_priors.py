"""The priors' matrices and slopes against automatic differentiation of the energy, written out here once more."""

from dataclasses import replace

import pytest
import torch

from facemodel.base import Block
from facemodel.linear import LinearModel
from facemodel.people import People
from fitting.energy.priors import IdentityPrior, frame_prior, relative_sizes, shade_prior, shared_prior
from fitting.energy.temporal import TemporalPrior
from fitting.policy.weights import Priors
from fitting.solver.state import FitState, Layout, Unknowns
from geometry.rotation import rotation_matrix
from geometry.spherical_harmonics import C0

LAYOUT = Layout(3, 2, 3, 1)  # three expressions and a joint
PRIORS = Priors()


def unknowns():
    """Of a model whose third expression is signed and rests elsewhere than at zero."""
    total = LAYOUT.shared + LAYOUT.frame
    lower, upper, mean, std = (torch.full((total,), x).double() for x in (-torch.inf, torch.inf, 0.0, torch.inf))
    std[: LAYOUT.shared - 1] = 1.0
    std[LAYOUT.slices["motion"]] = torch.tensor(STDS, dtype=torch.float64)
    mean[LAYOUT.slices["motion"]] = torch.tensor(MEANS, dtype=torch.float64)
    return Unknowns(LAYOUT, lower, upper, mean, std)


STDS, MEANS = (0.45, 0.45, 1.0, 0.2), (0.0, 0.0, -0.3, 0.1)
UNKNOWNS = unknowns()


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
        expression=torch.rand(frames, 3, generator=g, dtype=torch.float64),
        joints=0.1 * normal(frames, 1),
        gaze=0.2 * normal(frames, 2, 2),
        light=light,
        brows=torch.zeros(20, dtype=torch.float64),
    )


def energy_of_a_frame(motion, gaze, light, strength, exposure):
    """Half the sum of squared offsets over stds; ``strength`` is what the light's bands are compared with."""
    p, square = PRIORS, lambda x, std: (x / std).square().sum()
    mean, std = (exposure * x / C0 for x in p.light_strength)
    rest, spread = (torch.tensor(x, dtype=torch.float64) for x in (MEANS, STDS))
    apart = gaze[0] - gaze[1]
    colour = light - light.mean(1, keepdim=True)
    terms = (
        square(motion - rest, spread),
        square(gaze, p.gaze),
        square(apart[0], p.gaze_yaw_difference),
        square(apart[1], p.gaze_pitch_difference),
        square(light[1:], p.light_shape * strength),
        square(colour, p.light_colour * strength),
        square(light[0].mean() - mean, std),
    )
    return 0.5 * sum(terms)


def test_frame_prior():
    state = random_state(0)
    exposure = torch.tensor([1.0, 0.3], dtype=torch.float64)
    prior = frame_prior(state, PRIORS, UNKNOWNS, exposure)
    matrix, slope = prior.precision, prior.gradient
    at = LAYOUT.slices
    own = slice(at["motion"].start - LAYOUT.shared, None)
    assert (matrix[:, : own.start] == 0).all() and (slope[:, : own.start] == 0).all()  # any pose is as good
    for f in range(2):
        strength = state.light[f, 0].mean()

        def energy(x, strength=strength, exposure=exposure[f]):
            motion, gaze, light = x.split([4, 4, 27])
            return energy_of_a_frame(motion, gaze.view(2, 2), light.view(3, 9).T, strength, exposure)

        x = torch.cat([state.motion[f], state.gaze[f].flatten(), state.light[f].T.flatten()])
        torch.testing.assert_close(slope[f, own], torch.autograd.functional.jacobian(energy, x))
        torch.testing.assert_close(matrix[f, own, own], torch.autograd.functional.hessian(energy, x))


def test_shared_prior():
    state = random_state(1)
    sizes = torch.zeros_like(state.identity)
    sizes[0] = -0.08
    prior = shared_prior(state, 700.0, PRIORS, UNKNOWNS, IdentityPrior.of_model(UNKNOWNS, PRIORS, sizes))
    precision, slope = prior.precision.diagonal(), prior.gradient
    torch.testing.assert_close(torch.diag(precision), prior.precision)
    expected = torch.tensor([1.0] * 5 + [16.0], dtype=torch.float64)
    expected[0] += (0.08 / PRIORS.size) ** 2
    torch.testing.assert_close(precision, expected)
    off = [state.identity, state.reflectance, (state.log_focal - torch.tensor(700.0, dtype=torch.float64).log())[None]]
    torch.testing.assert_close(slope, precision * torch.cat(off))


def test_people_are_a_normal_distribution():
    """Slope and precision are those of its density's logarithm."""
    state, g = random_state(4), torch.Generator().manual_seed(5)
    people = People(torch.randn(3, generator=g), torch.randn(2, 3, generator=g))
    prior = shared_prior(state, 700.0, PRIORS, UNKNOWNS, IdentityPrior.of_people(people, PRIORS))
    known = torch.distributions.MultivariateNormal(people.mean.double(), people.covariance(PRIORS.people_rest))
    x = state.identity.clone().requires_grad_()
    (slope,) = torch.autograd.grad(-known.log_prob(x), x)
    torch.testing.assert_close(prior.gradient[:3], slope)
    torch.testing.assert_close(prior.precision[:3, :3], known.precision_matrix)


def test_a_face_alone_is_likely_at_rest():
    """What only goes one way from there has a slope; what goes both ways, and what rests elsewhere, hasn't."""
    state, at = random_state(6), LAYOUT.slices["motion"].start
    lower = UNKNOWNS.lower.clone()
    lower[at : at + 2] = 0.0
    one_way = replace(UNKNOWNS, lower=lower)
    usual, alone = (frame_prior(state, PRIORS, one_way, torch.ones(2), x) for x in (False, True))
    torch.testing.assert_close(alone.precision, usual.precision)
    slope = (alone.gradient - usual.gradient)[:, LAYOUT.own("expression")]
    expected = torch.tensor([PRIORS.at_rest / STDS[0], PRIORS.at_rest / STDS[1], 0.0], dtype=torch.float64)
    torch.testing.assert_close(slope, expected.expand(2, 3))
    rest = alone.gradient - usual.gradient
    assert float(rest.abs().sum()) == pytest.approx(float(slope.abs().sum()))


def test_sizes_are_by_what_a_face_grows():
    """A basis of which one part scales the face, one moves it, and one does neither."""
    g = torch.Generator().manual_seed(0)
    mean = torch.randn(50, 3, generator=g)
    middle = mean[:40].mean(0)
    other = torch.randn(50, 3, generator=g)
    other -= mean * (other[:40] * (mean[:40] - middle)).sum() / (mean[:40] * (mean[:40] - middle)).sum()
    basis = torch.stack([0.03 * (mean - middle), torch.ones(50, 3), other])
    tensors = {"mean": mean, "triangles": torch.tensor([[0, 1, 2]]), "identity_basis": basis}
    tensors |= {"expression_basis": torch.zeros(1, 50, 3), "region_masks": (torch.arange(50) < 40)[None]}
    expression = Block.activations(("jawOpen",))
    model = LinearModel(tensors, name="toy", fingerprint="0", expression=expression, region_names=("face",))
    torch.testing.assert_close(relative_sizes(model), torch.tensor([0.03, 0.0, 0.0]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("seconds", [1 / 30, 4 / 30])
def test_what_time_lets_move(seconds):
    """Standard deviations grow with the root of the time between; the light's with its strength too."""
    before = random_state(2)
    step = 0.01 * torch.randn(2, LAYOUT.frame, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    after = before.stepped(None, step, LAYOUT)
    prior = TemporalPrior.of(before, seconds, PRIORS, UNKNOWNS).at(after)
    precision, slope = prior.precision, prior.gradient
    growth, p = (seconds * 30) ** 0.5, PRIORS
    for f in range(2):
        light = before.light[f, 0].mean()
        motion = [p.step_motion * s for s in STDS]
        sigma = (
            [p.step_rotation] * 3 + [p.step_translation] * 3 + motion + [p.step_gaze] * 4 + [p.step_light * light] * 27
        )
        sigma = torch.tensor(sigma, dtype=torch.float64)
        torch.testing.assert_close(precision[f], (sigma * growth) ** -2)
        torch.testing.assert_close(slope[f], precision[f] * step[f], rtol=1e-4, atol=1e-6)


def test_light_never_gets_slack():
    """Else a passing shadow would be taken for light, or the other way round, in one frame."""
    before = random_state(4)
    after = replace(before, light=before.light + 1.0, expression=before.expression * 0)
    tight = TemporalPrior.of(before, 1 / 30, PRIORS, UNKNOWNS)
    loose = tight.slackened(after, UNKNOWNS)
    at = LAYOUT.slices
    light = slice(at["light"].start - LAYOUT.shared, None)
    expression = slice(at["expression"].start - LAYOUT.shared, at["expression"].stop - LAYOUT.shared)
    assert torch.equal(loose.precision[:, light], tight.precision[:, light])
    assert (loose.precision[:, expression] < tight.precision[:, expression]).all()


def test_the_light_in_a_shadow_is_determined_by_its_prior_alone():
    """Where no sample shows it: small bands, nearly white, about a share of the usual light."""
    usual, shade = random_state(3).light, random_state(5).light
    prior = shade_prior(shade, usual, (0.4, 3.0), PRIORS, UNKNOWNS)
    assert (torch.linalg.eigvalsh(prior.precision) > 1e-4).all()
    for f in range(len(shade)):
        strength, expected = shade[f, 0].mean(), 0.4 * usual[f, 0].mean()

        def energy(x, strength=strength, expected=expected):
            bands, colour = x[1:], x - x.mean(1, keepdim=True)
            return 0.5 * (
                (bands / (PRIORS.light_shape * strength)).square().sum()
                + (colour / (PRIORS.light_colour * strength)).square().sum()
                + ((x[0].mean() - expected) / (3.0 * expected)).square()
            )

        slope = torch.autograd.functional.jacobian(energy, shade[f]).T.flatten()  # channel-major
        torch.testing.assert_close(prior.gradient[f], slope)
        matrix = torch.autograd.functional.hessian(lambda x: energy(x.view(3, 9).T), shade[f].T.flatten())  # noqa: B023
        torch.testing.assert_close(prior.precision[f], matrix)
