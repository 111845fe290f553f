"""Face models of others: import them, say what one is, list what is known, draw a sheet of one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import facemodel
from facemodel import FaceParameters, PortraitError
from facemodel.arkit import ARKIT_NAMES
from facemodel.formats.default import write_model
from facemodel.gate import Check, inspect
from facemodel.importing import import_model
from facemodel.registry import FORMATS, MODELS
from foundation.atomic import write_file
from foundation.progress import Event, Report, ignore
from geometry.camera import Camera
from geometry.rotation import rotation_matrix
from geometry.spherical_harmonics import C0
from portrait.pictures import as_bytes
from portrait.services.bridging import bridge
from renderer import rasterizers, render


@dataclass(frozen=True)
class ModelReport:
    """What a face model is."""

    name: str
    kind: str  # "linear", "jointed", "bilinear"
    format: str  # where it came from, in words
    license: str
    fingerprint: str
    vertices: int
    triangles: int
    height: float  # mm
    unit: str  # what was done to lengths
    coefficients: dict[str, int]  # by block
    joints: tuple[str, ...]
    capabilities: tuple[str, ...]
    lacking: tuple[str, ...]
    schemes: dict[str, int]  # landmarks that are there, by scheme
    regions: tuple[str, ...]
    arkit: int  # of 52 names
    carried: tuple[str, ...]  # of all this, what is the default model's (`facemodel.provenance`)
    notes: tuple[str, ...]
    checks: tuple[Check, ...]
    path: Path | None = None  # where it was written, of an import

    def lines(self) -> Iterator[str]:
        """What there is to say of it."""
        written = f"{self.path}: " if self.path else ""
        yield f"{written}{self.kind} face model '{self.name}' ({self.fingerprint})"
        rows = {
            "from": self.format,
            "surface": f"{self.vertices:,} vertices, {self.triangles:,} triangles, {self.height:.0f} mm high",
            "lengths": self.unit,
            "blocks": ", ".join(f"{count} {name}{self._given(name)}" for name, count in self.coefficients.items()),
            "joints": ", ".join(self.joints),
            "has": ", ".join(f"{c} ({self._whose(c)})" if self.carried else c for c in self.capabilities),
            "lacks": ", ".join(self.lacking),
            "landmarks": ", ".join(self._marks(*scheme) for scheme in self.schemes.items()) or "none",
            "regions": ", ".join(self.regions),
            "ARKit": f"{self.arkit} of 52 names",
            "licence": self.license,
        }
        for name, text in rows.items():
            if text:
                yield f"  {name:<10} {text}"
        for check in self.checks:
            passed = {True: "passed", False: "FAILED", None: "-"}[check.passed]
            why = f", expected {check.expected}: {check.guess}" if check.passed is False else ""
            yield f"  {'check':<10} {check.name}: {check.found}{why} ({passed})"
        for note in self.notes:
            yield f"  {'note':<10} {note}"

    def _whose(self, capability: str) -> str:
        """Whether a capability is the model's own."""
        parts = {"arkit": [n for n in self.carried if n in ARKIT_NAMES],
                 "regions": [n for n in self.carried if n.startswith("region ")]}  # fmt: skip
        if capability in parts:
            whole = self.arkit if capability == "arkit" else len(self.regions)
            over = len(parts[capability])
            return "its own" if not over else "carried over" if over == whole else f"{over} of {whole} carried over"
        return "carried over" if capability.removeprefix("symmetric ") in self.carried else "its own"

    def _given(self, block: str) -> str:
        """How many of a block's coefficients are the default model's."""
        said = [c.partition("(")[2].rstrip(")") for c in self.carried if c.startswith(f"{block} (")]
        return f" ({said[0]} carried over)" if said else ""

    def _marks(self, scheme: str, count: int) -> str:
        said = [c for c in self.carried if c.split("(")[0].strip() == f"landmarks {scheme}"]
        whose = said[0].partition("(")[2].rstrip(")") if said else ""
        over = f"{whose} carried over" if whose.isdigit() else whose or "carried over"
        return f"{count} of {scheme}" + (f" ({over})" if said else " (its own)" if self.carried else "")


@dataclass(frozen=True)
class Known:
    """A format that can be read, or a model that is there by name."""

    name: str
    title: str
    extras: str = ""  # files that may come with it


