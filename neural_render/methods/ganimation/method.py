"""GANimation as a method: people's pictures and their action units become weights, and units edit a photograph."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from foundation.progress import Report, ignore
from neural_render.images import resize_square
from neural_render.methods.base import Method, Needs, TrainingSummary
from neural_render.methods.clip import Clip
from neural_render.methods.common.people import to_pixels, train_on_faces
from neural_render.methods.ganimation.editing import Editor, Header
from neural_render.methods.ganimation.settings import Options, Settings
from neural_render.methods.ganimation.trainer import Trainer
from neural_render.methods.weights import Weights
from neural_render.training import bfloat16_helps


class GANimation(Method):
    """See docs/methods/ganimation.md."""

    name = "ganimation"
    title = "GANimation (Pumarola et al., ECCV 2018)"
    expression, identity = "action units", "the photograph, but for what an attention mask lets go"
    training = Needs(landmarks=True, action_units=True, several=True)
    target = Needs(landmarks=True)
    driver = Needs(pictures=False, action_units=True)
    Options = Options
    Header = Header

    def train(
        self,
        clips: Sequence[Clip],
        out: str | os.PathLike,
        options: Options,
        *,
        work: str | os.PathLike | None = None,
        report: Report = ignore,
    ) -> TrainingSummary:
        settings = Settings(
            size=options.size, width=options.width, critic=options.critic, seed=options.seed,
            batch=options.batch or Settings.batch, bfloat16=bfloat16_helps(options.device),
        )  # fmt: skip
        return train_on_faces(
            self, lambda faces, fabric: Trainer(settings, faces, fabric), clips, out, options, size=options.size,
            work=work, bfloat16=settings.bfloat16, report=report,
        )  # fmt: skip

    def animate(self, weights: Weights, target: Clip, driver: Clip, *, device: str = "cpu") -> Iterator[np.ndarray]:
        """The target's photograph, or a clip's first frame with a face, under each frame's units.

        Units that the driver doesn't name stay as the photograph has them, as far as the critic can read that.
        """
        editor, wanted = self._ready(weights, target, driver, device)
        return (editor.paste(editor.edit(units)) for units in wanted)

    def panels(
        self, weights: Weights, target: Clip, driver: Clip, results: Iterator[np.ndarray], height: int
    ) -> Iterator[Mapping[str, np.ndarray]]:
        """What the network leaves alone, white, and what it puts elsewhere."""
        editor, wanted = self._ready(weights, target, driver, "cpu")
        for units, _ in zip(wanted, results):
            edit = editor.edit(units)
            shown = {"attention": 2 * edit.kept.expand(-1, 3, -1, -1) - 1, "colours": edit.colours}
            yield {title: resize_square(to_pixels(p[0]), height) for title, p in shown.items()}

    def _ready(self, weights: Weights, target: Clip, driver: Clip, device: str):
        self.target.check([target], "target")
        self.driver.check([driver], "driver")
        editor = Editor(weights, target, device)
        return editor, editor.wanted(driver.action_units)
