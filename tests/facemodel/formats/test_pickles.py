"""Pickles of arrays are read without anything in them being run."""

import io
import os
from pickle import dumps

import numpy as np
import pytest
import scipy.sparse
import torch

from benchmarks.model_files import stub_modules
from facemodel.formats._pickles import read_pickle
from foundation.errors import PortraitError
from tests.facemodel.formats.real import MODELS, needs_real


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("array", [
    np.arange(12.0).reshape(3, 4), np.asfortranarray(np.arange(12, dtype=np.int32).reshape(3, 4)),
    np.array(2.5), np.zeros((0, 3)), np.array([True, False]), np.array(["a", "bc"]), np.arange(4, dtype=">f4"),
])  # fmt: skip
def test_arrays_are_as_they_were(array, protocol):
    found = read_pickle(dumps({"x": array, "same": [array, array]}, protocol=protocol))
    for value in (found["x"], *found["same"]):
        np.testing.assert_array_equal(value, array)
        assert value.dtype == array.dtype


@pytest.mark.parametrize("protocol", range(2, 6))
def test_what_else_files_hold(protocol):
    matrix = scipy.sparse.random(4, 9, 0.4, "csc", random_state=1)
    held = {"m": matrix, "r": matrix.tocsr(), "n": np.float32(1.5), "t": ("lbs", 3, None, True), 4: [1.5, -2]}
    found = read_pickle(dumps(held, protocol=protocol))
    np.testing.assert_array_equal(found["m"].todense(), matrix.todense())
    np.testing.assert_array_equal(found["r"].todense(), matrix.todense())
    assert found["n"] == 1.5 and found["t"] == held["t"] and found[4] == [1.5, -2]


@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
def test_chumpy_is_read_without_chumpy(protocol):
    values = np.arange(12.0).reshape(4, 3)
    with stub_modules(Ch="chumpy.ch", Select="chumpy.reordering") as stubs:
        inner, select = stubs.Ch(), stubs.Select()
        inner.x = values
        select.a, select.idxs, select.preferred_shape = inner, np.array([5, 0, 7, 11]), (2, 2)
        data = dumps({"v": inner, "s": select}, protocol=protocol)
    found = read_pickle(data)
    np.testing.assert_array_equal(found["v"], values)
    np.testing.assert_array_equal(found["s"], [[5, 0], [7, 11]])


def test_tensors_within_old_torch_pickles():
    tensor = torch.arange(12.0).reshape(3, 4).T

    class Storage:
        def __reduce__(self):
            buffer = io.BytesIO()
            typed = torch.storage.TypedStorage(
                wrap_storage=tensor.untyped_storage(), dtype=tensor.dtype, _internal=True
            )
            torch.save(typed, buffer)
            return torch.storage._load_from_bytes, (buffer.getvalue(),)

    class Rebuilt:
        def __reduce__(self):
            return torch._utils._rebuild_tensor_v2, (Storage(), 0, (4, 3), (1, 4), False, {})

    np.testing.assert_array_equal(read_pickle(dumps({"x": Rebuilt()}))["x"], tensor.numpy())


class Calls:
    def __init__(self, function, *args):
        self.call = (function, args)

    def __reduce__(self):
        return self.call


HOSTILE = {
    "system": (Calls(os.system, "touch {mark}"), "system"),
    "eval": (Calls(eval, "open('{mark}', 'w')"), "builtins.eval"),
    "numpy.load": (Calls(np.load, "x.npy"), "numpy.*load"),
    "getattr": (Calls(getattr, "", "join"), "builtins.getattr"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_classes_off_the_list_are_named_and_never_built(name, tmp_path):
    value, named = HOSTILE[name]
    mark = tmp_path / "ran"
    function, args = value.call
    value = Calls(function, *(a.format(mark=mark) if isinstance(a, str) else a for a in args))
    with pytest.raises(PortraitError, match=f"{named}.*it wasn't built"):
        read_pickle(dumps({"v_template": value}))
    assert not mark.exists()


BOMBS = {
    "an array of no array": b"cnumpy.core.multiarray\n_reconstruct\n(c__builtin__\nobject\n(I0\ntS'b'\ntR.",
    "a dotted name": b"\x80\x04\x8c\x05numpy\x8c\x0dndarray.__new__\x93.",
    "a name by number": b"\x80\x02\x82\x01.",
    "persistent": b"\x80\x02X\x01\x00\x00\x00aQ.",
    "state of a name": b"cnumpy\nndarray\n}(X\x01\x00\x00\x00aK\x01ub.",
    "state of a list": b"\x80\x02]}X\x01\x00\x00\x00aK\x01sb.",
    "a call of a number": b"\x80\x02K\x01)R.",
    "an object of a number": b"\x80\x02K\x01)\x81.",
    "an instance": b"(ios\nsystem\nS'x'\n.",
    "keys that are hashed for ever": b"\x80\x02" + b"K\x01q\x00" + b"".join(
        b"h" + bytes([k]) + b"h" + bytes([k]) + b"\x86q" + bytes([k + 1]) for k in range(60)
    ) + b"}" + b"h\x3cK\x01s.",
    "values that double": b"\x80\x02]q\x00" + b"".join(
        b"](h" + bytes([k]) + b"h" + bytes([k]) + b"eq" + bytes([k + 1]) for k in range(60)
    ) + b".",
    "a million lists": b"\x80\x02" + b"]" * 1_000_000 + b"a" * 999_999 + b".",
    "a huge byte array": b"\x80\x05\x96" + (1 << 45).to_bytes(8, "little") + b"x.",
    "a set": b"\x80\x04\x8f.",
    "nothing": b"",
    "the end alone": b".",
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_hostile_pickles_are_refused(name):
    with pytest.raises(PortraitError) as error:
        read_pickle(BOMBS[name])
    assert "\n" not in str(error.value)


def test_the_table_isn_t_changed_by_a_pickle():
    before = np.arange(3.0)
    with pytest.raises(PortraitError):
        read_pickle(BOMBS["state of a name"])
    np.testing.assert_array_equal(read_pickle(dumps(before)), before)


@pytest.mark.parametrize(
    "state",
    [{"shape": (3,), "data": b"\0" * 8}, {"shape": (1 << 60,), "data": b""}, {"shape": (-1,), "data": b"\0" * 8}],
)
def test_arrays_that_don_t_fit_their_content(state):
    class Array:
        def __reduce__(self):
            content = (1, state["shape"], np.dtype("f8"), False, state["data"])
            return np.core.multiarray._reconstruct, (np.ndarray, (0,), b"b"), content

    with pytest.raises(PortraitError, match="cut short|impossible shape"):
        read_pickle(dumps(Array()))


@needs_real
def test_real_pickles():
    masks = read_pickle((MODELS / "flame/FLAME_masks.pkl").read_bytes())
    assert {k: len(v) for k, v in masks.items()}["face"] == 1787 and masks["nose"].max() < 5023
    known = read_pickle((MODELS / "bfm09/param_mean_std_62d_120x120.pkl").read_bytes())
    assert known["std"].shape == (62,) and known["std"][12] == pytest.approx(5.75e5, rel=1e-2)
    assert read_pickle((MODELS / "bfm09/tri.pkl").read_bytes()).shape == (3, 76073)
