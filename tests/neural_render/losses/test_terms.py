import math

import pytest
import torch

from foundation.errors import PortraitError
from neural_render.losses.adversarial import adversarial
from neural_render.losses.terms import l1


def test_non_saturating_closed_form():
    loss, real, fake = adversarial("non-saturating"), torch.tensor([0.7, -0.2]), torch.tensor([0.3, 1.1])
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    expected = 0.5 * (bce(real, torch.ones(2)) + bce(fake, torch.zeros(2)))
    torch.testing.assert_close(loss.discriminator(real, fake), expected)
    torch.testing.assert_close(loss.generator(fake), bce(fake, torch.ones(2)))
    assert loss.generator(torch.zeros(3)).item() == pytest.approx(math.log(2))


def test_hinge_and_least_squares_closed_forms():
    real, fake = torch.tensor([2.0, 0.5]), torch.tensor([-2.0, 0.5])
    assert adversarial("hinge").discriminator(real, fake).item() == pytest.approx(0.5 * (0.25 + 0.75))
    assert adversarial("hinge").generator(fake).item() == pytest.approx(0.75)
    assert adversarial("least-squares").discriminator(real, fake).item() == pytest.approx(0.5 * (0.625 + 2.125))
    assert adversarial("least-squares").generator(fake).item() == pytest.approx(4.625)


@pytest.mark.parametrize("name", ["non-saturating", "hinge", "least-squares"])
def test_signs(name):
    loss = adversarial(name)
    real, fake = torch.zeros(4, requires_grad=True), torch.full((4,), 0.1, requires_grad=True)
    loss.discriminator(real, fake).backward()
    assert (real.grad < 0).all()  # descent raises the logits of real images
    assert (fake.grad > 0).all()
    fake.grad = None
    loss.generator(fake).backward()
    assert (fake.grad < 0).all()


def test_generator_gradient_does_not_vanish_when_it_is_losing():
    fake = torch.full((1,), -10.0, requires_grad=True)
    adversarial("non-saturating").generator(fake).backward()
    assert fake.grad.item() == pytest.approx(-1, abs=1e-3)


def test_unknown_name_suggests_the_nearest():
    with pytest.raises(PortraitError, match="did you mean 'hinge'"):
        adversarial("hing")


def test_l1_and_its_weight():
    a, b = torch.zeros(1, 3, 2, 2), torch.ones(1, 3, 2, 2)
    b[..., 0, 0] = 3
    weight = torch.zeros(1, 1, 2, 2)
    weight[..., 0, 0] = 2
    assert l1(a, b).item() == pytest.approx(1.5)
    assert l1(a, b, weight).item() == pytest.approx(3)
