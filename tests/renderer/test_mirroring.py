"""A texture's other side, of atlases that are symmetric and of others."""

import torch

from renderer import atlas_values
from renderer.mirroring import mirroring
from tests.renderer.test_unwrapping import cylinder_model

SIZE = 96


def picture(model):
    """Colours that say where on the tube a texel is: left from right, high from low."""
    return atlas_values(model, model.mean / 100 + 1.5, SIZE)


def test_another_atlas_is_mirrored_on_the_surface():
    model = cylinder_model()
    turned = model.rebuilt(model.flatten() | {"uv": torch.stack([model.uv[:, 1], 0.9 * model.uv[:, 0] + 0.05], -1)})
    assert not turned.atlas.symmetric
    seen, inside = picture(turned), atlas_values(turned, torch.ones(len(turned.mean), 1), SIZE)[..., 0] > 0.5
    other = mirroring(turned, SIZE)(seen)
    wanted = seen.clone()
    wanted[..., 0] = 3.0 - seen[..., 0]
    assert float((other - wanted)[inside].abs().max()) < 0.05  # 5 mm of 80, at the atlas' edge
    assert float((other - wanted)[inside].abs().mean()) < 0.01
    assert float(other[~inside].abs().max()) == 0


def test_where_there_is_no_other_side_there_is_nothing():
    model = cylinder_model()
    shifted = model.rebuilt(model.flatten() | {"mean": model.mean + torch.tensor([60.0, 0, 0])})
    weight = atlas_values(shifted, torch.ones(len(shifted.mean), 1), SIZE)[..., 0]
    other = mirroring(shifted, SIZE)(weight)
    left = atlas_values(shifted, shifted.mean, SIZE)[..., 0] > 40  # whose mirror image is beyond the tube
    assert float(other[left & (weight > 0.5)].max()) == 0


def test_a_symmetric_one_is_turned_over():
    model = cylinder_model()
    symmetric = model.rebuilt(model.flatten(), symmetric_atlas=True)
    texture = torch.rand(SIZE, SIZE, 3)
    assert torch.equal(mirroring(symmetric, SIZE)(texture), texture.flip(1))
