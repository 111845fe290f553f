"""The trained generator as an ONNX file, and run from one."""

from __future__ import annotations

import os

import torch
from torch import nn

from facemodel.base import check_same_model
from foundation.errors import PortraitError
from neural_render.methods.deep_video_portraits.conditioning import inputs
from neural_render.methods.deep_video_portraits.weights import Header, Weights, track_of, track_tensors
from neural_render.methods.onnx_file import OnnxNetwork, onnx_picture, onnx_tensors, open_onnx, write_onnx
from neural_render.methods.weights import AGAIN
from neural_render.networks import fold_norms

NAMES = ("condition", "image")


def shapes(header: Header) -> dict[str, list[int]]:
    """Of what goes into the network and what comes out, without the number of frames."""
    channels = inputs(header.window, header.textured)
    return {"condition": [channels, header.size, header.size], "image": [3, header.size, header.size]}


def export_onnx(weights: Weights, path: str | os.PathLike) -> str:
    """Writes the generator in float32, its batch normalisation folded in; says what goes in and what comes out.

    Input ``condition`` (N, `inputs`, size, size) and output ``image`` (N, 3, size, size), both float32 in [-1, 1], N
    free. Raises PortraitError for a path that can't be written.
    """
    network, shape = weights.network(), shapes(weights.header)
    fold_norms(network)
    example = torch.zeros(2, *shape["condition"])
    write_onnx(path, network, example, weights.header, NAMES, weights.texture, track_tensors(weights.own))
    condition, image = (", ".join(str(n) for n in shape[name]) for name in NAMES)
    return f"condition (N, {condition}) to image (N, {image})"


class OnnxWeights(Weights):
    """An ONNX file in the place of ``Weights``."""

    def __init__(self, path: str | os.PathLike, *, model=None) -> None:
        """Reads a file that ``export_onnx`` wrote; with ``model`` given, also checks that it is for that model.

        PortraitError where it is missing, no ONNX file, of other inputs than its header says, or somebody else's.
        """
        session, told = open_onnx(path)
        header = Header.from_json(told, path)
        texture = onnx_picture(told) if header.textured else None
        if header.textured and texture is None:
            raise PortraitError(f"onnx '{path}': expected the person's texture in its header, found none; export again")
        if model is not None:
            check_same_model(f"onnx '{path}': trained", header, model, AGAIN)
        expected = shapes(header)
        found = {v.name: list(v.shape[1:]) for v in [*session.get_inputs(), *session.get_outputs()]}
        if found != expected:
            raise PortraitError(f"onnx '{path}': expected inputs and outputs {expected}, found {found}; export again")
        super().__init__(header, {}, None, texture, track_of(onnx_tensors(told), header, path))
        object.__setattr__(self, "session", session)

    def network(self, device: str = "cpu") -> nn.Module:
        """The session; it runs where onnxruntime runs it, whatever the ``device``."""
        return OnnxNetwork(self.session)
