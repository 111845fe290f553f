"""Settings with some of their values changed."""

import pytest

from benchmarks.changes import changed
from benchmarks.photographs import measure, photographs
from facemodel import PortraitError
from fitting import Settings
from portrait.video.sample import carphone
from tests.fitting.rendered import KnownLandmarks


def test_values_of_parts_are_changed_and_nothing_else():
    before = Settings()
    after = changed(before, ["trust.whole.fine=0.5", "steps=(2, 3)"])
    assert after.trust.whole.fine == 0.5 and after.steps == (2, 3)
    assert changed(after, [f"trust.whole.fine={before.trust.whole.fine}", f"steps={before.steps}"]) == before


@pytest.mark.parametrize("change", ["trust.nothing=1", "nothing=1", "samples.more=1", "samples", "samples=many"])
def test_what_is_not_there_is_said(change):
    with pytest.raises(PortraitError, match="^--set: "):
        changed(Settings(), [change])


def test_photographs_of_a_clip_and_one_without_a_face(model):
    frames = list(photographs(carphone(), 60))
    assert [name.split()[-1] for name, _ in frames] == ["0", "60"]
    assert measure(*frames[0], model, KnownLandmarks([None] * 256), Settings()) is None
