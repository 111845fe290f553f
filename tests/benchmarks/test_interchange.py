"""The exchange benchmark has a reader for every format, and its readers notice what is another clip's."""

import pytest

from benchmarks import interchange
from benchmarks.interchange_readers import FLAME, READERS
from facemodel.export.animated.base import ANIMATED, Performance


def test_every_format_has_a_reader():
    assert set(READERS) == set(ANIMATED)


@pytest.fixture(scope="module")
def flame(tmp_path_factory):
    return interchange.flame_clip(tmp_path_factory.mktemp("model"), 3)


@pytest.mark.parametrize("name", [*FLAME, "obj", "arkit", "nerfstudio"])
def test_what_arrives_is_equal_and_another_clip_is_not(flame, tmp_path, name):
    clip, formula = flame
    found, seconds = interchange.arrive(name, clip, tmp_path, formula)
    assert interchange.equal(found) and found.frames == 3 and seconds > 0
    p = clip.track.parameters
    moved = clip.track.with_parameters(p.replace(expression=p.expression * 0.9))
    more = (formula,) if name in FLAME else ()
    path = tmp_path / f"{name}{'.csv' if name == 'arkit' else ''}"
    other = READERS[name](Performance(moved, clip.model, pictures=clip.pictures), path, *more)
    assert not interchange.equal(other) or name == "nerfstudio"  # whose cameras are the same
