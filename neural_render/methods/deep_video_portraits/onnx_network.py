"""The trained generator as an ONNX file, and run from one by onnxruntime.

An ONNX file is a graph of known operators with their tensors: data, which onnxruntime checks and runs. What synthesis
needs to know besides (the header of the weights) stands in the file's ``metadata_props`` under ``HEADER``.
"""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from foundation.errors import PortraitError, write_error
from neural_render.methods.deep_video_portraits.conditioning import CHANNELS
from neural_render.methods.deep_video_portraits.weights import FORMAT, Weights, WeightsHeader
from neural_render.networks import fold_norms

HEADER = "video-portraits"
OPSET = 18
PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")


def export_onnx(weights: Weights, path: str | os.PathLike) -> Path:
    """Writes the generator in float32, its batch normalisation folded in.

    Input ``condition`` (N, window * 9, size, size) and output ``image`` (N, 3, size, size), both float32 in [-1, 1],
    N free. Raises PortraitError for a path that can't be written.
    """
    import onnx

    path, header = Path(path), weights.header
    network = weights.network()
    fold_norms(network)
    network = network.to(memory_format=torch.contiguous_format)
    example = torch.zeros(2, header.window * CHANNELS, header.size, header.size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's about itself
        program = torch.onnx.export(
            network, (example,), input_names=["condition"], output_names=["image"],
            dynamic_shapes=({0: torch.export.Dim("frames")},), opset_version=OPSET, dynamo=True, verbose=False,
        )  # fmt: skip
    proto = program.model_proto
    entry = proto.metadata_props.add()
    entry.key, entry.value = HEADER, json.dumps(header.to_json())
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(proto, partial)
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise write_error("output", path, error) from None
    return path


class OnnxNetwork(nn.Module):
    """An ONNX session that is called as the generator is; it has no parameters of its own."""

    def __init__(self, session) -> None:
        super().__init__()
        self.session = session

    def forward(self, x: Tensor) -> Tensor:
        """(N, window * 9, size, size) -> (N, 3, size, size), both in [-1, 1]."""
        condition = np.ascontiguousarray(x.float().cpu().numpy())
        (image,) = self.session.run(["image"], {"condition": condition})
        return torch.from_numpy(image)


class OnnxWeights(Weights):
    """An ONNX file in the place of ``Weights``: ``synthesize`` takes either."""

    def __init__(self, path: str | os.PathLike, *, model=None) -> None:
        """Reads a file that ``export_onnx`` wrote; with ``model`` given, also checks that it is for that model.

        PortraitError where it is missing, no ONNX file, of other inputs than its header says, or somebody else's.
        """
        path = Path(path)
        if not path.is_file():
            raise PortraitError(f"onnx '{path}': no such file; make it with 'portrait export WEIGHTS -o {path}'")
        session = _session(path)
        text = session.get_modelmeta().custom_metadata_map.get(HEADER)
        header = json.loads(text) if text else {}
        if header.get("format") != FORMAT:
            raise PortraitError(f"onnx '{path}': not one of ours; make it with 'portrait export WEIGHTS -o {path}'")
        header = WeightsHeader.from_json(header, path)
        if model is not None and header.fingerprint != model.fingerprint:
            raise PortraitError(
                f"onnx '{path}': trained with model '{header.model}' ({header.fingerprint}), but the model loaded is "
                f"'{model.name}' ({model.fingerprint}); train again with this model"
            )
        expected = {"condition": [header.window * CHANNELS, header.size, header.size], "image": [3, *[header.size] * 2]}
        found = {v.name: list(v.shape[1:]) for v in [*session.get_inputs(), *session.get_outputs()]}
        if found != expected:
            raise PortraitError(f"onnx '{path}': expected inputs and outputs {expected}, found {found}; export again")
        super().__init__(header, {})
        object.__setattr__(self, "session", session)

    def network(self, device: str = "cpu") -> nn.Module:
        """The session; it runs where onnxruntime runs it, whatever the ``device``."""
        return OnnxNetwork(self.session)


def _session(path: Path):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    try:
        # from bytes: it has to be whole in itself, not to name other files that are then read
        known = [p for p in PROVIDERS if p in onnxruntime.get_available_providers()]
        return onnxruntime.InferenceSession(path.read_bytes(), options, providers=known)
    except Exception as error:  # onnxruntime has a class for each kind of broken file, none of them public
        reason = " ".join(str(error).split())[:160]
        raise PortraitError(f"onnx '{path}': can't be run ({reason}); export it again") from None
