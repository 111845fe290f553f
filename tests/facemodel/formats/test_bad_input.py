"""Broken files, files of something else, and garbled bytes: one line each, and nothing else."""

import os
from pathlib import Path
from pickle import dumps

import numpy as np
import pytest
import scipy.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import facemodel
from benchmarks.model_files import WRITERS, flame_arrays, make_head, write_flame
from facemodel.formats._containers import summarize
from facemodel.formats.bfm2009 import THREE_DDFA
from facemodel.formats.default import write_model
from facemodel.importing import import_model
from facemodel.registry import FORMATS
from foundation.errors import PortraitError

FILES = [n for n in WRITERS if n not in ("FaceWarehouse",)]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    head = make_head(5, 6)
    return {name: write(tmp_path_factory.mktemp("form"), head) for name, write in WRITERS.items()}


def refused(path, extras=(), **more) -> str:
    with pytest.raises(PortraitError) as error:
        import_model(path, extras, **more)
    assert "\n" not in str(error.value) and str(path.name) in str(error.value)
    return str(error.value)


def one_file(written) -> Path:
    path = written.path
    return path if path.is_file() else max(path.iterdir(), key=lambda p: p.stat().st_size)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.7, 0.999])
@pytest.mark.parametrize("name", FILES)
def test_truncated(name, share, written, tmp_path):
    data = one_file(written[name]).read_bytes()
    path = tmp_path / "short.bin"
    path.write_bytes(data[: int(len(data) * share)])
    refused(path, written[name].extras)
    with pytest.raises(PortraitError):
        facemodel.load(path)


def test_a_truncated_pickle_says_so(tmp_path):
    path = write_flame(tmp_path, make_head()).path
    path.write_bytes(path.read_bytes()[:-1000])
    assert "a pickle that can't be read: it breaks off" in refused(path)


class Evil:
    def __reduce__(self):
        return os.system, ("touch should-not-exist",)


