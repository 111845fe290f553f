"""What all tests share."""

import pytest
from hypothesis import settings

# The same examples on every run: what fails on one machine fails on all. `--hypothesis-profile=default` draws others.
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")


@pytest.fixture(scope="session")
def model():
    """The default one; nobody changes it."""
    import facemodel

    return facemodel.load()
