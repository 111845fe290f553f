"""Heads and losses against closed forms, the library's own, and each other over processes."""

import copy
import os
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from pytorch_metric_learning import losses as library
from pytorch_metric_learning import regularizers

from foundation.errors import PortraitError
from recognition.heads import HEADS, ASoftmaxHead, check_labels, make_head, psi
from recognition.losses import CenterLoss, ExclusiveLoss, RingLoss, UniformLoss, mean_potential, nearest_classes
from tests.recognition.two_processes import case, state, worker

CLASSES, FEATURES, BATCH = 7, 5, 12


@pytest.fixture
def batch():
    torch.manual_seed(0)
    return torch.randn(BATCH, FEATURES) * 3, torch.randint(CLASSES, (BATCH,))


@given(st.floats(0, torch.pi), st.integers(1, 5))
def test_psi_is_cosine_of_the_multiple_angle_made_monotonic(angle, margin):
    theta = torch.tensor(angle, dtype=torch.float64)
    k = min(int(margin * angle / torch.pi), margin - 1)
    expected = (-1) ** k * torch.cos(margin * theta) - 2 * k
    assert abs(psi(torch.cos(theta), margin) - expected) < 1e-6


def test_psi_falls_from_one_without_a_jump_and_has_finite_slopes():
    c = torch.linspace(1, -1, 4001, dtype=torch.float64, requires_grad=True)
    values = psi(c, 4)
    assert values[0] == 1 and values[-1] == -7
    steps = values.diff()
    assert (steps <= 1e-12).all() and steps.abs().max() < 0.01
    values.sum().backward()
    assert c.grad.isfinite().all()


def test_a_softmax_without_annealing_is_the_library_s(batch):
    x, labels = batch
    head = ASoftmaxHead(CLASSES, FEATURES, base=0.0, floor=0.0)
    theirs = library.SphereFaceLoss(CLASSES, FEATURES, margin=4, scale=1)
    theirs.W.data = head.weight.data.T.clone()
    ours, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    a, b = head(ours, labels), theirs(other, labels)
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
    a.backward()
    b.backward()
    torch.testing.assert_close(ours.grad, other.grad, rtol=1e-3, atol=1e-4)


def test_a_softmax_s_annealing_is_the_authors_and_is_kept_in_the_state(batch):
    head = ASoftmaxHead(CLASSES, FEATURES)
    assert head.annealing == 1000
    for _ in range(10):
        head(*batch)
    assert head.annealing.item() == pytest.approx(1000 / (1 + 0.12 * 10))
    again = ASoftmaxHead(CLASSES, FEATURES)
    again.load_state_dict(head.state_dict())
    assert again.annealing == head.annealing
    head.iteration.fill_(100_000)
    assert head.annealing == 5
    head.eval()(*batch)
    assert head.iteration == 100_000


def test_much_annealing_is_plain_softmax_on_cosines(batch):
    x, labels = batch
    head = ASoftmaxHead(CLASSES, FEATURES, base=1e9)
    logits = F.linear(F.normalize(x), F.normalize(head.weight)) * x.norm(dim=1, keepdim=True)
    torch.testing.assert_close(head(x, labels), F.cross_entropy(logits, labels), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", HEADS)
def test_heads_teach_float32_under_autocast_and_check_labels(name, batch):
    x, labels = batch
    head = make_head(name, CLASSES, FEATURES)
    assert head.class_weights.shape == (CLASSES, FEATURES)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = head(x.bfloat16(), labels)
    assert half.dtype == torch.float32
    if name == "a-softmax":
        head.iteration.zero_()
    torch.testing.assert_close(half, head(x.bfloat16().float(), labels))
    half.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in head.parameters())
    with pytest.raises(PortraitError, match="0 to 6 for a head of 7 classes"):
        head(x, labels.clone().fill_(CLASSES))


def test_margins_other_than_sensible_are_refused():
    with pytest.raises(PortraitError, match="whole number"):
        ASoftmaxHead(3, 3, margin=2.5)
    with pytest.raises(PortraitError, match="did you mean 'arcface'"):
        make_head("arcfase", 3, 3)
    with pytest.raises(PortraitError, match="-1 to"):
        check_labels(torch.tensor([-1, 2]), 4)


def test_a_center_moves_to_the_paper_s_place(batch):
    loss = CenterLoss(2, 3, rate=1.0)
    loss.centers.zero_()
    x = torch.tensor([[1.0, 2, 3], [3, 2, 1], [2, 2, 5]], requires_grad=True)
    value = loss(x, torch.zeros(3, dtype=torch.long))
    assert value.item() == pytest.approx(float((x.detach() ** 2).sum() / 6))
    value.backward()
    torch.testing.assert_close(x.grad, x.detach() / 3)
    # n / (n + 1) of the way to the mean; the class that isn't in the batch stays
    torch.testing.assert_close(loss.centers[0], 3 / 4 * x.detach().mean(0))
    assert (loss.centers[1] == 0).all()
    before = loss.centers.clone()
    loss.eval()(x, torch.zeros(3, dtype=torch.long))
    assert torch.equal(before, loss.centers)
    assert "centers" in loss.state_dict()


