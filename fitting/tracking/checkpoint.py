"""The rows of a track as they come in, and a file that keeps them while a clip is being fitted."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from facemodel.track import FrameStatus
from fitting.solver.state import OWN, FitState
from fitting.tracking.follow import FollowerState
from geometry.rotation import axis_angle

_NAMES = ("rotation", "translation", "expression", "illumination", "gaze", "spread")


@dataclass
class Rows:
    """One entry a frame so far. Frames without a face have None, and NaN in the arrays made of them."""

    times: list[float] = field(default_factory=list)
    status: list[int] = field(default_factory=list)
    confidence: list[float] = field(default_factory=list)
    points: list[np.ndarray | None] = field(default_factory=list)
    energies: list[dict[str, float]] = field(default_factory=list)
    values: list[dict[str, Tensor] | None] = field(default_factory=list)
    """Parameters by name and, as ``spread``, all their posterior standard deviations (P,) in the layout's order."""

    def __len__(self) -> int:
        return len(self.times)

    def append(self, item, result, confidence: float, doubtful: float) -> None:
        status = item.status | (FrameStatus.UNCERTAIN if confidence < doubtful else FrameStatus(0))
        state = result.state
        self.values.append(
            {
                "rotation": axis_angle(state.rotation[0]).cpu(),
                "translation": state.translation[0].cpu(),
                "expression": state.expression[0].cpu(),
                "illumination": state.light[0].cpu(),
                "gaze": state.gaze[0].cpu(),
                "spread": result.spread[0].cpu(),
            }
        )
        self._append(item.time, int(status), confidence, item.face.points.astype(np.float32), result.energies)

    def append_empty(self, seconds: float, status: int) -> None:
        self.values.append(None)
        self._append(seconds, status, 0.0, None, {})

    def _append(self, seconds, status, confidence, points, energies) -> None:
        self.times.append(seconds)
        self.status.append(status)
        self.confidence.append(confidence)
        self.points.append(points)
        self.energies.append(energies)

    def column(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """(F, ...) of a parameter; zeros where there is no face."""
        return torch.stack([v[name] if v else torch.zeros(shape) for v in self.values])

    def energy(self, name: str) -> Tensor:
        return torch.tensor([e.get(name, float("nan")) for e in self.energies])

    def landmarks(self) -> Tensor | None:
        known = next((p for p in self.points if p is not None), None)
        if known is None:
            return None
        gap = np.full_like(known, np.nan)
        return torch.from_numpy(np.stack([gap if p is None else p for p in self.points]))


class Checkpoint:
    """`progress.safetensors` in a folder; thrown away when it belongs to other input or other settings."""

    def __init__(self, folder: str | Path, signature: dict) -> None:
        self.path = Path(folder) / "progress.safetensors"
        self.signature = json.loads(json.dumps(signature))

    def save(
        self, rows: Rows, shared: FitState, follower: FollowerState, previous: FitState | None, facts: dict
    ) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        known = [k for k, v in enumerate(rows.values) if v]
        tensors = {f"shared.{f.name}": getattr(shared, f.name) for f in fields(FitState)}
        if previous is not None:
            tensors |= {f"previous.{n}": getattr(previous, n) for n in OWN}
        if known:
            tensors |= {f"rows.{n}": torch.stack([rows.values[k][n] for k in known]) for n in _NAMES}
            tensors["rows.points"] = torch.from_numpy(np.stack([rows.points[k] for k in known]))
        table = {
            "signature": self.signature,
            "times": rows.times,
            "status": rows.status,
            "confidence": rows.confidence,
            "energies": rows.energies,
            "known": known,
            "follower": follower.as_json(),
            "facts": facts,
        }
        tensors = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
        save_file(tensors, f"{self.path}.partial", {"table": json.dumps(table)})
        os.replace(f"{self.path}.partial", self.path)

    def load(self, device: str) -> tuple[Rows, FitState | None, FollowerState | None, FitState | None, dict]:
        """Rows, shared state, follower's and solver's memory, facts; empty where there is nothing to go on from."""
        nothing = (Rows(), None, None, None, {})
        if not self.path.is_file():
            return nothing
        try:
            with safe_open(self.path, "pt") as file:
                table = json.loads((file.metadata() or {})["table"])
                # Copies lie in memory as any other tensor does: products with them then round as they did before.
                tensors = {k: file.get_tensor(k).clone() for k in file.keys()}  # noqa: SIM118
        except (SafetensorError, KeyError, ValueError, OSError):
            return nothing
        if table["signature"] != self.signature:
            return nothing
        rows = Rows(table["times"], table["status"], table["confidence"], energies=table["energies"])
        at = {frame: k for k, frame in enumerate(table["known"])}
        for frame in range(len(rows.times)):
            k = at.get(frame)
            rows.values.append(None if k is None else {n: tensors[f"rows.{n}"][k] for n in _NAMES})
            rows.points.append(None if k is None else tensors["rows.points"][k].numpy())
        shared = FitState(**{f.name: tensors[f"shared.{f.name}"].to(device) for f in fields(FitState)})
        previous = None
        if "previous.rotation" in tensors:
            own = {k.split(".")[1]: v.to(device) for k, v in tensors.items() if k.startswith("previous.")}
            previous = replace(shared, **own)
        return rows, shared, FollowerState.from_json(table["follower"]), previous, table["facts"]
