import dataclasses

import pytest
import torch

from tests.fitting.rendered import rendered_clip


@pytest.fixture(scope="session")
def clip(model):
    """Parameters, pictures, landmarks."""
    return rendered_clip(model)


def in_double(item):
    """A copy of a dataclass of tensors with its floats in double precision, for finite differences."""
    change = {}
    for f in dataclasses.fields(item):
        value = getattr(item, f.name)
        if torch.is_tensor(value) and value.is_floating_point():
            change[f.name] = value.double()
        elif isinstance(value, dict):
            change[f.name] = {k: in_double(v) for k, v in value.items()}
    return dataclasses.replace(item, **change)
