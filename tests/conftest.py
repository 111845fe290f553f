"""What all tests share."""

import pytest


@pytest.fixture(scope="session")
def model():
    """The default one; nobody changes it."""
    import facemodel

    return facemodel.load()
