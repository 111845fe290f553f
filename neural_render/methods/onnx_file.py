"""Networks as ONNX files: a graph of known operators with their tensors, so data, which onnxruntime checks and runs.

What `load` needs to know besides, the header of the weights, stands in the file's ``metadata_props`` under ``HEADER``.
"""

from __future__ import annotations

import base64
import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from foundation.atomic import replace_file
from foundation.errors import PortraitError
from neural_render.methods.weights import KIND, WeightsHeader

HEADER = "video-portraits"
OPSET = 18
PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")


def write_onnx(
    path: str | os.PathLike, network: nn.Module, example: Tensor, header: WeightsHeader, names: tuple[str, str],
    picture: Tensor | None = None, tensors: Mapping[str, Tensor] | None = None,
) -> Path:  # fmt: skip
    """Writes a network of one input and one output, (N, ...), N free, in float32.

    example: an input of at least two. names: of input and output. picture: (H, W, 3) uint8 that goes with it, for
    `onnx_picture`. tensors: others that do, for `onnx_tensors`. PortraitError where it can't be written.
    """
    import onnx

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's about itself
        program = torch.onnx.export(
            network.to(memory_format=torch.contiguous_format), (example,),
            input_names=[names[0]], output_names=[names[1]], dynamic_shapes=({0: torch.export.Dim("frames")},),
            opset_version=OPSET, dynamo=True, verbose=False,
        )  # fmt: skip
    proto = program.model_proto
    told = {"kind": KIND, **header.to_json()}
    if picture is not None:
        told["picture"] = base64.b64encode(cv2.imencode(".png", picture.numpy()[..., ::-1])[1]).decode()
    if tensors:
        told["tensors"] = base64.b64encode(save({k: v.contiguous() for k, v in tensors.items()})).decode()
    entry = proto.metadata_props.add()
    entry.key, entry.value = HEADER, json.dumps(told)
    return replace_file(path, lambda partial: onnx.save(proto, partial), "output")


def open_onnx(path: str | os.PathLike):
    """A session of onnxruntime, and the header in the file. PortraitError where it is missing, broken or another's."""
    import onnxruntime

    path = Path(path)
    if not path.is_file():
        raise PortraitError(f"onnx '{path}': no such file; make it with 'portrait export WEIGHTS -o {path}'")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    try:
        # from bytes: it has to be whole in itself, not to name other files that are then read
        known = [p for p in PROVIDERS if p in onnxruntime.get_available_providers()]
        session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=known)
    except Exception as error:  # onnxruntime has a class for each kind of broken file, none of them public
        reason = " ".join(str(error).split())[:160]
        raise PortraitError(f"onnx '{path}': can't be run ({reason}); export it again") from None
    try:
        header = json.loads(session.get_modelmeta().custom_metadata_map.get(HEADER, "{}"))
    except ValueError:
        header = None
    if not isinstance(header, dict) or header.get("kind") != KIND or not isinstance(header.get("method"), str):
        raise PortraitError(f"onnx '{path}': not one of ours; make it with 'portrait export WEIGHTS -o {path}'")
    return session, header


def onnx_header(path: str | os.PathLike) -> dict:
    """The header in an exported file; see `open_onnx`."""
    return open_onnx(path)[1]


def onnx_picture(header: Mapping) -> Tensor | None:
    """(H, W, 3) uint8: the picture in a file's header; None where there is none, or a broken one."""
    try:
        png = np.frombuffer(base64.b64decode(header.get("picture", ""), validate=True), np.uint8)
        found = cv2.imdecode(png, cv2.IMREAD_COLOR) if len(png) else None
    except (ValueError, TypeError, cv2.error):
        return None
    return None if found is None else torch.from_numpy(np.ascontiguousarray(found[..., ::-1]))


def onnx_tensors(header: Mapping) -> dict[str, Tensor]:
    """The tensors in a file's header; none where there are none, or broken ones."""
    try:
        return load(base64.b64decode(header.get("tensors", ""), validate=True))
    except (ValueError, TypeError, SafetensorError):
        return {}


class OnnxNetwork(nn.Module):
    """A session that is called as the network is; it has no parameters, and runs where onnxruntime runs it."""

    def __init__(self, session) -> None:
        super().__init__()
        self.session = session
        (self.input,), (self.output,) = session.get_inputs(), session.get_outputs()

    def forward(self, x: Tensor) -> Tensor:
        values = np.ascontiguousarray(x.float().cpu().numpy())
        (made,) = self.session.run([self.output.name], {self.input.name: values})
        return torch.from_numpy(made)
