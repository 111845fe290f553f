"""The exported network is the trained one, and other people's files are refused."""

import numpy as np
import onnx
import pytest
import torch

from foundation.errors import PortraitError
from neural_render import Crop
from neural_render.methods.deep_video_portraits.conditioning import inputs
from neural_render.methods.deep_video_portraits.onnx_network import OnnxWeights, export_onnx
from neural_render.methods.deep_video_portraits.synthesis import synthesize_crops
from neural_render.methods.deep_video_portraits.weights import Header, Weights, own_track, track_tensors
from neural_render.networks import RefinementUNet
from tests.neural_render.conftest import HEIGHT, WIDTH

SIZE, WINDOW = 64, 3
INPUTS = inputs(WINDOW, True)


@pytest.fixture(scope="module")
def weights(model, track) -> Weights:
    """A network whose normalisation has seen noise, so that folding it matters."""
    torch.manual_seed(0)
    net = RefinementUNet(INPUTS, SIZE, 8, beneath=True)
    net.start_from(torch.rand(3, SIZE, SIZE) * 2 - 1)
    net.to_rgb.weight.data *= 30
    for _ in range(4):
        net(torch.rand(4, INPUTS, SIZE, SIZE) * 2 - 1)
    header = Header(
        method="deep-video-portraits", model=model.name, fingerprint=model.fingerprint, width=8, size=SIZE,
        window=WINDOW, crop=Crop(20, 0, HEIGHT), frame_width=WIDTH, frame_height=HEIGHT, target={"seed": 3},
        textured=True,
    )  # fmt: skip
    texture = torch.randint(0, 256, (32, 32, 3), dtype=torch.uint8)
    return Weights(header, net.state_dict(), texture=texture, own=own_track(track))


@pytest.fixture(scope="module")
def file(weights, tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "net.onnx"
    assert export_onnx(weights, path) == "condition (N, 30, 64, 64) to image (N, 3, 64, 64)"
    return path


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_equal_to_torch(weights, file, frames):
    x = torch.rand(frames, INPUTS, SIZE, SIZE, generator=torch.Generator().manual_seed(frames)) * 2 - 1
    with torch.inference_mode():
        expected = weights.network()(x)
    found = OnnxWeights(file).network()(x)
    assert (expected - weights.generator["background"]).std() > 0.1
    assert (found - expected).abs().max() < 1e-3


def test_everything_needed_is_in_the_file(weights, file, model):
    onnx.checker.check_model(str(file))
    loaded = OnnxWeights(file, model=model)
    assert loaded.header == weights.header and torch.equal(loaded.texture, weights.texture)
    for name, value in track_tensors(weights.own).items():
        assert torch.equal(track_tensors(loaded.own)[name], value)
    assert [p.name for p in file.parent.iterdir()] == [file.name]


def test_synthesis_takes_either(weights, file, track, model):
    loaded = OnnxWeights(file)
    by_torch = synthesize_crops(weights.network(), weights, track, model=model)
    by_onnx = synthesize_crops(loaded.network(), loaded, track, model=model)
    for (a, head), (b, same_head) in zip(by_torch, by_onnx, strict=True):
        assert np.abs(a.astype(int) - b).max() <= 1 and np.array_equal(head, same_head)


def test_foreign_files_are_refused(file, tmp_path, model):
    with pytest.raises(PortraitError, match="no such file"):
        OnnxWeights(tmp_path / "absent.onnx")
    (tmp_path / "cut.onnx").write_bytes(file.read_bytes()[:5000])
    with pytest.raises(PortraitError, match="can't be run"):
        OnnxWeights(tmp_path / "cut.onnx")
    proto = onnx.load(file)
    header = proto.metadata_props.pop()
    onnx.save(proto, tmp_path / "unlabelled.onnx")
    with pytest.raises(PortraitError, match="not one of ours"):
        OnnxWeights(tmp_path / "unlabelled.onnx")
    header.value = header.value.replace(f'"size": {SIZE}', '"size": 128')
    proto.metadata_props.append(header)
    onnx.save(proto, tmp_path / "other_size.onnx")
    header.value = header.value.replace('"picture": "', '"picture": "!')
    proto.metadata_props.pop()
    proto.metadata_props.append(header)
    onnx.save(proto, tmp_path / "no_picture.onnx")
    with pytest.raises(PortraitError, match="expected the person's texture in its header"):
        OnnxWeights(tmp_path / "no_picture.onnx")
    with pytest.raises(PortraitError, match="expected inputs and outputs"):
        OnnxWeights(tmp_path / "other_size.onnx")


def test_another_face_model_is_refused(file, model):
    class Other:
        name, fingerprint = "other", "0"

    with pytest.raises(PortraitError, match="trained with model"):
        OnnxWeights(file, model=Other)
