"""Dark pictures are fitted as others are: there is less light, and the face is the same."""

import cv2
import numpy as np
import pytest
import torch

import fitting
from fitting.landmarks.base import Face
from fitting.observation.crop import DARKEST, METERED, FaceCrop
from fitting.occlusion.network import DIM, GREY, PARTS, as_learnt, visible_parts
from geometry.color import srgb_to_linear
from portrait.video import VideoReader
from portrait.video.sample import carphone


def exposure(picture):
    face = Face(np.array([[20.0, 20.0], [40.0, 44.0]]), "toy", 1.0)
    return float(FaceCrop(picture, face, (64, 64)).observe((32, 64)).exposure)


def test_exposure_is_by_the_brightest_things():
    picture = np.full((64, 64, 3), 30, np.uint8)
    light = lambda v: srgb_to_linear(torch.tensor(v / 255))  # noqa: E731
    assert exposure(picture) == pytest.approx(float(light(30.0) / light(255 * METERED)), rel=1e-4)
    assert exposure(picture // 2) == pytest.approx(float(light(15.0) / light(255 * METERED)), rel=1e-4)
    assert exposure(np.full_like(picture, 140)) == 1 and exposure(np.zeros_like(picture)) == pytest.approx(DARKEST)
    picture[:6] = 200  # a tenth
    assert exposure(picture) == 1


def test_pictures_of_any_brightness_and_grey_ones_are_shown_to_the_network_as_it_learnt_them():
    g = torch.Generator().manual_seed(0)
    usual = 0.3 + 0.4 * torch.rand(1, 8, 8, 3, generator=g)
    assert torch.equal(as_learnt(usual), usual)
    assert as_learnt(0.1 * usual).mean() == pytest.approx(DIM, rel=1e-4)
    torch.testing.assert_close(as_learnt(0.1 * usual), as_learnt(0.3 * usual))
    grey = usual[..., :1].expand(-1, -1, -1, 3) + 0.5 * GREY
    assert (as_learnt(grey)[..., 0] > as_learnt(grey)[..., 2]).all()
    assert as_learnt(torch.zeros(1, 8, 8, 3)).max() == 0


@pytest.fixture(scope="module")
def man():
    """(3 pictures, their landmarks): of the demo's clip."""
    return [frame for k, _, frame in VideoReader(carphone()) if k in (0, 40, 80)]


def test_skin_is_skin_in_the_dark_and_on_grey_film(man):
    face = [cv2.resize(p[15:115, 35:130], (64, 64), interpolation=cv2.INTER_AREA) for p in man]
    y, x = np.indices((64, 64))
    inner = ((x - 32) / 14) ** 2 + ((y - 32) / 18) ** 2 < 1
    usual, *others = (
        visible_parts(torch.from_numpy(np.stack(pictures)).float() / 255).argmax(-1).numpy()[:, inner]
        for pictures in (
            face,
            [(0.15 * p).astype(np.uint8) for p in face],
            [np.repeat(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY)[..., None], 3, 2) for p in face],
        )
    )
    other = PARTS.index("other")
    assert (usual == other).mean() < 0.1
    for found in others:
        assert (found == other).mean() < 0.2


def test_a_dark_picture_s_face_is_the_usual_one_s(model, man):
    fitted = [fitting.fit_images([(share * p).astype(np.uint8) for p in man], model=model) for share in (1, 0.33)]
    usual, dark = (track.parameters.expanded() for track in fitted)
    shape = lambda p: model.vertices(p.identity[0], torch.zeros_like(p.expression[0]))  # noqa: E731
    away = (shape(usual) - model.mean).norm(dim=-1).mean()
    assert (shape(dark) - shape(usual)).norm(dim=-1).mean() < 0.25 * away
    assert (dark.illumination[:, 0].mean() / usual.illumination[:, 0].mean()) < 0.5
    assert abs(float(fitted[0].confidence.mean() - fitted[1].confidence.mean())) < 0.2
