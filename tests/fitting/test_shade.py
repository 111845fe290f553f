"""The photometric term in two lights: against the usual one, and its light's columns against finite differences."""

import torch

from fitting.energy.photometric import Look, photometric_rows
from fitting.energy.priors import frame_prior, shade_prior
from fitting.occlusion.parts import neighbours
from fitting.occlusion.shade import Parts, rows_of_parts, with_shade, without_shade
from fitting.policy.settings import Settings
from fitting.policy.weights import TermWeights
from fitting.solver.state import LIGHT
from tests.fitting.test_rows import SIZE, scene  # noqa: F401  (a fixture)

SETTINGS = Settings()
WEIGHTS = TermWeights(colour_scale=1e3)  # no robust weights, which change with the residuals


def rows(scene, shade, parts):  # noqa: F811
    state, seen, shape, _, unknowns = scene
    surface, layout = shape.surface, unknowns.layout
    near = neighbours(positions(scene), SETTINGS.occlusion)
    look = Look(seen, SIZE, torch.ones(2, len(surface)))
    out = rows_of_parts(surface, state, look, Parts(parts, near, shade), WEIGHTS, layout, SETTINGS)
    return out, photometric_rows(surface, state, look, WEIGHTS, layout, shared=True)


def positions(scene):  # noqa: F811
    return scene[2].surface.points.neutral[:, :3]


def halves(scene):  # noqa: F811
    """(2, 3, N): the left half of the face is in a shadow. Nothing else is likely at all."""
    left = positions(scene)[:, 0] > 0
    lit = torch.where(left, 0.02, 0.96)
    return torch.stack([lit, 0.98 - lit, torch.full_like(lit, 0.02)])[None].expand(2, -1, -1)


def test_skin_in_its_usual_light_is_the_usual_term(scene):  # noqa: F811
    parts = torch.tensor([0.96, 0.02, 0.02])[None, :, None].expand(2, 3, len(scene[2].surface))
    ours, usual = rows(scene, None, parts)
    for a, b in zip(ours.rows, usual.rows):
        torch.testing.assert_close(a, b)
    torch.testing.assert_close(ours.by_detail, usual.by_detail)
    torch.testing.assert_close(ours.squared, usual.squared)


def test_what_is_hidden_has_no_rows_and_the_rest_count_for_it(scene):  # noqa: F811
    left = positions(scene)[:, 0] > 0
    parts = torch.where(left, 0.02, 0.96)
    parts = torch.stack([parts, torch.full_like(parts, 0.02), 0.98 - parts])[None].expand(2, -1, -1)
    ours, usual = rows(scene, None, parts)
    shown = ours.seen > 0
    assert not shown[:, left].any() and shown.any()
    for f in range(2):
        a, b = ours.rows[f].view(len(left), 3, -1), usual.rows[f].view(len(left), 3, -1)
        assert not a[~shown[f]].any()
        factor = (usual.seen[f].sum() / usual.seen[f][shown[f]].sum()).sqrt()
        torch.testing.assert_close(a[shown[f]], factor * b[shown[f]])


def test_columns_of_the_light_in_the_shadow(scene):  # noqa: F811
    state, layout = scene[0], scene[-1].layout
    shade, parts = 0.4 * state.light, halves(scene)
    start, _ = rows(scene, shade, parts)
    light = layout.slices["light"]
    for f in range(2):
        r = start.rows[f]
        usual, own = r[:, light].abs().sum(1) > 0, r[:, -1 - LIGHT : -1].abs().sum(1) > 0
        assert usual.any() and own.any() and not (usual & own).any()
    eps = 1e-2
    for column in (0, 3, 13):
        moved = shade.clone()
        moved[:, column % 9, column // 9] += eps
        after, _ = rows(scene, moved, parts)
        for f in range(2):
            slope = (after.rows[f][:, -1] - start.rows[f][:, -1]) / eps
            expected = start.rows[f][:, -1 - LIGHT + column]
            torch.testing.assert_close(slope, expected, rtol=0.05, atol=0.02 * float(expected.abs().max()))


def test_rows_and_priors_beside_the_usual_ones(scene):  # noqa: F811
    state, unknowns = scene[0], scene[-1]
    r = torch.arange(12.0).view(2, 6)
    (wide,) = without_shade([r])
    torch.testing.assert_close(torch.cat([wide[:, :5], wide[:, -1:]], 1), r)
    assert wide.shape[1] == 6 + LIGHT and not wide[:, 5:-1].any()
    usual, shade, policy = (
        frame_prior(state, SETTINGS.priors, unknowns, torch.ones(len(state))),
        0.3 * state.light,
        SETTINGS.occlusion,
    )
    joined = with_shade(usual, shade, state, SETTINGS, unknowns)
    precision, gradient = joined.precision, joined.gradient
    own = shade_prior(shade, state.light, (policy.begun_with, policy.shade_std), SETTINGS.priors, unknowns)
    p = unknowns.layout.frame
    torch.testing.assert_close(precision[:, :p, :p], usual.precision)
    torch.testing.assert_close(precision[:, p:, p:], own.precision)
    assert not precision[:, :p, p:].any() and not precision[:, p:, :p].any()
    torch.testing.assert_close(gradient, torch.cat([usual.gradient, own.gradient], 1))
