"""An experiment's settings: one TOML file, checked when it is read.

[data]
folder = "synthetic"           # a folder an identity; see docs/recognition.md

[model]
backbone = "resnet20"

[loss]
head = "a-softmax"
exclusive = 2.0

[training]
iterations = 28000
seeds = [0, 1, 2]

[[evaluate]]
protocol = "poses"
folder = "synthetic"
"""

from __future__ import annotations

import tomllib
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import get_type_hints

from foundation.errors import PortraitError, unknown_name
from recognition.backbones import BACKBONES
from recognition.heads import HEADS

DREAM = ("none", "stitched", "end-to-end")
PROTOCOLS = ("lfw", "cfp-ff", "cfp-fp", "pairs", "ijb", "poses")


@dataclass(frozen=True)
class DataSettings:
    folder: str  # a folder an identity; a path beside the settings' file
    split: str = ""  # only pictures whose metadata.csv says this; "" takes all
    min_pictures: int = 1  # identities with fewer are left out
    balanced: bool = False  # draw identities, rather than pictures, with equal chances


@dataclass(frozen=True)
class ModelSettings:
    backbone: str = "resnet20"
    features: int = 512
    width: int = 64  # channels of the first stage
    height: int = 112  # px of the network's pictures
    width_px: int = 96
    dream: str = "none"
    dropout: float = 0.0  # on the embedding before the head, in training; DREAM end to end: 0.7


@dataclass(frozen=True)
class LossSettings:
    head: str = "a-softmax"
    margin: float | None = None  # None: the head's usual one
    center: float = 0.0  # weights of the added losses; 0 leaves one out. Usual: 0.008
    ring: float = 0.0  # 0.01
    exclusive: float = 0.0  # 2
    uniform: float = 0.0  # 1


@dataclass(frozen=True)
class TrainingSettings:
    iterations: int = 28_000
    batch: int = 256  # over all devices
    rate: float = 0.1
    drops: tuple[int, ...] = (16_000, 24_000)  # iterations at which the rate falls to a tenth
    momentum: float = 0.9
    decay: float = 5e-4
    dream_iterations: int = 10_000  # of the stitched block
    seeds: tuple[int, ...] = (0,)  # one training each
    workers: int = 2  # processes that read pictures
    precision: str = "32-true"  # or "16-mixed", "bf16-mixed"
    devices: int = 1
    checkpoint_every: int = 1000


@dataclass(frozen=True)
class Evaluation:
    protocol: str
    folder: str
    pairs: str = ""  # lfw: pairs.txt; pairs: a CSV; ijb: ..._template_pair_label.txt
    templates: str = ""  # ijb: ..._face_tid_mid.txt
    split: str = ""  # poses: only pictures whose metadata.csv says this
    yaw: str = ""  # for a network with DREAM: a CSV with file (in ``folder``) and yaw in degrees; poses has its own
    name: str = ""  # in tables; "" is the protocol's