def test_the_ring_s_radius_begins_at_the_mean_norm_and_stays_there(batch):
    x, _ = batch
    loss = RingLoss()
    value = loss(x)
    norms = x.norm(dim=1)
    assert loss.radius.item() == pytest.approx(norms.mean().item(), rel=1e-6)
    assert value.item() == pytest.approx(norms.var(correction=0).item() / 2, rel=1e-5)
    again = RingLoss()
    again.load_state_dict(loss.state_dict())
    again(2 * x)  # begun already: goes on from the stored radius
    assert again.radius == loss.radius
    optimizer = torch.optim.SGD(again.parameters(), lr=0.5)
    for _ in range(60):
        optimizer.zero_grad()
        again(2 * x).backward()
        optimizer.step()
    assert again.radius.item() == pytest.approx(2 * norms.mean().item(), rel=1e-5)


def test_ring_s_gradient_is_the_paper_s_and_finite_at_zero():
    x = torch.tensor([[3.0, 4], [0, 0]], requires_grad=True)
    loss = RingLoss().eval()
    loss.radius.data.fill_(2)
    loss(x).backward()
    torch.testing.assert_close(x.grad[0], torch.tensor([3.0, 4]) * (1 - 2 / 5) / 2)
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("block", [1, 3, 100])
def test_exclusive_is_the_library_s_whatever_the_block(block):
    torch.manual_seed(1)
    weights = torch.randn(10, 4)
    ours, theirs = weights.clone().requires_grad_(), weights.clone().requires_grad_()
    a = ExclusiveLoss(block)(ours)
    b = regularizers.RegularFaceRegularizer()(theirs)
    torch.testing.assert_close(a, b)
    a.backward()
    b.backward()
    torch.testing.assert_close(ours.grad, theirs.grad)
    cosines = F.normalize(weights) @ F.normalize(weights).T - 2 * torch.eye(10)
    assert torch.equal(nearest_classes(F.normalize(weights), block), cosines.argmax(1))


def test_exclusive_spreads_classes_to_a_simplex():
    torch.manual_seed(2)
    weights = torch.randn(4, 3, requires_grad=True)
    optimizer = torch.optim.Adam([weights], lr=0.02)
    for _ in range(600):
        optimizer.zero_grad()
        ExclusiveLoss()(weights).backward()
        optimizer.step()
    assert ExclusiveLoss()(weights).item() == pytest.approx(-1 / 3, abs=0.03)


def test_uniform_s_values_at_known_places():
    everything = torch.arange(2)
    opposite = torch.tensor([[1.0, 0], [-1, 0]])
    assert mean_potential(opposite, everything).item() == pytest.approx(1 / 3)
    assert mean_potential(opposite[[0, 0]], everything).item() == pytest.approx(1, abs=1e-5)
    simplex = F.normalize(torch.eye(4) - 1 / 4)
    assert mean_potential(simplex, torch.arange(4)).item() == pytest.approx(1 / (1 + (8 / 3) ** 0.5))
    torch.manual_seed(3)
    centers = F.normalize(torch.randn(9, 4))
    d = torch.cdist(centers[[2, 5]], centers)
    expected = sum(1 / (d[r, j] + 1) for r, c in enumerate((2, 5)) for j in range(9) if j != c) / (2 * 8)
    assert mean_potential(centers, torch.tensor([2, 5])).item() == pytest.approx(expected.item(), rel=1e-5)


def test_uniform_pushes_classes_apart_through_the_embeddings():
    torch.manual_seed(4)
    x = (torch.tensor([1.0, 0, 0]) + 0.1 * torch.randn(6, 3)).requires_grad_()
    labels, loss = torch.arange(6), UniformLoss(6, 3)
    optimizer = torch.optim.SGD([x], lr=5.0)
    values = []
    for _ in range(200):
        optimizer.zero_grad()
        value = loss(x, labels)
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert x.grad.isfinite().all()
    octahedron = (4 / (1 + 2**0.5) + 1 / 3) / 5
    assert values[20] > values[-1] == pytest.approx(octahedron, abs=0.01)
    torch.testing.assert_close(loss.centers.norm(dim=1), torch.ones(6))


def test_two_processes_move_centers_and_weigh_gradients_as_one(tmp_path: Path):
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    torch.multiprocessing.spawn(worker, (str(tmp_path),), nprocs=2)
    a, b = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    one = state(*case())
    for name in ("centers", "uniform", "radius"):
        torch.testing.assert_close(a[name], b[name])
        torch.testing.assert_close(a[name], one[name])
    for g, h, expected in zip(a["grads"], b["grads"], one["grads"]):
        torch.testing.assert_close((g + h) / 2, expected)


def test_added_losses_compute_in_float32_under_autocast(batch):
    x, labels = batch[0].bfloat16(), batch[1]
    for make, arguments in (
        (lambda: CenterLoss(CLASSES, FEATURES), (x, labels)),
        (lambda: UniformLoss(CLASSES, FEATURES), (x, labels)),
        (RingLoss, (x,)),
        (ExclusiveLoss, (x,)),
    ):
        torch.manual_seed(6)
        loss = make()
        plain = copy.deepcopy(loss)(arguments[0].float(), *arguments[1:])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            value = loss(*arguments)
        assert value.dtype == torch.float32
        assert torch.equal(value, plain), type(loss)
        assert all(t.dtype == torch.float32 for t in loss.state_dict().values() if t.is_floating_point())
