"""Expressions that a model's own jaw makes: edits by name turn the joint, and other programs' FLAME sees it."""

import dataclasses

import pytest
import scipy.sparse
import torch

from benchmarks.model_files import make_head, write_flame
from facemodel.base import Block, FaceModel
from facemodel.bridge.carrying import with_expressions
from facemodel.bridge.jaw import with_jaw
from facemodel.editing.edits import edit
from facemodel.flame_parameters import require_own, to_flame, to_parameters
from facemodel.formats.default import READER, write_model
from facemodel.gate import moved
from facemodel.importing import import_model
from fitting.tracking.frame import Fitter
from foundation.errors import PortraitError
from tests.facemodel.clips import make_track

OPEN, ASIDE = (0.31, 0.0, 0.0), (0.0, 0.12, 0.03)
NAMES = ("jawOpen", "jawLeft", "jawForward")


@pytest.fixture(scope="module")
def shaped(tmp_path_factory):
    """FLAME's form, given jawOpen and jawLeft as shapes that its jaw could make, and jawForward, which it couldn't."""
    model = import_model(write_flame(tmp_path_factory.mktemp("jaw"), make_head(8, 10)).path)
    turned = [model.vertices(joints=torch.tensor((0.0, 0.0, 0.0, *turn))) - model.mean for turn in (OPEN, ASIDE)]
    forward = 5 * model.skinning_weights[:, 2:3] * torch.tensor([0.0, 0.0, 1.0])
    model.provenance = dataclasses.replace(model.provenance, own_expressions=model.count("expression"))
    return with_expressions(model, Block.activations(NAMES), list(NAMES), torch.stack([*turned, forward]))


@pytest.fixture(scope="module")
def model(shaped):
    return with_jaw(shaped, list(NAMES))


def expression(model, **values):
    out = torch.zeros(model.count("expression"))
    for name, value in values.items():
        out[model.expression_index(name)] = value
    return out


def test_shapes_become_turns(shaped, model):
    assert [model.expression_names[k] for k in model.driving] == ["jawOpen", "jawLeft"]
    torch.testing.assert_close(model.joint_drive[model.driving][:, 3:], torch.tensor([OPEN, ASIDE]), atol=1e-3, rtol=0)
    assert model.driven.tolist() == [False] * 3 + [True] * 3
    assert model.provenance.notes[-1] == "jawOpen, jawLeft turn its own jaw"
    half = model.vertices(None, expression(model, jawOpen=0.5))
    by_joint = model.vertices(joints=torch.tensor((0.0, 0.0, 0.0, *OPEN)) / 2)
    torch.testing.assert_close(half, by_joint, atol=0.05, rtol=0)  # along an arc, not a chord
    assert float((half - shaped.vertices(None, expression(model, jawOpen=0.5))).norm(dim=-1).max()) > 0.3
    forward = expression(model, jawForward=1.0)
    torch.testing.assert_close(model.vertices(None, forward), shaped.vertices(None, forward))


def test_a_model_without_such_a_jaw_keeps_its_shapes(shaped):
    still = shaped.rebuilt(shaped.flatten() | {"expression_basis": torch.zeros_like(shaped.expression_basis) + 1.0})
    assert with_jaw(still, list(NAMES)) is still


