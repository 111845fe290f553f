"""MATLAB 5's files against SciPy's writer and reader, and bytes that SciPy's reader doesn't survive."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facemodel.formats._mat5 import read_mat5
from foundation.errors import PortraitError

DTYPES = ("f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")
VALUES = {
    **{f"a_{d}": np.arange(12, dtype=d).reshape(3, 4) for d in DTYPES},
    "cube": np.arange(24.0).reshape(2, 3, 4),
    "whole": np.array([[1.0, 2.0, 300.0]]),  # MATLAB stores whole doubles as small integers
    "empty": np.zeros((0, 3)),
    "text": "skin",
    "model": {"mean": np.arange(6.0)[:, None], "deep": {"tri": np.arange(3, dtype="u2")[None]}},
}


@pytest.mark.parametrize("packed", [False, True])
def test_what_scipy_wrote(tmp_path, packed):
    scipy.io.savemat(tmp_path / "m.mat", VALUES, do_compression=packed)
    found = read_mat5(tmp_path / "m.mat")
    assert set(found) == set(VALUES)
    for name, value in VALUES.items():
        if isinstance(value, np.ndarray):
            assert found[name].dtype == value.dtype and np.array_equal(found[name], value), name
    assert found["text"] == "skin"
    assert np.array_equal(found["model"]["mean"], VALUES["model"]["mean"])
    assert np.array_equal(found["model"]["deep"]["tri"], VALUES["model"]["deep"]["tri"])


def test_names_alone(tmp_path):
    scipy.io.savemat(tmp_path / "m.mat", VALUES)
    assert set(read_mat5(tmp_path / "m.mat", ["cube", "other"])) == {"cube"}


def test_cells_are_left_out(tmp_path):
    scipy.io.savemat(tmp_path / "m.mat", {"cell": np.array([1, "a"], dtype=object), "a": 1.0})
    found = read_mat5(tmp_path / "m.mat")
    assert found["cell"] is None and found["a"] == 1


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(data=st.data(), packed=st.booleans())
def test_garbled_bytes_are_refused_or_read(data, packed, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / f"garbled{packed}.mat"
    scipy.io.savemat(path, VALUES, do_compression=packed)
    whole = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(
        bytes(whole[: data.draw(st.integers(0, len(whole)))]) if data.draw(st.booleans()) else bytes(whole)
    )
    try:
        read_mat5(path)
    except PortraitError as error:
        assert "\n" not in str(error)
