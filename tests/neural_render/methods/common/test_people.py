"""From many people's clips to weights, by a trainer that learns their mean picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from foundation.errors import PortraitError
from neural_render.methods.base import Method, Needs
from neural_render.methods.common.people import sources, to_pixels, train_on_faces
from neural_render.methods.weights import WeightsHeader
from neural_render.training import BaseTrainer
from tests.neural_render.methods.drawn import SIDE, clip_of, people

SIZE = 16


@dataclass(frozen=True)
class Settings:
    seed: int = 0
    batch: int = 4
    ema: float = 0.9
    clip: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Header(WeightsHeader):
    size: int


class Mean(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.picture = nn.Parameter(torch.zeros(3, SIZE, SIZE))

    def forward(self, shown):
        return (self.picture - shown).square().mean()


class MeanTrainer(BaseTrainer):
    def __init__(self, faces, fabric) -> None:
        super().__init__(Settings(), fabric)
        self.faces = faces
        self.add("mean", Mean(), lambda p: torch.optim.SGD(p, 100.0), averaged=True)

    def losses(self):
        rows = self.share(self.faces.pairs(self.step, self.settings.batch, self.settings.seed, 1)[:, 0])
        loss = self.networks["mean"](self.faces.pictures(rows))
        self.update("mean", loss)
        return {"square": loss}

    def weights(self):
        return self.averages["mean"].state_dict(), {"size": SIZE}


class MeanMethod(Method):
    name, title = "mean", "A mean picture"
    training = Needs(landmarks=True, several=True)
    Header = Header

    def train(self, clips, out, options, **others):
        return train_on_faces(self, MeanTrainer, clips, out, options, size=SIZE, **others)

    def animate(self, weights, target, driver, *, device="cpu"):
        raise NotImplementedError


def test_it_trains_says_of_what_and_goes_on(tmp_path):
    method, out, said = MeanMethod(), tmp_path / "w", []
    clips = [*people(2), clip_of(2, 0, missing=(1,))]
    first = method.train(clips, out, method.options(steps=3), report=said.append)
    assert (first.steps, first.frames, first.excluded, first.resumed_at) == (3, 29, 1, 0)
    assert any("1 frames have no face" in event.note for event in said)
    weights = method.load(out)
    assert (weights.header.method, weights.header.size, weights.header.steps) == ("mean", SIZE, 3)
    assert [s["file"] for s in weights.header.sources] == ["0-0.mp4", "0-1.mp4", "1-0.mp4", "1-1.mp4", "2-0.mp4"]
    again = method.train(clips, out, method.options(steps=5))
    assert (again.steps, again.resumed_at) == (5, 3)
    with pytest.raises(PortraitError, match="people 3 instead of 4"):
        method.train([*clips, clip_of(3)], out, method.options(steps=6))
    assert method.load(out).header.steps == 5  # nothing is lost


def test_bad_input_is_refused_before_anything_is_read(tmp_path):
    method = MeanMethod()
    with pytest.raises(PortraitError, match="training: expected clips, got 0"):
        method.train([], tmp_path / "w", method.options())
    with pytest.raises(PortraitError, match="expected a file to write to"):
        method.train(people(1), tmp_path, method.options())


def test_sources_are_spread_over_the_frames_with_a_face():
    target = clip_of(0, frames=9, missing=(0, 4))
    found = sources(target, SIDE, 3)
    assert found.frames == (1, 5, 8) and found.pictures.shape == (3, 3, SIDE, SIDE)
    assert np.abs(found.landmarks).max() < 1
    assert sources(clip_of(0, frames=1), 16, 3).frames == (0,)
    with pytest.raises(PortraitError, match="expected a face"):
        sources(clip_of(0, frames=2, missing=(0, 1)), 16, 3)


def test_pixels():
    made = to_pixels(torch.tensor([-1.0, 0.0, 1.0, 2.0]).expand(3, 2, 4))
    assert made.shape == (2, 4, 3) and made[0, :, 0].tolist() == [0, 128, 255, 255]