@dataclass(frozen=True)
class Experiment:
    data: DataSettings
    model: ModelSettings = field(default_factory=ModelSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    evaluate: tuple[Evaluation, ...] = ()
    base: Path = Path(".")  # the folder that the paths in it start from

    def path(self, text: str) -> Path:
        return self.base / text

    def identity(self) -> dict:
        """What a checkpoint must agree with: everything that changes the weights, the number of steps left out."""
        training = asdict(self.training)
        for name in ("seeds", "workers", "devices", "checkpoint_every", "iterations"):
            del training[name]
        training["drops"] = list(training["drops"])
        data = {"split": self.data.split, "min_pictures": self.data.min_pictures, "balanced": self.data.balanced}
        return {"data": data, "model": asdict(self.model), "loss": asdict(self.loss), "training": training}


def read_experiment(path: Path) -> Experiment:
    """Reads the TOML file. Raises PortraitError for a missing file, bad TOML, unknown names and values out of range."""
    try:
        with open(path, "rb") as file:
            raw = tomllib.load(file)
    except OSError as error:
        raise PortraitError(f"settings '{path}': can't be read ({error.strerror}); see docs/recognition.md") from None
    except tomllib.TOMLDecodeError as error:
        raise PortraitError(f"settings '{path}': not TOML ({error}); see docs/recognition.md") from None
    sections = {"data": DataSettings, "model": ModelSettings, "loss": LossSettings, "training": TrainingSettings}
    for name in raw:
        if name not in (*sections, "evaluate"):
            raise unknown_name("section of the settings", name, [*sections, "evaluate"])
    made = {name: _table(kind, raw.get(name, {}), f"[{name}]", path) for name, kind in sections.items()}
    tables = raw.get("evaluate", [])
    if not isinstance(tables, list):
        raise PortraitError(f"settings '{path}': write [[evaluate]] with two brackets, once for each protocol")
    made["evaluate"] = tuple(_table(Evaluation, t, "[[evaluate]]", path) for t in tables)
    experiment = Experiment(**made, base=Path(path).parent)
    _check(experiment)
    return experiment


def _table(kind: type, values: dict, section: str, path: Path):
    if not isinstance(values, dict):
        raise PortraitError(f"settings '{path}': {section} should be a table of names and values")
    hints, result = get_type_hints(kind), {}
    known = {f.name: f for f in fields(kind)}
    for name, value in values.items():
        if name not in known:
            raise unknown_name(f"setting in {section}", name, known)
        result[name] = _value(hints[name], value, f"{section} {name}")
    for f in known.values():
        if f.default is MISSING and f.default_factory is MISSING and f.name not in result:
            raise PortraitError(f"settings '{path}': {section} needs {f.name}; see docs/recognition.md")
    return kind(**result)


def _value(wanted, value, where: str):
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if wanted == tuple[int, ...]:
        if isinstance(value, list) and all(isinstance(v, int) and not isinstance(v, bool) for v in value):
            return tuple(value)
        raise PortraitError(f"{where}: expected a list of whole numbers, got {value!r}")
    if wanted in (float, float | None) and number:
        return float(value)
    if wanted in (int, str, bool) and type(value) is wanted:
        return value
    name = {int: "a whole number", str: "a text", bool: "true or false"}.get(wanted, "a number")
    raise PortraitError(f"{where}: expected {name}, got {value!r}")


def _check(e: Experiment) -> None:
    choices = [
        ("backbone", e.model.backbone, BACKBONES), ("dream", e.model.dream, DREAM), ("head", e.loss.head, HEADS),
        *(("protocol", v.protocol, PROTOCOLS) for v in e.evaluate),
        ("precision", e.training.precision, ("32-true", "16-mixed", "bf16-mixed")),
    ]  # fmt: skip
    for what, value, known in choices:
        if value not in known:
            raise unknown_name(what, value, known)
    t, m = e.training, e.model
    positive = {
        "iterations": t.iterations, "batch": t.batch, "rate": t.rate, "devices": t.devices, "features": m.features,
        "checkpoint_every": t.checkpoint_every, "width": m.width, "min_pictures": e.data.min_pictures,
        "dream_iterations": t.dream_iterations,
    }  # fmt: skip
    not_negative = {"workers": t.workers, "momentum": t.momentum, "decay": t.decay} | {
        k: v for k, v in asdict(e.loss).items() if isinstance(v, float)
    }
    for name, value in (positive | not_negative).items():
        if value < 0 or (name in positive and value == 0):
            raise PortraitError(
                f"{name}: expected a {'positive number' if name in positive else 'number from 0'}, got {value}"
            )
    if t.batch % t.devices:
        raise PortraitError(f"batch: expected a multiple of the {t.devices} devices, got {t.batch}")
    if not t.seeds or len(set(t.seeds)) != len(t.seeds):
        raise PortraitError(f"seeds: expected one or more different numbers, got {list(t.seeds)}")
    if not 0 <= m.dropout < 1:
        raise PortraitError(f"dropout: expected 0 to below 1, got {m.dropout}")
    names = [v.name or v.protocol for v in e.evaluate]
    if len(set(names)) != len(names):
        raise PortraitError(f"evaluate: two have the same name ({', '.join(names)}); give each its own 'name'")
