"""Signs and constants of the spherical harmonics, and their derivatives."""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import sph_harm_y

from geometry.spherical_harmonics import COSINE_LOBE, sh_basis, sh_basis_gradient, shade

BANDS = np.array([0, 1, 1, 1, 2, 2, 2, 2, 2])


def directions(count: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(count, 3, generator=generator, dtype=torch.float64), dim=-1)


def sphere_grid(rows: int = 200, columns: int = 400):
    """Directions (R, 3) and solid angles (R,) of a fine latitude-longitude grid."""
    theta = (np.arange(rows) + 0.5) / rows * np.pi
    phi = (np.arange(columns) + 0.5) / columns * 2 * np.pi
    theta, phi = (a.ravel() for a in np.meshgrid(theta, phi, indexing="ij"))
    xyz = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1)
    return torch.from_numpy(xyz), torch.from_numpy(np.sin(theta) * np.pi / rows * 2 * np.pi / columns)


def test_basis_is_the_real_form_of_scipys():
    normals = directions(50)
    theta, phi = np.arccos(normals[:, 2].numpy()), np.arctan2(normals[:, 1].numpy(), normals[:, 0].numpy())
    ours = sh_basis(normals).numpy()
    for k, (band, order) in enumerate([(0, 0), (1, -1), (1, 0), (1, 1), (2, -2), (2, -1), (2, 0), (2, 1), (2, 2)]):
        value = sph_harm_y(band, abs(order), theta, phi)
        # The factor (-1)^m takes out the phase of Condon and Shortley, so that x, y, z have a plus sign.
        part = value.real if order >= 0 else value.imag
        theirs = part if order == 0 else np.sqrt(2) * (-1) ** order * part
        np.testing.assert_allclose(ours[:, k], theirs, atol=1e-9)


def test_basis_is_orthonormal():
    grid, area = sphere_grid()
    basis = sh_basis(grid)
    torch.testing.assert_close(basis.T @ (area[:, None] * basis), torch.eye(9, dtype=torch.float64), atol=1e-3, rtol=0)


def test_shading_is_the_integral_over_the_hemisphere():
    """Light of the first three bands, folded with the cosine lobe, against integration over all directions."""
    generator = torch.Generator().manual_seed(3)
    light = torch.randn(9, 3, generator=generator, dtype=torch.float64)
    light[0] += 6
    grid, area = sphere_grid()
    incoming = sh_basis(grid) @ light
    normals = directions(20)
    cosine = (normals @ grid.T).clamp_min(0)
    integral = (cosine * area) @ incoming / np.pi
    folded = light * torch.tensor(COSINE_LOBE, dtype=torch.float64)[BANDS][:, None]
    albedo = torch.rand(20, 3, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(shade(albedo, normals, folded), albedo * integral, atol=2e-3, rtol=0)


def test_light_from_the_side_lights_that_side():
    normals = torch.tensor([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, 0, 1]])
    for k, brightest in ((3, 0), (1, 2), (2, 3)):
        light = torch.zeros(9, 3)
        light[0], light[k] = 1, 0.5
        assert int(shade(torch.ones(4, 3), normals, light)[:, 0].argmax()) == brightest


def test_batched_light_and_gradients():
    normals, albedo = directions(4).expand(2, 4, 3), torch.rand(2, 4, 3, dtype=torch.float64)
    light = torch.rand(2, 9, 3, dtype=torch.float64, requires_grad=True)
    whole = shade(albedo, normals, light)
    torch.testing.assert_close(whole[1], shade(albedo[1], normals[1], light[1]))
    assert torch.autograd.gradcheck(lambda l: shade(albedo, normals, l), light)


def test_gradient_of_the_basis_is_autograd_s():
    normals = directions(12, seed=4)
    expected = torch.func.vmap(torch.func.jacrev(sh_basis))(normals)
    torch.testing.assert_close(sh_basis_gradient(normals), expected)
