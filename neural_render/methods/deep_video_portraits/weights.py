"""Training checkpoints and weights: safetensors with a JSON header. Data only, never code."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from foundation.errors import PortraitError
from neural_render.methods.deep_video_portraits.conditioning import CONDITIONS, Crop

FORMAT = "video-portraits weights"
VERSION = 1


def replace_atomic(path: str | os.PathLike, write: Callable[[Path], object]) -> None:
    """Has ``write`` fill a file that then takes the place of ``path``; it appears whole or the old one stays."""
    path = Path(path)
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.touch()  # with the user's usual permissions, whatever ``write`` does
        mode = partial.stat().st_mode
        write(partial)
        partial.chmod(mode)
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    except (OSError, SafetensorError) as error:
        partial.unlink(missing_ok=True)
        raise PortraitError(f"'{path}': can't be written ({error}); free some space or choose another folder") from None


def write_atomic(path: str | os.PathLike, tensors: dict[str, Tensor], header: dict) -> None:
    """Writes tensors and a JSON header; the file appears whole or the old one stays."""
    tensors = {k: v.detach().to("cpu").contiguous() for k, v in tensors.items()}
    whole = save(tensors, metadata={"header": json.dumps(header)})  # save_file leaves a file of its own when killed
    replace_atomic(path, lambda partial: partial.write_bytes(whole))


def read(path: str | os.PathLike, kind: str, device: str = "cpu") -> tuple[dict[str, Tensor], dict]:
    """Tensors and header of a file that ``write_atomic`` wrote.

    PortraitError where it is missing, no safetensors file, cut short, or not a ``kind`` ("weights", "checkpoint").
    """
    path = Path(path)
    if not path.is_file():
        raise PortraitError(f"{kind} '{path}': no such file; make it with 'portrait train TRACK VIDEO -o {path}'")
    try:
        with safe_open(path, "pt", device=device) as file:
            header = json.loads((file.metadata() or {}).get("header", "{}"))
            tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise PortraitError(f"{kind} '{path}': not a whole safetensors file ({error}); train again") from None
    found = header.get("format"), header.get("kind"), header.get("version")
    if found != (FORMAT, kind, VERSION):
        raise PortraitError(
            f"{kind} '{path}': expected {FORMAT} ({kind}, version {VERSION}), found {found[0]} "
            f"({found[1]}, version {found[2]}); train again"
        )
    return tensors, header


@dataclass(frozen=True)
class WeightsHeader:
    """What trained weights are for."""

    method: str  # "deep-video-portraits"
    model: str  # name of the morphable model
    fingerprint: str  # of its file
    width: int  # channels of the network's first layer
    size: int  # px of its images
    window: int  # frames a condition
    crop: Crop  # of the original frame
    frame_width: int  # px of the original frame
    frame_height: int
    conditions: int = CONDITIONS  # version of what the network sees
    norm: str = "batch"
    steps: int = 0
    seconds: float = 0.0
    target: dict = field(default_factory=dict)  # source file, its hash, frames trained on

    def to_json(self) -> dict:
        return {"format": FORMAT, "kind": "weights", "version": VERSION, **asdict(self)}

    @classmethod
    def from_json(cls, header: dict, path: object) -> WeightsHeader:
        try:
            values = {f.name: header[f.name] for f in fields(cls)}
            found = cls(**{**values, "crop": Crop(**values["crop"])})
        except (KeyError, TypeError) as error:
            raise PortraitError(f"weights '{path}': incomplete header ({error}); train again") from None
        if found.conditions != CONDITIONS:
            raise PortraitError(
                f"weights '{path}': expected conditions of version {CONDITIONS}, found {found.conditions}; train again"
            )
        return found


@dataclass(frozen=True)
class Weights:
    """A trained generator's tensors and what they are for."""

    header: WeightsHeader
    generator: dict[str, Tensor]
    region: Tensor | None = None  # (size, size) uint8: where the head ever was in the target clip

    def save(self, path: str | os.PathLike) -> Path:
        tensors = {f"generator.{k}": v for k, v in self.generator.items()}
        if self.region is not None:
            tensors["region"] = self.region
        write_atomic(path, tensors, self.header.to_json())
        return Path(path)

    @classmethod
    def load(cls, path: str | os.PathLike, *, model=None, size: int | None = None) -> Weights:
        """Reads weights; with ``model`` and ``size`` given, also checks that they were trained for these."""
        tensors, raw = read(path, "weights")
        header = WeightsHeader.from_json(raw, path)
        if model is not None and header.fingerprint != model.fingerprint:
            raise PortraitError(
                f"weights '{path}': trained with model '{header.model}' ({header.fingerprint}), but the model "
                f"loaded is '{model.name}' ({model.fingerprint}); train again with this model"
            )
        if size is not None and header.size != size:
            raise PortraitError(f"weights '{path}': trained for {header.size} px, asked for {size}; train at that size")
        prefix = "generator."
        generator = {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}
        return cls(header, generator, tensors.get("region"))

    def network(self, device: str = "cpu") -> torch.nn.Module:
        """The generator in evaluation mode. PortraitError where the tensors don't fit the header."""
        from neural_render.methods.deep_video_portraits.conditioning import CHANNELS
        from neural_render.networks import RefinementUNet

        h = self.header
        try:
            net = RefinementUNet(
                h.window * CHANNELS, h.size, h.width, norm=h.norm, background="background" in self.generator
            )
            net.load_state_dict(self.generator)
        except (RuntimeError, ValueError, TypeError) as error:
            reason = " ".join(str(error).split())[:160]
            what = f"a {h.size} px network of width {h.width}"
            raise PortraitError(f"weights: tensors don't fit {what} ({reason}); train again") from None
        return net.to(device, memory_format=torch.channels_last).eval()
