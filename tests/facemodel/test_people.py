"""What is known of how people differ: the shipped file, and the script that measures it."""

import numpy as np
import pytest
import torch

from facemodel.people import People, people_of
from fitting.energy.priors import relative_sizes
from tests.fitting.toy import JawModel
from tools.build_people.__main__ import measure


class Measured:
    """A model whose mean and components are known in the default one's coefficients."""

    def __init__(self, default, mean, modes):
        self.default, self.triangles = default, default.triangles
        self.mean = default.vertices(mean)
        self.identity_basis = torch.einsum("ki,ivc->kvc", modes, default.identity_basis)

    def region(self, name):
        return self.default.region(name)

    def landmarks(self, vertices, scheme):
        return self.default.landmarks(vertices, scheme)


def test_people_are_measured_as_they_are(model):
    g = torch.Generator().manual_seed(0)
    count = model.count("identity")
    mean, modes = 0.5 * torch.randn(count, generator=g), torch.randn(2, count, generator=g)
    face = model.region("face")
    found = measure(model, Measured(model, mean, modes))
    basis = model.identity_basis[:, face].double()
    off = lambda a, b: (torch.einsum("i,ivc->vc", a.double() - b.double(), basis)).norm(dim=-1).median()  # noqa: E731
    assert off(found.mean, mean) < 0.25 * off(torch.zeros(count), mean)
    for k in range(2):
        assert off(found.modes[k], modes[k]) < 0.4 * off(torch.zeros(count), modes[k])


def test_covariance_is_of_the_modes_and_the_rest():
    people = People(torch.zeros(2), torch.tensor([[2.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
    np.testing.assert_allclose(people.covariance(0.5).numpy(), [[5.5, 1.0], [1.0, 2.5]])


def test_the_shipped_people_are_of_the_default_model_and_grown_up(model):
    people = people_of(model)
    sizes = relative_sizes(model)
    assert abs(float(sizes @ people.mean)) < 0.02
    assert 0.02 < float((people.modes @ sizes).norm()) < 0.08
    assert people_of(JawModel()) is None


@pytest.mark.parametrize("rest", [0.1, 1.0])
def test_covariances_can_be_inverted(model, rest):
    assert float(torch.linalg.eigvalsh(people_of(model).covariance(rest)).min()) == pytest.approx(rest, rel=1e-3)
