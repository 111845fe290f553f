"""Which samples show skin, and in which light: a network's guess corrected by residuals."""

import torch

from fitting.occlusion.network import PARTS
from fitting.occlusion.parts import lit_and_shaded, neighbours, parts_at, shares
from fitting.policy.settings import Occlusion

SIDE = 40  # samples
POLICY = Occlusion()


def plane():
    """(N, 3) mm: a square of samples 3 mm apart, and their neighbours."""
    x, y = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="xy")
    positions = torch.stack([3.0 * x, 3.0 * y, torch.zeros(SIDE, SIDE)], -1).view(-1, 3)
    return positions, neighbours(positions, POLICY)


def likely(part, by_how_much=0.9):
    """(1, 3, N): how likely each part is, where ``part`` (N,) is taken to be the right one."""
    rest = (1 - by_how_much) / 2
    return torch.stack([torch.where(part == k, by_how_much, rest) for k in range(len(PARTS))])[None]


def test_neighbours_are_the_nearest():
    positions, near = plane()
    middle = SIDE * SIDE // 2 + SIDE // 2
    distances = (positions - positions[middle]).norm(dim=1)
    assert near[middle, 0] == middle
    assert distances[near[middle]].max() <= distances.topk(near.shape[1], largest=False).values.max()


def test_without_residuals_the_guess_counts_but_for_edges():
    positions, near = plane()
    across = positions[:, 0]
    part = torch.where(across < 36, 0, torch.where(across < 78, 1, 2))
    lit, shaded = lit_and_shaded(likely(part), torch.zeros(2, 1, len(part)), 0.01, near, POLICY)[:, 0]
    assert lit[across < 24].all() and not lit[across > 33].any()
    assert shaded[(across > 48) & (across < 63)].all() and not shaded[(across < 39) | (across > 75)].any()


def test_residuals_move_the_edge_of_a_shadow():
    """The network's is 15 mm off; where it's unsure, colours say in which light a sample is."""
    positions, near = plane()
    across = positions[:, 0]
    guessed = likely(torch.where(across < 75, 0, 1), 0.6)
    wrong = 0.15**2
    errors = torch.stack([torch.where(across < 60, 0.0, wrong), torch.where(across < 60, wrong, 0.0)])[:, None]
    lit, shaded = lit_and_shaded(guessed, errors, 0.01, near, POLICY)[:, 0]
    assert lit[across < 45].all() and shaded[across > 75].all()
    assert not lit[across > 60].any() and not shaded[across < 60].any()


def test_what_looks_like_skin_in_neither_light_is_something_else():
    positions, near = plane()
    across = positions[:, 0]
    errors = torch.where(across < 60, 0.0, 0.3**2)[None, None]
    skin, shaded = lit_and_shaded(likely(torch.zeros(len(across)), 0.8), errors, 0.01, near, POLICY)[:, 0]
    assert skin[across < 48].all() and not skin[across > 66].any() and not shaded.any()
    alone = torch.zeros(1, 1, len(across))
    alone[..., SIDE * SIDE // 2 + SIDE // 2] = 0.3**2  # a mole is no occluder
    assert lit_and_shaded(likely(torch.zeros(len(across)), 0.8), alone, 0.01, near, POLICY)[0].all()


def test_shares_of_the_visible_samples():
    part = torch.tensor([0, 0, 1, 2, 2, 2])
    visible = torch.tensor([[1.0, 1.0, 1.0, 1.0, 0.0, 0.0]])
    torch.testing.assert_close(shares(likely(part), visible), torch.tensor([[0.5, 0.25, 0.25]]))


def test_parts_at_places_of_the_square():
    parts = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    where = torch.tensor([[[0.5 / 8, 2.5 / 8], [4 / 8, 1.5 / 8]]]).expand(2, 2, 2)
    got = parts_at(parts, where)
    torch.testing.assert_close(got[..., 0], parts[:, :, 2, 0])
    torch.testing.assert_close(got[..., 1], (parts[:, :, 1, 3] + parts[:, :, 1, 4]) / 2)
