"""Models with joints: derivatives against differences, batches, and what rotations must do."""

import pytest
import torch

from benchmarks.model_files import make_head, write_flame, write_gnm
from facemodel import FaceParameters
from facemodel.base import FaceModel
from facemodel.importing import import_model
from foundation.errors import PortraitError
from geometry.rotation import rotation_matrix


@pytest.fixture(scope="module", params=["flame", "gnm"])
def model(request, tmp_path_factory):
    folder, head = tmp_path_factory.mktemp("jointed"), make_head(8, 10)
    written = write_flame(folder, head, lids=True) if request.param == "flame" else write_gnm(folder, head)
    return import_model(written.path, written.extras).double()


def state(model, size, seed=0):
    generator = torch.Generator().manual_seed(seed)
    draw = lambda n: torch.randn(n, generator=generator, dtype=torch.float64)  # noqa: E731
    return draw(model.count("identity")), 0.5 * draw(model.count("expression")), size * draw(model.count("joints"))


@pytest.mark.parametrize("size", [0.0, 1e-4, 0.3, 2.5])
def test_linearize_equals_automatic_derivatives(model, size):
    at = state(model, size)
    ours, theirs = model.linearize(*at), FaceModel.linearize(model, *at)
    for part in ("vertices", "identity", "expression", "joints"):
        torch.testing.assert_close(getattr(ours, part), getattr(theirs, part), atol=1e-8, rtol=1e-8)


def test_linearize_equals_finite_differences(model):
    at = state(model, 0.4, seed=2)
    found = model.linearize(*at)
    for k, part in enumerate(("identity", "expression", "joints")):
        slopes = getattr(found, part)
        for c in range(min(len(slopes), 7)):
            step = torch.zeros_like(at[k])
            step[c] = 1e-5
            ends = [model.vertices(*[a + (sign * step if j == k else 0) for j, a in enumerate(at[:2])], None,
                                   at[2] + (sign * step if k == 2 else 0)) for sign in (1, -1)]  # fmt: skip
            torch.testing.assert_close(slopes[c], (ends[0] - ends[1]) / 2e-5, atol=1e-5, rtol=1e-6)


@pytest.mark.parametrize("batch", [(), (2,), (3, 1, 2)])
def test_leading_dimensions(model, batch):
    joints = 0.2 * torch.randn(*batch, model.count("joints"), dtype=torch.float64)
    identity = torch.randn(*batch, model.count("identity"), dtype=torch.float64)
    gaze = 0.2 * torch.randn(*batch, 2, 2, dtype=torch.float64)
    assert model.vertices(identity, None, gaze, joints).shape == (*batch, len(model.mean), 3)
    one = model.vertices(identity[(0,) * len(batch)], None, gaze[(0,) * len(batch)], joints[(0,) * len(batch)])
    torch.testing.assert_close(model.vertices(identity, None, gaze, joints)[(0,) * len(batch)], one)


def test_broadcast(model):
    identity = torch.randn(model.count("identity"), dtype=torch.float64)
    joints = 0.2 * torch.randn(4, model.count("joints"), dtype=torch.float64)
    gaze = 0.2 * torch.randn(3, 1, 2, 2, dtype=torch.float64)
    together = model.vertices(identity, None, gaze, joints)
    assert together.shape[:2] == (3, 4)
    torch.testing.assert_close(together[2, 1], model.vertices(identity, None, gaze[2, 0], joints[1]))


def test_at_rest_nothing_turns(model):
    zeros = torch.zeros(model.count("joints"), dtype=torch.float64)
    torch.testing.assert_close(model.vertices(None, None, zeros.new_zeros(2, 2), zeros), model.mean)
    assert torch.equal(model.vertices(), model.mean)


def test_rigid_parts_turn_rigidly(model):
    """Without correctives, a vertex of one joint alone keeps its distances within that part."""
    joints = 0.5 * torch.randn(model.count("joints"), generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    bare = model.to(torch.float64)
    kept, model.pose_correctives = model.pose_correctives.clone(), torch.zeros_like(model.pose_correctives)
    try:
        points = bare.vertices(None, None, None, joints)
    finally:
        model.pose_correctives = kept
    for joint in range(len(model.skeleton.names)):
        part = (model.skinning_weights[:, joint] > 1 - 1e-9).nonzero().ravel()
        if len(part) > 3:
            apart = [torch.cdist(p[part], p[part]) for p in (points, model.mean)]
            torch.testing.assert_close(*apart, atol=1e-5, rtol=0)


def test_only_what_hangs_from_a_joint_moves(model):
    joint = model.skeleton.free[-1]
    joints = torch.zeros(model.count("joints"), dtype=torch.float64)
    joints[-3:] = 0.4
    moved = (model.vertices(joints=joints) - model.mean).norm(dim=-1)
    reach = model.skinning_weights[:, model.skeleton.below(joint)].sum(1)
    assert float(moved[reach == 0].max()) < 3 if (reach == 0).any() else True  # the correctives' share alone
    assert float(moved.max()) > 5


def test_a_joint_s_own_place_stays(model):
    """The point at a joint moves with its parent only: here not at all, since one joint turns."""
    joints = torch.zeros(model.count("joints"), dtype=torch.float64)
    joints[:3] = torch.tensor([0.3, -0.2, 0.1])
    joint = model.skeleton.free[0]
    _, at = model._chain(model.rest_joints(), model._rotations(None, joints))
    torch.testing.assert_close(at[joint], model.joint_mean[joint])
    turned, _ = model._chain(model.rest_joints(), model._rotations(None, joints))
    torch.testing.assert_close(turned[joint], rotation_matrix(joints[:3]))


def test_wrong_sizes_are_refused(model):
    with pytest.raises(PortraitError, match="joints: expected"):
        model.vertices(joints=torch.zeros(2, dtype=torch.float64))
    with pytest.raises(PortraitError, match="gaze: expected"):
        model.vertices(gaze=torch.zeros(2, dtype=torch.float64))
    with pytest.raises(PortraitError, match="identity: expected"):
        model.vertices(
            torch.zeros(2, dtype=torch.float64), joints=torch.zeros(model.count("joints"), dtype=torch.float64)
        )


def test_parameters_of_it(model):
    neutral = FaceParameters.neutral(model)
    assert neutral.joints.shape == (model.count("joints"),) and "joints" in model.capabilities and not model.linear