def test_a_class_off_the_list_is_named_and_never_built(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.pkl").write_bytes(dumps(flame_arrays(make_head()) | {"extra": Evil()}))
    assert "posix.system" in refused(tmp_path / "m.pkl")
    assert os.listdir(tmp_path) == ["m.pkl"]


@pytest.mark.parametrize("key", ["v_template", "shapedirs", "posedirs", "J_regressor", "weights"])
def test_a_model_of_nan(tmp_path, key):
    arrays = flame_arrays(make_head())
    arrays[key] = np.full_like(arrays[key], np.nan)
    (tmp_path / "m.pkl").write_bytes(dumps(arrays))
    refused(tmp_path / "m.pkl")


def test_a_nan_in_a_mean_is_said(tmp_path):
    mean = np.zeros((30, 1))
    mean[4] = np.nan
    scipy.io.savemat(tmp_path / "m.mat", {
        "mean": mean, "components": np.ones((30, 1)), "eigenvalues": [[1.0]], "trilist": [[0, 1, 2], [3, 4, 5]],
    })  # fmt: skip
    assert "numbers that aren't finite" in refused(tmp_path / "m.mat")


@pytest.mark.parametrize(("joints", "what"), [(24, "SMPL"), (55, "SMPL-X"), (52, "SMPL-H"), (7, "a body or a hand")])
def test_a_body_model_is_named(tmp_path, joints, what):
    arrays = flame_arrays(make_head()) | {"kintree_table": np.zeros((2, joints), int)}
    (tmp_path / "m.pkl").write_bytes(dumps(arrays))
    message = refused(tmp_path / "m.pkl")
    assert f"{joints} joints" in message and what in message and "give FLAME's file" in message
    np.savez(tmp_path / "m.npz", **arrays)
    assert what in refused(tmp_path / "m.npz")


def test_landmarks_are_no_model(tmp_path):
    np.save(tmp_path / "m.npy", np.zeros((68, 2)))
    assert "landmarks, not a face model" in refused(tmp_path / "m.npy")
    np.savez(tmp_path / "m.npz", landmarks=np.zeros((30, 478, 2)))
    assert "landmarks, not a face model" in refused(tmp_path / "m.npz")
    points = "version: 1\nn_points: 68\n{\n" + "12.5 30.25\n" * 68 + "}\n"
    (tmp_path / "m.pts").write_text(points)
    assert "2D landmarks" in refused(tmp_path / "m.pts")
    (tmp_path / "m.txt").write_text("1.5,2.5\n" * 68)
    assert "2D landmarks" in refused(tmp_path / "m.txt")


def test_extra_files_given_as_models(tmp_path, written):
    (tmp_path / "masks.pkl").write_bytes(
        dumps({k: np.arange(3) for k in ("face", "neck", "scalp", "lips")}, protocol=0)
    )
    assert "FLAME's region masks; give them as an extra file" in refused(tmp_path / "masks.pkl")
    np.savez(tmp_path / "e.npz", lmk_face_idx=np.zeros(105, int), lmk_b_coords=np.zeros((105, 3)))
    assert "a landmark embedding" in refused(tmp_path / "e.npz")
    assert "eos' expressions" in refused(written["eos version 1"].extras[0])


def test_what_a_folder_lacks(tmp_path, written):
    lone = next(written["FaceWarehouse"].path.rglob("shape.bs"))
    assert "one person" in refused(lone)
    assert "have no triangles; give an OBJ" in refused(written["FaceWarehouse"].path)
    spread = written["3DDFA V2"].path / "bfm_noneck_v3.pkl"
    assert THREE_DDFA.sniff(spread) and "no standard deviations" in refused(spread)
    assert "a folder: another kind of file" in refused(tmp_path)


def test_shape_components_of_another_number(tmp_path):
    arrays = flame_arrays(make_head())
    arrays["shapedirs"] = arrays["shapedirs"][..., :150]
    (tmp_path / "m.pkl").write_bytes(dumps(arrays))
    assert "150 shape components, expected 300 + 100" in refused(tmp_path / "m.pkl")


def test_parts_that_don_t_belong_together(tmp_path):
    arrays = flame_arrays(make_head())
    for change in (
        {"weights": arrays["weights"][:-1]},
        {"f": arrays["f"] + 10_000},
        {"kintree_table": np.ones((2, 5), int)},
    ):
        (tmp_path / "m.pkl").write_bytes(dumps(arrays | change))
        refused(tmp_path / "m.pkl")


def test_a_matlab_file_of_something_else(tmp_path):
    scipy.io.savemat(tmp_path / "m.mat", {"a": 1.0, "b": {"c": 2.0}})
    assert "a MATLAB file with a, b, b.c" in refused(tmp_path / "m.mat")


def test_there_is_no_such_file(tmp_path):
    assert "no such file" in refused(tmp_path / "none.pkl")


def test_nothing_is_written_where_writing_fails(tmp_path, written):
    model = import_model(written["LSFM"].path)
    model.mean[0] = float("nan")
    with pytest.raises(PortraitError, match="aren't finite"):
        write_model(tmp_path / "x.model", model)
    assert not list(tmp_path.iterdir())


# -- garbled bytes ------------------------------------------------------------------------------------------------

GARBLED = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


def tried(path: Path, extras) -> None:
    """It's a model of something, or refused in a line; nothing else comes out."""
    assert isinstance(summarize(path).kind, str)
    for name in FORMATS:
        assert FORMATS[name].sniff(path) in (True, False)
    try:
        import_model(path, extras, force=True)
    except PortraitError as error:
        assert "\n" not in str(error)


@GARBLED
@given(data=st.data())
@pytest.mark.parametrize("name", FILES)
def test_bytes_changed_anywhere(name, data, written, tmp_path_factory):
    original = one_file(written[name]).read_bytes()
    garbled = bytearray(original)
    for _ in range(data.draw(st.integers(1, 6))):
        # Headers and tables are at the ends: most of what lies between is numbers.
        near = data.draw(st.integers(0, min(2000, len(garbled) - 1)))
        at = data.draw(st.sampled_from([near, len(garbled) - 1 - near, data.draw(st.integers(0, len(garbled) - 1))]))
        garbled[at] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("garbled") / "m"
    path.write_bytes(bytes(garbled))
    tried(path, written[name].extras)
    path.unlink()


@GARBLED
@given(content=st.binary(max_size=400), start=st.sampled_from([
    b"", b"\x80\x02", b"\x80\x04\x95", b"(dp0\n", b"PK\x03\x04", b"\x93NUMPY\x01\x00", b"\x89HDF\r\n\x1a\n",
    b"MATLAB 5.0 MAT-file" + b" " * 105 + b"\x00\x01IM", b"v 1 2 3\nf 1 1 1\n", b"\x01\x00\x00\x00", b"[1", b"{",
]))  # fmt: skip
def test_bytes_of_any_kind(content, start, tmp_path_factory):
    path = tmp_path_factory.mktemp("garbled") / "m"
    path.write_bytes(start + content)
    tried(path, ())
    path.unlink()
