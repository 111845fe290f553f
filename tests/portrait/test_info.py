"""``portrait info`` of spoilt files: exit code 2 and one line, whatever was in them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from facemodel.export.mesh import export_mesh
from facemodel.formats.default import write_model_file
from foundation.tensors import write_tensors
from neural_render.methods.onnx_file import HEADER
from portrait.cli import main
from portrait.video import VideoWriter
from tests.facemodel.clips import TETRAHEDRON, make_track, small_model
from tests.garbled import bounded, cuts, edits, other_json, spoilt

MODEL = small_model()
KINDS = (
    "clip.mp4", "clip.mov", "clip.mkv", "picture.png", "picture.jpg", "picture.webp", "picture.tif", "track/track.json",
    "track/track.safetensors", "weights.safetensors", "model.safetensors", "network.onnx", "mesh.glb",
)  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> dict[str, Path]:
    """A file of each kind that ``portrait info`` knows."""
    folder = tmp_path_factory.mktemp("whole")
    picture = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    paths = {kind: folder / kind for kind in KINDS}
    for kind, path in paths.items():
        if kind.startswith("clip"):
            with VideoWriter(path, 64, 48, 25.0) as writer:
                for k in range(4):
                    writer.write(np.roll(picture, k, 1))
        elif kind.startswith("picture"):
            Image.fromarray(picture).save(path)
    track = make_track(MODEL, 3)
    camera = {"focal": "solved", "prior_px": 900.0}
    edits_made = [{"set": {"a": 0.5}, "gaze": [0.1, 0.2]}, {"smooth": 0.2}]
    facts = {"camera": camera, "edits": edits_made, "target_frames": [0, 1], "timings": {"solver": 1.0}}
    track.with_parameters(track.parameters, **facts).save(folder / "track")
    write_tensors(paths["weights.safetensors"], "weights", 1, {"a": torch.rand(9)}, {"method": "x", "steps": 3})
    tensors = {"mean": torch.rand(4, 3), "triangles": torch.tensor(TETRAHEDRON), "identity_basis": torch.rand(2, 4, 3)}
    tensors["expression_basis"] = torch.rand(1, 4, 3)
    said = {"name": "n", "license": "l", "sources": "s", "expression_names": ["a"], "region_names": []}
    write_model_file(paths["model.safetensors"], tensors, said)
    sides = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, ["N", 3]) for n in ("a", "b")]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["a"], ["b"])], "g", sides[:1], sides[1:])
    network = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    entry = network.metadata_props.add()
    entry.key, entry.value = HEADER, json.dumps({"kind": "weights", "method": "deep-video-portraits", "steps": 7})
    onnx.save(network, paths["network.onnx"])
    export_mesh(track, 0, MODEL, paths["mesh.glb"])
    return paths


def info(path: Path, capsys) -> tuple[int, str, str]:
    """Exit code, what is said, and what is said of errors."""
    path = path.parent if path.parent.name == "track" else path
    code = main(["info", str(path)])
    return code, *capsys.readouterr()


@pytest.mark.parametrize("kind", KINDS)
def test_whole_files_are_described(whole, kind, capsys):
    code, said, error = info(whole[kind], capsys)
    assert code == 0 and said and not error


@pytest.mark.parametrize("how", ["empty", "first bytes", "half", "zeros", "noise", "text"])
@pytest.mark.parametrize("kind", KINDS)
def test_spoilt_files_are_refused_in_one_line(whole, kind, how, capsys):
    path = whole[kind]
    data = path.read_bytes()
    noise = np.random.default_rng(1).bytes(len(data))
    spoil = {"empty": b"", "first bytes": data[:12], "half": data[: len(data) // 2], "zeros": bytes(len(data)),
             "noise": noise, "text": b"no such thing\n" * 9}  # fmt: skip
    path.write_bytes(spoil[how])
    try:
        code, said, error = info(path, capsys)
    finally:
        path.write_bytes(data)
    assert (code, said) == (2, "") and error.startswith("error: ") and error.count("\n") == 1
    assert len(error) < 400 and (path.name in error or "track" in error)


@bounded
@given(kind=st.sampled_from(KINDS), changes=edits, cut=cuts)
def test_any_bytes_are_described_or_refused_in_one_line(whole, kind, changes, cut, capsys):
    path = whole[kind]
    data = path.read_bytes()
    path.write_bytes(spoilt(data, changes, cut))
    try:
        code, said, error = info(path, capsys)
    finally:
        path.write_bytes(data)
    assert (code == 0 and said) or (code == 2 and error.count("\n") == 1)


@bounded
@given(data=st.data())
def test_any_facts_of_a_track_are_described_or_refused_in_one_line(whole, data, capsys):
    path = whole["track/track.json"]
    text = path.read_text()
    path.write_text(json.dumps(data.draw(other_json(json.loads(text)))))
    try:
        code, said, error = info(path, capsys)
    finally:
        path.write_text(text)
    assert (code == 0 and said) or (code == 2 and error.count("\n") == 1)
