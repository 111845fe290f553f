"""Settings of an experiment, read and refused."""

import pytest

from foundation.errors import PortraitError
from recognition.settings import ModelSettings, read_experiment

SETTINGS = """
[data]
folder = "set"
[model]
backbone = "resnet64"
[loss]
exclusive = 2
[training]
seeds = [0, 1]
[[evaluate]]
protocol = "poses"
folder = "set"
"""


def test_settings_are_read(tmp_path):
    (tmp_path / "a.toml").write_text(SETTINGS)
    read = read_experiment(tmp_path / "a.toml")
    assert read.path("set") == tmp_path / "set" and read.model == ModelSettings("resnet64")
    assert read.loss.exclusive == 2.0 and read.training.seeds == (0, 1) and read.evaluate[0].protocol == "poses"


@pytest.mark.parametrize(
    "before, after, message",
    [
        ("[data]", "[date]", "section of the settings 'date': did you mean 'data'"),
        ('folder = "set"\n[model]', "[model]", r"\[data\] needs folder"),
        ("resnet64", "resnet63", "unknown backbone 'resnet63'"),
        ("exclusive", "exclusiv", r"setting in \[loss\] 'exclusiv': did you mean 'exclusive'"),
        ("exclusive = 2", 'exclusive = "much"', r"\[loss\] exclusive: expected a number, got 'much'"),
        ("exclusive = 2", "exclusive = -2", "exclusive: expected a number from 0, got -2"),
        ("seeds = [0, 1]", "seeds = [0, 0]", "seeds: expected one or more different"),
        ("seeds = [0, 1]", "seeds = 3", "seeds: expected a list of whole numbers"),
        ("seeds = [0, 1]", "batch = 0", "batch: expected a positive number"),
        ("seeds = [0, 1]", "batch = 7\ndevices = 2", "batch: expected a multiple of the 2 devices"),
        ("seeds = [0, 1]", "batch = true", r"\[training\] batch: expected a whole number, got True"),
        ('"poses"', '"posse"', "unknown protocol 'posse': did you mean 'poses'"),
        ("[[evaluate]]", "[evaluate]", "with two brackets"),
        ("[[evaluate]]", "[[evaluate", "not TOML"),
    ],
)
def test_settings_that_do_not_fit(tmp_path, before, after, message):
    assert before in SETTINGS
    (tmp_path / "a.toml").write_text(SETTINGS.replace(before, after, 1))
    with pytest.raises(PortraitError, match=message):
        read_experiment(tmp_path / "a.toml")
