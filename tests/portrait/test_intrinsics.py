"""Focal length and field of view."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facemodel import PortraitError
from portrait.cli import main
from portrait.video.intrinsics import check_focal_or_fov, focal_from_fov, fov_from_focal
from portrait.video.sample import carphone


@given(st.floats(0.1, 179.9), st.integers(1, 10000))
def test_field_of_view_is_the_angle_between_the_edges(fov, width):
    focal = focal_from_fov(fov, width)
    left, right = (-width / 2, focal), (width / 2, focal)
    angle = math.atan2(right[0], right[1]) - math.atan2(left[0], left[1])
    assert math.degrees(angle) == pytest.approx(fov)
    assert fov_from_focal(focal, width) == pytest.approx(fov)


@pytest.mark.parametrize("fov", [0, -40, 180, 400, math.nan, math.inf])
def test_impossible_fields_of_view(fov):
    with pytest.raises(PortraitError, match="--fov: expected degrees between 0 and 180"):
        check_focal_or_fov(None, fov)


@pytest.mark.parametrize("focal", [0, -1, math.nan, math.inf])
def test_impossible_focal_lengths(focal):
    with pytest.raises(PortraitError, match="--focal-px: expected a length in pixels above 0"):
        check_focal_or_fov(focal, None)


def test_the_focal_length_is_given_once(tmp_path, capsys):
    check_focal_or_fov(None, None), check_focal_or_fov(900, None), check_focal_or_fov(None, 60)
    arguments = ["fit", str(carphone()), "-o", str(tmp_path / "t"), "--focal-px", "900", "--fov", "60"]
    assert main(arguments) == 2
    assert "--focal-px and --fov" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
