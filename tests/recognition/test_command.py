"""``portrait recognize`` as a user runs it."""

import csv
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from benchmarks.kills_jobs import NETWORK
from portrait.cli import main
from tests.portrait.conftest import run
from tests.recognition.conftest import write_people

SETTINGS = """
[data]
folder = "set"
split = "train"

{network}
[loss]
head = "{head}"

[training]
iterations = 10
batch = 16
rate = 0.05
workers = 1
seeds = [0, 1]

[[evaluate]]
protocol = "poses"
folder = "set"
"""


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """Two experiments on one small data set, trained and tested."""
    folder = tmp_path_factory.mktemp("work")
    write_people(folder / "set", 8)
    (folder / "set" / "person_00" / "2.png").write_text("broken")
    for head in ("softmax", "cosface"):
        settings = folder / f"{head}.toml"
        settings.write_text(SETTINGS.format(head=head, network=NETWORK))
        assert main(["recognize", "train", str(settings), "-o", str(folder / head), "--device", "cpu"]) == 0
        assert main(["recognize", "evaluate", str(settings), str(folder / head), "--device", "cpu"]) == 0
    return folder


def test_a_run_has_weights_of_each_seed_and_what_was_skipped(work):
    for seed in (0, 1):
        names = {p.name for p in (work / "softmax" / f"seed-{seed}").iterdir()}
        assert names == {"weights.safetensors", "checkpoint.safetensors", "log.csv", "tensorboard"}
    assert (work / "softmax" / "skipped.csv").read_text() == "file\nperson_00/2.png\n"


def test_results_are_a_table_and_a_page_with_curves(work):
    rows = list(csv.DictReader((work / "softmax" / "results.csv").open()))
    assert {r["seed"] for r in rows} == {"0", "1"} and rows[0]["protocol"] == "poses 15-30"
    assert 0 <= float(rows[0]["accuracy"]) <= 1 and len(rows[0]["folds"].split()) == 4
    assert float(rows[0]["left_out"]) > 0 and rows[0]["tar_0.01"] == ""  # too few pairs for such a rate
    assert (work / "softmax" / "unreadable.csv").read_text() == f"file\n{work / 'set' / 'person_00' / '2.png'}\n"
    page = (work / "softmax" / "results.html").read_text()
    assert page.count("<svg") == 5 and "poses 75-90" in page and "src=" not in page and "<script" not in page
    assert "backbone resnet20" in page


def test_runs_are_compared_with_gains_in_the_same_folds(work, capsys):
    output = work / "comparison.html"
    assert main(["recognize", "compare", str(work / "softmax"), str(work / "cosface"), "-o", str(output)]) == 0
    rows = list(csv.DictReader(output.with_suffix(".csv").open()))
    assert [r["run"] for r in rows[:2]] == ["softmax", "cosface"] and len(rows) == 10
    assert float(rows[0]["gain"]) == 0 and rows[0]["seeds"] == "2"
    difference = float(rows[1]["accuracy"]) - float(rows[0]["accuracy"])
    assert float(rows[1]["gain"]) == pytest.approx(difference, abs=1e-6)
    assert "gain over the first run" in output.read_text()
    assert "cosface, poses 75-90: accuracy" in capsys.readouterr().out


def test_a_run_that_is_started_again_goes_on_or_has_nothing_left_to_do(work, capsys):
    before = (work / "softmax" / "seed-0" / "weights.safetensors").read_bytes()
    assert main(["recognize", "train", str(work / "softmax.toml"), "-o", str(work / "softmax"), "--device", "cpu"]) == 0
    assert "gone on at step 10" in capsys.readouterr().out
    assert (work / "softmax" / "seed-0" / "weights.safetensors").read_bytes() == before


@pytest.mark.slow
def test_two_processes_train_what_one_trains(work):
    text = (
        SETTINGS.format(head="a-softmax", network=NETWORK)
        .replace("iterations = 10", "iterations = 4")
        .replace("[0, 1]", "[0]")
    )
    text = text.replace('"a-softmax"', '"a-softmax"\ncenter = 0.1\nring = 0.1\nexclusive = 1\nuniform = 1')
    for devices in (1, 2):
        (work / f"{devices}.toml").write_text(text.replace("workers = 1", f"workers = 1\ndevices = {devices}"))
    assert main(["recognize", "train", str(work / "1.toml"), "-o", str(work / "on-1"), "--device", "cpu"]) == 0
    done = run("recognize", "train", "2.toml", "-o", "on-2", "--device", "cpu", cwd=work)
    assert done.returncode == 0, done.stderr
    one, two = (load_file(work / f"on-{devices}" / "seed-0" / "checkpoint.safetensors") for devices in (1, 2))
    assert one.keys() == two.keys()
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["train", "none.toml", "-o", "run"], "settings 'none.toml': can't be read"),
        (["train", "softmax.toml", "-o", "softmax.toml"], "expected a folder, found a file"),
        (["evaluate", "softmax.toml", "set"], "no seed-0/weights.safetensors"),
        (["compare", "softmax", "-o", "a.html"], "two or more folders"),
        (["compare", "softmax", "set", "-o", "a.html"], "results 'set/results.csv': no such file"),
        (["train", "softmax.toml", "-o", "run", "--device", "tpu"], "expected cpu, cuda or auto"),
    ],
)
def test_bad_input_is_one_line(work, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(work)
    assert main(["recognize", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and message in error


def test_help_imports_no_torch():
    code = (
        "import sys; from portrait.cli import main; main(['recognize', '--help']); "
        "assert 'torch' not in sys.modules and 'matplotlib' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(word in done.stdout for word in ("train", "evaluate", "compare"))