def import_file(
    source: Path, output: Path, *, extras: Sequence[Path] = (), format: str | None = None, force: bool = False,
    own_only: bool = False, report: Report = ignore,
) -> ModelReport:  # fmt: skip
    """Reads a model of any known format and writes it in this project's own, whole or not at all.

    What it lacks is carried over from the default model (`facemodel.bridge`), unless it's to have its own only.

    Raises:
        PortraitError: see `facemodel.importing.import_model`.
    """
    report(Event("reading", 0, None, "files"))
    model = import_model(source, extras, format, force)
    if output.exists() and output.is_dir():
        raise PortraitError(f"output '{output}': a folder; give the name of a file, such as {source.stem}.model")
    if output.exists() and output.samefile(source):
        raise PortraitError(f"output '{output}': the model itself; give another name")
    if not own_only and model.registered is None:
        model = bridge(model, report=report)
    report(Event("writing", 0, None, "files"))
    write_model(output, model)
    return _described(facemodel.load(output), output)


def describe_model(source: str | None = None, *, report: Report = ignore) -> ModelReport:
    """What a model is, by its name or file, of any format; checks that fail are told rather than raised."""
    report(Event("reading", 0, None, "files"))
    return _described(facemodel.load(source))


def known_models(*, report: Report = ignore) -> tuple[tuple[Known, ...], tuple[Known, ...]]:
    """The models that are there by name, and the formats that can be read."""
    named = tuple(Known(name, MODELS[name]().license) for name in MODELS)
    own = Known("default", "this project's own file")
    others = [FORMATS[name] for name in FORMATS if name != "default"]
    return named, (own, *(Known(f.name, getattr(f, "title", f.name), getattr(f, "extras", "")) for f in others))


def _described(model, path: Path | None = None) -> ModelReport:
    source, capabilities = model.provenance, model.capabilities
    height = float(model.mean[:, 1].max() - model.mean[:, 1].min())
    names = {"JointedModel": "jointed", "BilinearModel": "bilinear"}
    return ModelReport(
        name=model.name,
        kind=names.get(type(model).__name__, "linear" if model.linear else "other"),
        format=source.format if source else "this project's own",
        license=model.license,
        fingerprint=model.fingerprint,
        vertices=len(model.mean),
        triangles=len(model.triangles),
        height=height,
        unit=source.unit if source else "millimetres",
        coefficients={name: len(block) for name, block in model.blocks.items()},
        joints=model.blocks["joints"].names if "joints" in model.blocks else (),
        capabilities=tuple(sorted(capabilities)),
        lacking=tuple(sorted(facemodel.base.CAPABILITIES.keys() - capabilities)),
        schemes={n: int((e.weights > 0).sum()) for n, e in model.embeddings.items()},
        regions=tuple(model.regions),
        arkit=len(model.arkit),
        carried=source.carried if source else (),
        notes=source.notes if source else (),
        checks=tuple(inspect(model)),
        path=path,
    )


# -- the sheet ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sheet:
    """How a sheet is laid out. Lengths in pixels."""

    size: int = 200  # of a picture
    caption: int = 18
    columns: int = 8
    components: int = 8  # of identity, at -2 and +2 std
    expressions: int = 64  # at most, of those from 0 to 1
    signed: int = 16  # at most, of those that are drawn at -2 and +2 std
    yaws: tuple[float, ...] = (0.0, 45.0, 90.0, -45.0)  # degrees, of the mean
    spread: float = 2.0  # std
    distance: float = 1000.0  # mm, to the camera
    fill: float = 0.86  # of the picture
    backdrop: float = 0.15  # sRGB
    light: tuple[float, ...] = (0.55 / C0, 0.25, 0.55, 0.2, 0.0, 0.0, 0.0, 0.0, 0.0)  # from above, ahead and the right


SHEET = Sheet()


def draw_sheet(
    source: str | None, output: Path, *, sheet: Sheet = SHEET, rasterizer: str = "auto", report: Report = ignore
) -> Path:
    """Writes a picture: the mean from several sides, identity at -2 and +2 std, expressions by name, joints, gaze.

    Raises:
        PortraitError: no such model or rasteriser, or the picture can't be written.
    """
    import cv2

    if output.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise PortraitError(f"output '{output}': expected a picture's name, .png or .jpg")
    rasterizers.choose(rasterizer, "cpu")
    model = facemodel.load(source)
    faces = list(_faces(model, sheet))
    pictures = []
    for done, (title, change, yaw) in enumerate(faces):
        report(Event("drawing", done, len(faces), "pictures"))
        pictures.append(_picture(model, change, yaw, title, sheet))
    blank = np.zeros_like(pictures[0])
    while len(pictures) % sheet.columns:
        pictures.append(blank)
    rows = [np.concatenate(pictures[k : k + sheet.columns], 1) for k in range(0, len(pictures), sheet.columns)]
    whole, data = cv2.imencode(output.suffix, np.concatenate(rows)[..., ::-1])
    if not whole:
        raise PortraitError(f"output '{output}': a picture of {sheet.columns} columns can't be written")
    return write_file(output, data.tobytes(), "sheet")


