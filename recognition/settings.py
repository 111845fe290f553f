"""An experiment's settings: one TOML file, checked when it is read. `read_experiment` gives an `Experiment`.

```toml
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
```
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import asdict, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from foundation.errors import PortraitError, unknown_name
from recognition.backbones import BACKBONES
from recognition.heads import HEADS
from recognition.protocols import PROTOCOLS

Count = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0)]
settings = partial(dataclass, frozen=True, config=ConfigDict(extra="forbid", strict=True, allow_inf_nan=False))


@settings
class DataSettings:
    folder: str  # a folder an identity; a path beside the settings' file
    split: str = ""  # only pictures whose metadata.csv says this; "" takes all
    min_pictures: Count = 1  # identities with fewer are left out
    balanced: bool = False  # draw identities, rather than pictures, with equal chances


@settings
class ModelSettings:
    backbone: Literal[BACKBONES] = "resnet20"
    features: Count = 512
    width: Count = 64  # channels of the first stage
    height: Count = 112  # px of the network's pictures
    width_px: Count = 96
    dream: Literal["none", "stitched", "end-to-end"] = "none"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0  # on the embedding before the head; DREAM end to end: 0.7


@settings
class LossSettings:
    head: Literal[HEADS] = "a-softmax"
    margin: Share | None = None  # None: the head's usual one
    center: Share = 0.0  # weights of the added losses; 0 leaves one out. Usual: 0.008
    ring: Share = 0.0  # 0.01
    exclusive: Share = 0.0  # 2
    uniform: Share = 0.0  # 1


@settings
class TrainingSettings:
    iterations: Count = 28_000
    batch: Count = 256  # over all devices
    rate: Annotated[float, Field(gt=0)] = 0.1
    drops: tuple[int, ...] = (16_000, 24_000)  # iterations at which the rate falls to a tenth
    momentum: Share = 0.9
    decay: Share = 5e-4
    dream_iterations: Count = 10_000  # of the stitched block
    seeds: tuple[int, ...] = (0,)  # one training each
    workers: Annotated[int, Field(ge=0)] = 2  # processes that read pictures
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
    devices: Count = 1
    checkpoint_every: Count = 1000


@settings
class Evaluation:
    protocol: str  # a name in `recognition.protocols.PROTOCOLS`
    folder: str
    pairs: str = ""  # lfw: pairs.txt; pairs: a CSV; ijb: ..._template_pair_label.txt
    templates: str = ""  # ijb: ..._face_tid_mid.txt
    split: str = ""  # poses: only pictures whose metadata.csv says this
    yaw: str = ""  # for a network with DREAM: a CSV with file (in ``folder``) and yaw in degrees; poses has its own
    name: str = ""  # in tables; "" is the protocol's


@settings
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


SECTIONS = {
    "data": DataSettings, "model": ModelSettings, "loss": LossSettings, "training": TrainingSettings,
    "evaluate": Evaluation,
}  # fmt: skip
EXPECTED = {
    "int_type": "a whole number", "float_type": "a number", "string_type": "a text", "bool_type": "true or false",
    "tuple_type": "a list of whole numbers", "greater_than": "a positive number", "less_than": "a number below {lt:g}",
    "greater_than_equal": "a number from {ge:g}", "finite_number": "a finite number",
    "literal_error": "one of {expected}", "dataclass_type": "a table of names and values",
}  # fmt: skip
"""What was expected, by pydantic's kinds of errors."""


def read_experiment(path: Path) -> Experiment:
    """Reads the TOML file. Raises PortraitError for a missing file, bad TOML, unknown names and values out of range."""
    try:
        with open(path, "rb") as file:
            raw = tomllib.load(file)
    except OSError as error:
        raise PortraitError(f"settings '{path}': can't be read ({error.strerror}); see docs/recognition.md") from None
    except ValueError as error:  # TOML's own, and of bytes that are no text
        raise PortraitError(f"settings '{path}': not TOML ({error}); see docs/recognition.md") from None
    for name in raw:
        if name not in SECTIONS:
            raise unknown_name("section of the settings", name, SECTIONS)
    if not isinstance(raw.get("evaluate", []), list):
        raise PortraitError(f"settings '{path}': write [[evaluate]] with two brackets, once for each protocol")
    try:  # as JSON, in which a list may stand for a tuple
        made = TypeAdapter(Experiment).validate_json(json.dumps({"data": {}} | raw, default=str))
    except ValidationError as error:
        raise _said(error.errors()[0], path) from None
    _check(made)
    return replace(made, base=Path(path).parent)


def _said(error: dict, path: Path) -> PortraitError:
    """One of pydantic's errors as this project says it: the setting, what was expected, what came."""
    section, *inner = error["loc"]
    names = [word for word in inner if isinstance(word, str)]
    where = f"[[{section}]]" if section == "evaluate" else f"[{section}]"
    kind, got, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "missing":
        return PortraitError(f"settings '{path}': {where} needs {names[0]}; see docs/recognition.md")
    if kind == "unexpected_keyword_argument":
        return unknown_name(f"setting in {where}", names[0], [f.name for f in fields(SECTIONS[section])])
    if kind == "literal_error" and isinstance(got, str):
        return unknown_name(names[0], got, context["expected"].replace(" or ", ", ").replace("'", "").split(", "))
    expected = EXPECTED.get(kind, error["msg"]).format(**context)
    return PortraitError(f"{' '.join([where, *names[:1]])}: expected {expected}, got {got!r}")


def _check(e: Experiment) -> None:
    """What settings have to be to each other, and names of protocols."""
    for wanted in e.evaluate:
        PROTOCOLS[wanted.protocol]  # PortraitError with the nearest one for an unknown one
    t = e.training
    if t.batch % t.devices:
        raise PortraitError(f"batch: expected a multiple of the {t.devices} devices, got {t.batch}")
    if not t.seeds or len(set(t.seeds)) != len(t.seeds):
        raise PortraitError(f"seeds: expected one or more different numbers, got {list(t.seeds)}")
    names = [v.name or v.protocol for v in e.evaluate]
    if len(set(names)) != len(names):
        raise PortraitError(f"evaluate: two have the same name ({', '.join(names)}); give each its own 'name'")
