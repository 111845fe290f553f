import pytest

from synthetic import make_scene


@pytest.fixture(scope="session")
def scene(model):
    """Three frames of a person, 160 px."""
    return make_scene(model, 7, 3, 160)
