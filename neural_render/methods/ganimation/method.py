"""GANimation as a method: people's pictures and their action units become weights, and units edit a photograph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from foundation.progress import Report, ignore
from neural_render.corpus import Faces
from neural_render.images import resize_square
from neural_render.methods.base import Needs
from neural_render.methods.clip import Clip
from neural_render.methods.common.people import PeopleMethod, to_pixels
from neural_render.methods.ganimation.editing import Editor, Header
from neural_render.methods.ganimation.settings import Options, Settings
from neural_render.methods.ganimation.trainer import Trainer
from neural_render.methods.weights import Weights
from neural_render.training import bfloat16_helps


class GANimation(PeopleMethod):
    """See docs/methods/ganimation.md."""

    name = "ganimation"
    title = "GANimation (Pumarola et al., ECCV 2018)"
    expression, identity = "action units", "the photograph, but for what an attention mask lets go"
    training = Needs(landmarks=True, action_units=True, several=True)
    target = Needs(landmarks=True)
    driver = Needs(pictures=False, action_units=True)
    Options = Options
    Header = Header

    def settings(self, options: Options, report: Report = ignore) -> Settings:
        o = options
        return Settings(
            size=o.size, width=o.width, critic=o.critic, seed=o.seed, batch=o.batch or Settings.batch,
            bfloat16=bfloat16_helps(o.device),
        )  # fmt: skip

    def trainer(self, settings: Settings, faces: Faces, fabric, report: Report) -> Trainer:
        return Trainer(settings, faces, fabric)

    def animate(self, weights: Weights, target: Clip, driver: Clip, *, device: str = "cpu") -> Iterator[np.ndarray]:
        """The target's photograph, or a clip's first frame with a face, under each frame's units.

        Units that the driver doesn't name stay as the photograph has them, as far as the reader can tell.
        """
        editor, wanted = self._ready(weights, target, driver, device)
        return (editor.paste(editor.edit(units)) for units in wanted)

    def panels(
        self, weights: Weights, target: Clip, driver: Clip, results: Iterator[np.ndarray], height: int
    ) -> Iterator[Mapping[str, np.ndarray]]:
        """What the network leaves alone, white, and what it puts elsewhere."""
        editor, wanted = self._ready(weights, target, driver, "cpu")
        for units, _ in zip(wanted, results):
            shown = editor.shown(editor.edit(units))
            yield {title: resize_square(to_pixels(p), height) for title, p in shown.items()}

    def _ready(self, weights: Weights, target: Clip, driver: Clip, device: str):
        self.target.check([target], "target")
        self.driver.check([driver], "driver")
        editor = Editor(weights, target, device)
        return editor, editor.wanted(driver.action_units)
