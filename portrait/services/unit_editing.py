"""``portrait reenact --set AU12=3``: a photograph with other action units, by a method that is driven by them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facemodel import PortraitError
from facemodel.action_units import ACTION_UNITS, LIPS_PART, STRONGEST, unit_name
from foundation.errors import unknown_name
from foundation.progress import Report, ignore
from neural_render.methods.base import Method, method_of
from neural_render.methods.clip import ActionUnits, Clip
from portrait.files import synthetic_note
from portrait.services.checks import check_number, check_video_output
from portrait.services.fitting import FitOptions, work_folder
from portrait.services.methods import Footage, clip_of
from portrait.services.setup import Setup
from portrait.services.synthesis import check_picture_output, is_picture, weights_facts, write_frames
from portrait.video.png import write_picture

FPS = 12.5  # of a video that shows a change of intensity


@dataclass(frozen=True)
class Edited:
    """A photograph's face under other action units."""

    path: Path
    pictures: int
    units: Mapping[str, float]

    def lines(self) -> list[str]:
        """What there is to say of it."""
        said = ", ".join(f"{name} {value:g}" for name, value in self.units.items())
        steps = f", in {self.pictures} steps from none" if self.pictures > 1 else ""
        return [f"{self.path}: {said}{steps}; labelled as synthetic in its metadata"]


def edit_units(
    weights: Path, target: Path, output: Path, units: Mapping[str, float], *, steps: int | None = None,
    setup: Setup = Setup(), report: Report = ignore,
) -> Edited:  # fmt: skip
    """Writes the target's face with these units, 0 to 5, the others staying as they are.

    Args:
        target: a photograph; of a clip its first frame with a face counts.
        output: a .png, of ``steps`` side by side, or a video of them.
        steps: so many strengths from none to those that are given; None is those alone.

    Raises:
        PortraitError: a unit that isn't one or that the weights don't know, a strength out of range, weights of a
            method that isn't driven by units.
    """
    for name, value in units.items():
        check_unit(name, value)
    check_number("scale", steps, 2, 1000)
    check_picture_output(output, target, weights) if is_picture(output) else check_video_output(output, target, weights)
    method = method_of(weights)
    if not driven_by_units(method):
        raise PortraitError(f"--set: weights '{weights}' are of '{method.name}', which isn't driven by action units")
    setup = setup.started()
    loaded = method.load(weights, setup.face_model())
    clip = clip_of(Footage(target), work_folder(output), setup=setup, fit=FitOptions(), report=report)
    strengths = np.ones(1) if steps is None else np.linspace(0, 1, steps)
    values = (strengths[:, None] * np.array(list(units.values()))).astype(np.float32)
    driver = Clip(None, clip.width, clip.height, FPS, find_action_units=lambda _: ActionUnits(tuple(units), values))
    made = list(method.animate(loaded, clip, driver, device=setup.device))
    facts = {"target": {"file": target.name, "sha256": clip.frames.source["sha256"]}, "method": method.name}
    note = synthetic_note("reenact", **facts, units=dict(units), weights=weights_facts(weights, loaded.header))
    if is_picture(output):
        write_picture(output, np.concatenate(made, 1), note)
    else:
        write_frames(output, made, np.arange(len(made)) / FPS, FPS, clip.frames.pixel_aspect, audio=None, note=note)
    return Edited(output, len(made), dict(units))


def driven_by_units(method: Method) -> bool:
    """Whether a method looks at nothing of its driver but action units."""
    return method.driver.action_units and not (method.driver.pictures or method.driver.track or method.driver.landmarks)


def check_unit(name: str, value: float) -> None:
    """PortraitError for a unit that there isn't, with the nearest one, and for a strength out of range."""
    known = [unit_name(number) for number in (*ACTION_UNITS, LIPS_PART)]
    if name not in known:
        raise unknown_name("action unit", name, sorted(known))
    if not 0 <= value <= STRONGEST:
        raise PortraitError(f"--set {name}={value:g}: expected a strength from 0 to {STRONGEST:g}")
