"""Settings of an experiment, read and refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import PortraitError
from recognition.settings import Experiment, ModelSettings, read_experiment

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
        ("exclusive = 2", "exclusive = nan", r"\[loss\] exclusive: expected a finite number, got nan"),
        ('"resnet64"', "64", r"\[model\] backbone: expected one of 'resnet20'.*got 64"),
        ('"resnet64"', '"resnet64"\ndropout = 1', "dropout: expected a number below 1, got 1"),
        ("[loss]\nexclusive = 2", "[[loss]]\nexclusive = 2", r"\[loss\]: expected a table of names and values"),
        ('folder = "set"\n[model]', 'folder = 1979-05-27\nbase = "x"\n[model]', "setting in .data. 'base'"),
        ("[[evaluate]]", "[[evaluate", "not TOML"),
    ],
)
def test_settings_that_do_not_fit(tmp_path, before, after, message):
    assert before in SETTINGS
    (tmp_path / "a.toml").write_text(SETTINGS.replace(before, after, 1))
    with pytest.raises(PortraitError, match=message):
        read_experiment(tmp_path / "a.toml")
    with pytest.raises(PortraitError) as error:
        read_experiment(tmp_path / "a.toml")
    assert "\n" not in str(error.value)


VALUES = ["3", "-1", "0.5", "inf", "true", '"none"', "[1, 2]", '["a"]', "{a = 1}", "1979-05-27", '"\u00e9"']
NAMES = ["folder", "backbone", "width", "head", "margin", "rate", "drops", "seeds", "devices", "protocol", "x"]


@given(st.lists(st.tuples(st.sampled_from(["data", "model", "loss", "training", "evaluate", "base"]),
                          st.sampled_from(NAMES), st.sampled_from(VALUES)), max_size=6),
       st.booleans())  # fmt: skip
def test_any_table_is_read_or_refused_in_one_line(tmp_path_factory, settings, twice):
    tables: dict[str, dict[str, str]] = {}
    for section, name, value in settings:
        tables.setdefault(section, {})[name] = value
    text = ""
    for section, values in tables.items():
        header = f"[[{section}]]" if section == "evaluate" or twice else f"[{section}]"
        text += header + "\n" + "".join(f"{k} = {v}\n" for k, v in values.items())
    path = tmp_path_factory.mktemp("toml") / "a.toml"
    path.write_text(text, encoding="utf-8")
    try:
        assert isinstance(read_experiment(path), Experiment)
    except PortraitError as error:
        assert "\n" not in str(error)