def _faces(model, sheet: Sheet):
    """(title, what differs from neutral, yaw in degrees) of each picture; rows begin where sections do."""
    for yaw in sheet.yaws:
        yield f"mean, {yaw:g} deg", {}, yaw
    if model.eyes is not None:
        for name, yaw, pitch in (("left", 0.4, 0.0), ("right", -0.4, 0.0), ("up", 0.0, 0.3)):
            yield f"gaze {name}", {"gaze": torch.tensor([[yaw, pitch]] * 2)}, 0.0
    identity, expression = model.blocks["identity"], model.blocks["expression"]
    for k in range(min(len(identity), sheet.components)):
        for sign in (-1, 1):
            values = identity.mean.clone()
            values[k] += sign * sheet.spread * identity.std[k]
            yield f"id {k} {sign * sheet.spread:+g} std", {"identity": values}, 0.0
    negative = [bool(below) for below in expression.lower < 0]
    shown = [k for k in range(len(expression)) if not negative[k]][: sheet.expressions]
    shown += [k for k in range(len(expression)) if negative[k]][: sheet.signed]
    for k in shown:
        name, signed = expression.names[k], negative[k]
        for value in (-sheet.spread, sheet.spread) if signed else (float(expression.upper[k]),):
            values = expression.mean.clone()
            values[k] += value * (float(expression.std[k]) if signed else 1.0)
            yield f"{name} {value:+g}" if signed else name, {"expression": values}, 0.0
    joints = model.blocks.get("joints")
    for k, name in enumerate(joints.names if joints is not None else ()):
        values = joints.mean.clone()
        values[k] = joints.upper[k]
        yield f"{name} {float(joints.upper[k]):.2g} rad", {"joints": values}, 0.0
    if len(model.arkit) > 2:
        closed = expression.mean.clone()
        for name in ("eyeBlinkLeft", "eyeBlinkRight", "jawOpen"):
            if name in model.arkit:
                closed[model.arkit[name]] = 1.0
        yield "lids closed, jaw open", {"expression": closed}, 0.0


def _picture(model, change: dict, yaw: float, title: str, sheet: Sheet) -> np.ndarray:
    """(size + caption, size, 3) uint8 RGB. The mean is shown whole, what changes it as near as the face fills it."""
    import cv2

    surface = model.mean[model.triangles.unique()]
    face = model.mean[model.region("face")] if change and bool(model.region("face").any()) else surface
    low, high = face.amin(0), face.amax(0)
    height = float((high - low)[:2].max())
    camera = Camera(sheet.fill * sheet.size * sheet.distance / height, sheet.size, sheet.size)
    neutral = FaceParameters.neutral(model, (), focal=float(camera.focal), distance=sheet.distance)
    turn = torch.tensor([0.0, yaw * torch.pi / 180, 0.0])
    middle = rotation_matrix(turn) @ ((low + high) / 2)
    parameters = neutral.replace(
        rotation=turn,
        translation=torch.tensor([-float(middle[0]), float(middle[1]), sheet.distance]),
        illumination=torch.tensor(sheet.light)[:, None].expand(9, 3),
        **change,
    )
    with torch.no_grad():
        found = {
            k: v[0] for k, v in render(model, parameters, camera, ("diffuse", "mask", "eyes"), supersample=2).items()
        }
    eyes = found["eyes"].amax(-1, keepdim=True)  # a model without reflectance has eyes of skin
    picture = found["diffuse"] + (1 - found["mask"]) * sheet.backdrop
    picture = (1 - 0.8 * eyes) * picture + 0.8 * found["eyes"]
    bar = np.zeros((sheet.caption, sheet.size, 3), np.uint8)
    size = 0.4 if len(title) < 26 else 0.33
    cv2.putText(bar, title, (4, sheet.caption - 5), cv2.FONT_HERSHEY_SIMPLEX, size, (230, 230, 230), 1, cv2.LINE_AA)
    return np.concatenate([as_bytes(picture), bar])
