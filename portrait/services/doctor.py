"""``portrait doctor``: what works on this machine, what there is to choose from, and what mends the rest."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from foundation.progress import Report, ignore
from portrait.files import VERSION

MIN_DISK = 2.0  # GB


@dataclass(frozen=True)
class Finding:
    """What a check found."""

    name: str
    good: bool
    text: str
    command: str | None  # what mends it
    needed: bool  # by the default way of working


@dataclass(frozen=True)
class Examination:
    """All findings on a machine."""

    system: str
    findings: tuple[Finding, ...]

    @property
    def well(self) -> bool:
        """Whether everything that the default needs is there."""
        return all(finding.good or not finding.needed for finding in self.findings)

    def lines(self) -> list[str]:
        """What there is to say of it."""
        out = [f"video-portraits {VERSION} on {self.system}"]
        for found in self.findings:
            mark = "OK     " if found.good else "MISSING" if found.needed else "without"
            out.append(f"  {mark}  {found.name:<16} {found.text}")
            if not found.good and found.command:
                out.append(f"{'':<11}{'':<16} -> {found.command}")
        well = "All that is needed works; next: portrait demo"
        return [*out, well if self.well else "Something that is needed is missing, see above."]


def examine(*, report: Report = ignore) -> Examination:
    """Looks at everything that the project needs, or may use."""
    findings = []
    for name, check, needed in CHECKS:
        try:
            good, text, command = check()
        except Exception as error:  # a broken library may raise anything; the doctor goes on
            first = str(error).splitlines()[0] if str(error) else ""
            good, text, command = False, f"{type(error).__name__}: {first}", REINSTALL
        findings.append(Finding(name, good, text, command, needed))
    return Examination(f"Python {platform.python_version()}, {platform.system()} {platform.machine()}", tuple(findings))


REINSTALL = "python -m pip install -r requirements.lock"
Result = tuple[bool, str, str | None]


def _python() -> Result:
    good = (3, 11) <= sys.version_info[:2] < (3, 13)
    return good, f"{platform.python_version()} (3.11 or 3.12 is needed)", "python3.11 -m venv .venv"


def _memory_and_cores() -> Result:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return gigabytes > 3, f"{cores} cores, {gigabytes:.1f} GB of memory", "use a machine with 4 GB or more"


def _device() -> Result:
    import torch

    if torch.cuda.is_available():
        return True, f"CUDA: {torch.cuda.get_device_name(0)}; PyTorch {torch.__version__}", None
    return True, f"cpu, {torch.get_num_threads()} threads; PyTorch {torch.__version__}; no GPU is needed", None


def _pytorch3d() -> Result:
    from pytorch3d import _C  # noqa: F401

    return True, f"PyTorch3D's compiled part loads ({importlib.metadata.version('easypytorch3d')})", None


def _rasterizer() -> Result:
    import torch

    from renderer import Camera, rasterize

    corners = torch.tensor([[[-1.0, -1, 10], [1, -1, 10], [0, 1, 10]]])
    fragments = rasterize(corners, torch.tensor([[0, 1, 2]]), Camera(100.0, 32, 32), "numba")
    covered = int((fragments.pix_to_face >= 0).sum())
    return covered > 100, f"the CPU rasteriser draws ({covered} pixels)", REINSTALL


def _model() -> Result:
    import facemodel

    model = facemodel.load()
    return True, f"{model.name} ({model.fingerprint}), {len(model.mean)} vertices", None


def _mediapipe() -> Result:
    import importlib.util

    folder = Path(importlib.util.find_spec("mediapipe").submodule_search_locations[0])
    weights = folder / "modules" / "face_landmark" / "face_landmark_with_attention.tflite"
    version = importlib.metadata.version("mediapipe")
    return weights.is_file(), f"{version}, landmark weights in the package", "python -m pip install mediapipe==0.10.21"


def _face_alignment() -> Result:
    import torch

    folder = Path(torch.hub.get_dir()) / "checkpoints"
    found = sorted(p.name for p in folder.glob("2DFAN4*")) if folder.is_dir() else []
    if found and list(folder.glob("s3fd*")):
        return True, f"weights in {folder}", None
    return (
        False,
        "its weights aren't here (only --detector face-alignment needs them)",
        ("with a network: portrait fit VIDEO -o TRACK --detector face-alignment, which downloads them once"),
    )


def _codecs() -> Result:
    import av

    wanted = {"h264": "r", "hevc": "r", "libx264": "w", "aac": "w"}
    missing = []
    for name, mode in wanted.items():
        try:
            av.Codec(name, mode)
        except Exception:
            missing.append(name)
    text = (
        f"PyAV {av.__version__} reads H.264 and HEVC, writes H.264 and AAC"
        if not missing
        else f"no {', '.join(missing)}"
    )
    return not missing, text, "python -m pip install --force-reinstall av"


def _demo_clip() -> Result:
    from portrait.video.sample import carphone

    return True, carphone().name, None


def _disk() -> Result:
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    return free > MIN_DISK, f"{free:.1f} GB free here", f"free {MIN_DISK:g} GB, or work in another folder"


def _choices() -> Result:
    from facemodel.registry import MODELS
    from fitting.landmarks import DETECTORS
    from neural_render.methods.base import METHODS
    from renderer import rasterizers

    tables = {"--model": MODELS.names(), "--detector": DETECTORS.names(), "--method": METHODS.names()}
    tables["--rasterizer"] = rasterizers.names()
    return True, "; ".join(f"{option} {', '.join(names)}" for option, names in tables.items()), None


CHECKS: tuple[tuple[str, Callable[[], Result], bool], ...] = (
    ("python", _python, True),
    ("machine", _memory_and_cores, True),
    ("device", _device, True),
    ("face model", _model, True),
    ("rasteriser", _rasterizer, True),
    ("PyTorch3D", _pytorch3d, False),
    ("mediapipe", _mediapipe, True),
    ("face-alignment", _face_alignment, False),
    ("video codecs", _codecs, True),
    ("demo clip", _demo_clip, False),
    ("disk", _disk, True),
    ("choices", _choices, True),
)
"""Name, check, and whether the default way of working needs it."""
