"""The rows of a track as they come in, and a file that keeps them while a clip is being fitted."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from facemodel.track import FrameStatus
from fitting.solver.state import OWN, FitState
from fitting.tracking.follow import FollowerState
from fitting.tracking.people import Memory
from fitting.tracking.plan import ClipPlan, SharedSpread
from foundation.errors import PortraitError
from foundation.tensors import read_tensors, write_tensors
from geometry.rotation import axis_angle

_NAMES = ("rotation", "translation", "expression", "joints", "illumination", "gaze", "spread")


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
                "joints": state.joints[0].cpu(),
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


@dataclass(frozen=True)
class Shared:
    """What the key frames gave: their state, how well it's determined, and what they decided."""

    state: FitState
    spread: SharedSpread
    plan: ClipPlan


@dataclass(frozen=True)
class FitProgress:
    """How far a fit is: all that it needs to go on to the same track."""

    rows: Rows
    shared: Shared | None = None
    follower: FollowerState = field(default_factory=FollowerState)
    previous: FitState | None = None  # the last frame's
    memory: Memory = field(default_factory=Memory)  # of who is followed


class Checkpoint:
    """`progress.safetensors` in a folder; thrown away when it belongs to other input or other settings."""

    KIND = "checkpoint of a fit"

    def __init__(self, folder: str | Path, version: int, signature: dict) -> None:
        """``version``: counts up where what was written before can't be gone on from."""
        self.path, self.version = Path(folder) / "progress.safetensors", version
        self.signature = json.loads(json.dumps(signature))

    def save(self, progress: FitProgress) -> None:
        rows, shared, previous = progress.rows, progress.shared, progress.previous
        known = [k for k, v in enumerate(rows.values) if v]
        tensors = {f"shared.{f.name}": getattr(shared.state, f.name) for f in fields(FitState)}
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
            "follower": progress.follower.as_json(),
            "plan": shared.plan.as_json(),
            "spread": shared.spread.as_json(),
            "memory": progress.memory.as_json(),
        }
        write_tensors(self.path, self.KIND, self.version, tensors, table)

    def load(self, device: str) -> FitProgress:
        """No rows and nothing shared where there is nothing to go on from; so, too, where the file is spoilt."""
        try:
            tensors, table = read_tensors(self.path, self.KIND, self.version, make="portrait fit")
            if table["signature"] == self.signature:
                return self._progress(tensors, table, device)
        except (PortraitError, KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError):
            pass
        return FitProgress(Rows())

    @staticmethod
    def _progress(tensors: dict[str, Tensor], table: dict, device: str) -> FitProgress:
        # Copies lie in memory as any other tensor does: products with them then round as they did before.
        tensors = {k: v.clone() for k, v in tensors.items()}
        rows = Rows(table["times"], table["status"], table["confidence"], energies=table["energies"])
        at = {frame: k for k, frame in enumerate(table["known"])}
        for frame in range(len(rows.times)):
            k = at.get(frame)
            rows.values.append(None if k is None else {n: tensors[f"rows.{n}"][k] for n in _NAMES})
            rows.points.append(None if k is None else tensors["rows.points"][k].numpy())
        state = FitState(**{f.name: tensors[f"shared.{f.name}"].to(device) for f in fields(FitState)})
        shared = Shared(state, SharedSpread(**table["spread"]), ClipPlan.from_json(table["plan"]))
        previous = None
        if "previous.rotation" in tensors:
            own = {k.split(".")[1]: v.to(device) for k, v in tensors.items() if k.startswith("previous.")}
            previous = replace(state, **own)
        return FitProgress(
            rows, shared, FollowerState.from_json(table["follower"]), previous, Memory.from_json(table["memory"])
        )