def test_derivatives_are_those_of_differences(model):
    double = model.double()
    try:
        generator = torch.Generator().manual_seed(0)
        draw = lambda name: 0.3 * torch.randn(model.count(name), generator=generator).double()  # noqa: E731
        at = draw("identity"), draw("expression"), draw("joints")
        ours, theirs = double.linearize(*at), FaceModel.linearize(double, *at)
        torch.testing.assert_close(ours.expression, theirs.expression, atol=1e-8, rtol=1e-8)
        slopes, count = torch.cat([ours.expression, ours.joints]), len(model.mean)
        for rows in (scipy.sparse.eye(count, format="csr"), scipy.sparse.eye(count, format="csr") * 0.3):
            pairs = (rows + scipy.sparse.eye(count, k=1, format="csr")).tocsr()[: count - 1]
            wanted = torch.as_tensor(pairs.toarray()) @ slopes
            found = double.combinations(pairs).by_motion(*at)
            torch.testing.assert_close(found.movedim(-1, 0), wanted, atol=1e-8, rtol=1e-8)
        vertices = double.combinations(scipy.sparse.eye(count, format="csr"))
        torch.testing.assert_close(vertices.positions(*at), ours.vertices, atol=1e-8, rtol=1e-8)
        torch.testing.assert_close(vertices.by_motion(*at).movedim(-1, 0), slopes, atol=1e-8, rtol=1e-8)
        torch.testing.assert_close(vertices.positions(*at), ours.vertices, atol=1e-8, rtol=1e-8)
    finally:
        model.float()


def test_derivatives_hold_as_long_as_the_jaw_does(model):
    combinations = model.combinations(scipy.sparse.eye(len(model.mean), format="csr"))
    still = torch.zeros(model.count("identity")), expression(model), torch.zeros(6)
    assert combinations.holds(still, (still[0], expression(model, jawOpen=0.01), still[2]))
    assert not combinations.holds(still, (still[0], expression(model, jawOpen=0.5), still[2]))


def test_an_edit_by_name_is_a_turn_in_other_programs(model):
    track = make_track(model, 4)
    p = track.parameters.replace(expression=torch.zeros(4, model.count("expression")), joints=torch.zeros(4, 6))
    open_ = edit(track.with_parameters(p), model, set={"jawOpen": 0.6}).parameters.expanded()
    require_own(open_, model)
    flame = to_flame(open_, model)
    assert flame.jaw[:, 0] == pytest.approx(0.6 * OPEN[0], abs=1e-3)
    back = to_parameters(flame, model, 900.0)
    torch.testing.assert_close(back.expression, open_.expression, atol=1e-5, rtol=0)
    torch.testing.assert_close(back.joints, torch.zeros(4, 6), atol=1e-5, rtol=0)
    with pytest.raises(PortraitError, match="jawForward"):
        require_own(edit(track.with_parameters(p), model, set={"jawForward": 0.6}).parameters, model)


def test_what_no_name_says_stays_the_joint_s(model):
    joints = torch.tensor([[0.1, 0, 0, 0.2, 0.02, -0.01], [0, 0, 0, -0.04, 0, 0], [0, 0, 0, 0.7, 0, 0]])
    before = torch.zeros(3, model.count("expression"))
    named, left = model.by_name(before, joints)
    torch.testing.assert_close(model.vertices(None, named, None, left), model.vertices(None, before, None, joints))
    opened = named[:, model.expression_index("jawOpen")]
    torch.testing.assert_close(opened, torch.tensor([0.2 / OPEN[0], 0, 1]), atol=1e-2, rtol=0)
    assert float(left[1, 3]) == pytest.approx(-0.04) and float(left[0, 0]) == pytest.approx(0.1)


def test_a_fit_leaves_the_jaw_to_its_names(model):
    marks = {"triangles": torch.arange(68), "barycentric": torch.full((68, 3), 1 / 3), "weights": torch.ones(68)}
    placed = model.rebuilt(model.flatten() | {f"landmark_{k}_ibug68": v for k, v in marks.items()})
    fitter = Fitter(placed, "ibug68", 500.0)
    assert fitter.held_frame[fitter.layout.own("joints")].tolist() == [False] * 3 + [True] * 3


def test_files_keep_it_and_the_gate_sees_it(model, tmp_path):
    write_model(tmp_path / "jaw.model", model)
    again = READER.read(tmp_path / "jaw.model")
    assert again.driving == model.driving and torch.equal(again.joint_drive, model.joint_drive)
    lengths = moved(model, "expression")
    assert float(lengths[model.expression_index("jawOpen")]) > 1
