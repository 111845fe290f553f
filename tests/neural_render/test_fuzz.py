"""Whatever is in a file of a training: it is read, or refused in one line; what is only a help is made anew."""

from __future__ import annotations

import json

import onnx
import pytest
import torch
from hypothesis import given
from safetensors.torch import save_file

from foundation.errors import PortraitError
from neural_render import Crop
from neural_render.losses.perceptual import read_vgg
from neural_render.methods.base import method_of
from neural_render.methods.deep_video_portraits.onnx_network import OnnxWeights
from neural_render.methods.deep_video_portraits.weights import Header, Weights
from neural_render.methods.onnx_file import HEADER, open_onnx
from neural_render.methods.weights import KIND
from neural_render.networks import RefinementUNet
from neural_render.training import resume, run
from neural_render.training.logs import Log
from neural_render.uv_gan.generator import UVGenerator
from neural_render.uv_gan.samples import TextureSet
from neural_render.uv_gan.weights import CompletionHeader, CompletionWeights
from tests.garbled import bounded, other_json, reads_or_refuses, spoil_bytes, spoil_tensors, tensors_header, with_header
from tests.neural_render.training.toys import Line

OURS = Header(
    method="deep-video-portraits", steps=7, sources=({"file": "a.mp4", "sha256": "0"},), model="small",
    fingerprint="f" * 16, width=4, size=64, window=3, crop=Crop(3, 4, 90), frame_width=160, frame_height=120,
    target={"frames": 5},
)  # fmt: skip


def test_weights(tmp_path):
    path = Weights(OURS, RefinementUNet(27, 64, 4).state_dict()).save(tmp_path / "w.safetensors")
    spoil_tensors(path, lambda: Weights.load(path).network())
    spoil_tensors(path, lambda: method_of(path))


def test_weights_of_completion(tmp_path):
    path, network = tmp_path / "w.safetensors", UVGenerator(64, 4)
    header = CompletionHeader("small", "f" * 16, 64, 4, "group", 1, 1.0, 1, 1, 0)
    CompletionWeights(header, network.state_dict()).save(path)
    spoil_tensors(path, lambda: CompletionWeights.load(path).network())


def test_checkpoints(tmp_path):
    path = tmp_path / "c.safetensors"
    run(Line(), path, steps=3)
    spoil_tensors(path, lambda: resume(Line(), path, {}))


@pytest.mark.parametrize("name", ["vgg.safetensors", "vgg.pth", "old.pth"])
def test_weights_of_others(tmp_path, name):
    path, tensors = tmp_path / name, {"features.0.weight": torch.rand(3), "features.0.bias": torch.rand(2, 2)}
    if name == "vgg.safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path, _use_new_zipfile_serialization=name == "vgg.pth")
    spoil_bytes(path, lambda: read_vgg(path))


def test_a_spoilt_log_begins_anew(tmp_path):
    with Log(tmp_path, 0) as log:
        for step in (10, 20, 30):
            log.values(step, {"loss": 1.0 / step})

    def go_on():
        with Log(tmp_path, 20) as again:
            again.values(30, {"loss": 0.5})
        return again.rows

    assert [row["step"] for row in go_on()] == ["10", "20", 30]
    spoil_bytes(log.table, go_on)


def test_textures_that_are_of_no_use_are_none(tmp_path):
    size, path, facts = 4, tmp_path / "t.safetensors", {"size": 4}
    byte, flag = torch.zeros(2, size, size, dtype=torch.uint8), torch.ones(2, size, size, dtype=torch.bool)
    TextureSet(byte[..., None].repeat(1, 1, 1, 3), flag, torch.arange(2), byte, torch.zeros(2), flag[0]).save(
        path, facts
    )

    def load():
        found = TextureSet.load(path, facts)
        assert found is None or (len(found) == 2 and found.island.shape == (size, size))
        return found

    assert load() is not None
    spoil_tensors(path, load)
    header, whole = tensors_header(path)
    path.write_bytes(whole[:-3])
    assert load() is None
    path.write_bytes(with_header(whole, header | {"middle": None}))
    assert load() is None


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """An ONNX file with a header that can be changed, which the function writes."""
    sides = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", channels, 64, 64])
        for name, channels in (("condition", 27), ("image", 3))
    ]
    cut = onnx.helper.make_node("Split", ["condition"], ["image", "rest"], axis=1)
    parts = onnx.helper.make_tensor("parts", onnx.TensorProto.INT64, [2], [3, 24])
    cut.input.append("parts")
    graph = onnx.helper.make_graph([cut], "g", [sides[0]], [sides[1]], [parts])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    entry, path = model.metadata_props.add(), tmp_path_factory.mktemp("onnx") / "n.onnx"
    entry.key = HEADER

    def write(header: str):
        entry.value = header
        onnx.save(model, path)
        return path

    return write


def test_headers_of_exported_networks(network):
    table = json.loads(json.dumps({"kind": KIND, **OURS.to_json()}))
    path = network(json.dumps(table))
    assert OnnxWeights(path).header == OURS
    spoil_bytes(path, lambda: OnnxWeights(path))

    @bounded
    @given(other_json(table))
    def by_values(other):
        network(json.dumps(other))
        reads_or_refuses(lambda: OnnxWeights(path))
        reads_or_refuses(lambda: method_of(path))

    by_values()


@pytest.mark.parametrize("header", ["", "[", "[]", "3", '"a"', "null", "{}", '{"kind": "weights", "method": []}'])
def test_networks_without_a_header_of_ours(network, header):
    with pytest.raises(PortraitError, match="not one of ours"):
        open_onnx(network(header))
