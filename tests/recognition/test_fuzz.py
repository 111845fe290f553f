"""Whatever is in a list, a table or a file of weights: it is read, or refused in one line."""

from __future__ import annotations

import numpy as np
import pytest

from foundation.errors import PortraitError
from recognition.evaluation import Result
from recognition.folder import read_folder
from recognition.model import Embedder, load_embedder, save_embedder
from recognition.pictures import read_picture
from recognition.protocols import read_cfp, read_ijb, read_lfw, read_pairs_csv
from recognition.results import compare, read_results, write_results
from recognition.settings import read_experiment
from recognition.verification import RATES
from tests.garbled import spoil_bytes, spoil_tensors
from tests.recognition.conftest import MODEL, write_people
from tests.recognition.test_command import NETWORK, SETTINGS


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """Two people, two pictures each, as any of the lists name them."""
    return write_people(tmp_path_factory.mktemp("faces") / "set", 2, (0, 10))


def test_settings(tmp_path):
    path = tmp_path / "e.toml"
    path.write_text(SETTINGS.format(head="softmax", network=NETWORK), encoding="utf-8")
    spoil_bytes(path, lambda: read_experiment(path))
    path.write_bytes(b"\xff\xfe[data]")
    with pytest.raises(PortraitError, match="not TOML"):
        read_experiment(path)


def test_metadata(faces):
    spoil_bytes(faces / "metadata.csv", lambda: read_folder(faces))


def test_pictures(faces):
    path = faces / "person_00" / "0.png"

    def read():
        picture = read_picture(path)
        assert picture is None or (picture.ndim == 3 and picture.dtype == np.uint8)

    spoil_bytes(path, read)


def test_weights(tmp_path):
    path = tmp_path / "w.safetensors"
    save_embedder(path, Embedder(MODEL), {"seed": 0, "identities": ["a"]})
    spoil_tensors(path, lambda: load_embedder(path))


def test_results(tmp_path):
    result = Result("p", 10, 1, (0.5, 0.6), 0.1, 0.9, dict.fromkeys(RATES, 0.5), 0.5, np.zeros((3, 2)), notes=("a",))
    write_results(tmp_path, {0: [result]})
    for name in ("results.csv", "curves.safetensors"):
        spoil_bytes(tmp_path / name, lambda: compare({"a": read_results(tmp_path), "b": read_results(tmp_path)}))


# -- pair lists -------------------------------------------------------------------------------------------------------

LONG, HUGE = "9" * 30, "9" * 5000  # more than 64 bits, more than Python reads


@pytest.fixture(scope="module")
def lists(faces):
    """A reader of each kind of list by name, with the file that it reads."""
    root = faces.parent
    for name in ("Abel", "Akh"):
        (root / "lfw" / name).mkdir(parents=True)
        for k in (1, 2):
            (root / "lfw" / name / f"{name}_{k:04d}.jpg").touch()
    cfp, protocol = root / "cfp", root / "cfp" / "Protocol"
    (protocol / "Split" / "FP" / "01").mkdir(parents=True)
    for kind, letter in (("frontal", "F"), ("profile", "P")):
        for person in ("001", "002"):
            (cfp / "Data" / "Images" / person / kind).mkdir(parents=True)
            (cfp / "Data" / "Images" / person / kind / "01.jpg").touch()
        lines = (f"{k} ../Data/Images/00{k}/{kind}/01.jpg\n" for k in (1, 2))
        (protocol / f"Pair_list_{letter}.txt").write_text("".join(lines))
    (protocol / "Split" / "FP" / "01" / "diff.txt").write_text("1,2\n2,1\n")
    texts = {
        "lfw": "1\t2\nAbel\t1\t2\nAkh\t1\t2\nAbel\t2\tAkh\t1\nAkh\t2\tAbel\t2\n",
        "pairs": "file_a,file_b,same,fold\nperson_00/0.png,person_00/1.png,1,0\nperson_00/0.png,person_01/0.png,0,1\n",
        "templates": "person_00/0.png 1 1\nperson_00/1.png 2 2\nperson_01/0.png 3 3\n",
        "ijb": "1 2 1\n1 3 0\n",
    }
    files = {name: root / f"{name}.txt" for name in texts}
    for name, text in texts.items():
        files[name].write_text(text)
    files |= {"cfp": protocol / "Pair_list_F.txt", "same": protocol / "Split" / "FP" / "01" / "same.txt"}
    files["same"].write_text("1,1\n2,2\n")
    ijb = lambda: read_ijb(faces, files["templates"], files["ijb"])  # noqa: E731
    readers = {
        "lfw": lambda: read_lfw(root / "lfw", files["lfw"]), "pairs": lambda: read_pairs_csv(faces, files["pairs"]),
        "templates": ijb, "ijb": ijb, "cfp": lambda: read_cfp(cfp, "FP"), "same": lambda: read_cfp(cfp, "FP"),
    }  # fmt: skip
    return {name: (path, readers[name]) for name, path in files.items()}


@pytest.mark.parametrize("name", ["lfw", "pairs", "templates", "ijb", "cfp", "same"])
def test_lists(lists, name):
    spoil_bytes(*lists[name])


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("lfw", "\u00b2\t2\n", "expected two numbers"),
        ("lfw", "-1\t-1\nAbel\t1\t2\nAbel\t1\tAkh\t1\n", "expected two numbers"),
        ("lfw", f"1\t1\nAbel\t{HUGE}\t2\nAbel\t1\tAkh\t1\n", "expected picture numbers"),
        ("lfw", f"1\t1\n{'A' * 300}\t1\t2\nAbel\t1\tAkh\t1\n", "missing"),
        ("cfp", "\u00b2 a.jpg\n", "expected a number and a path"),
        ("cfp", f"{HUGE} a.jpg\n", "expected a number and a path"),
        ("same", f"{HUGE},1\n", "expected two numbers of the lists"),
        ("templates", "a.png \u00b2 3\n", "expected 'picture template medium'"),
        ("templates", "a.png --1 1\n", "expected 'picture template medium'"),
        ("templates", f"a.png {LONG} 1\n", "expected 'picture template medium'"),
        ("ijb", f"{LONG} 1 1\n", "expected 'template template 0|1'"),
        ("pairs", f"file_a,file_b,same,fold\na,b,1,{LONG}\n", "line 2: can't be used"),
        ("pairs", "file_a,file_b,same,fold\na,b\n", "line 2: can't be used"),
        ("pairs", f'file_a,file_b,same,fold\n"{"a" * 140_000}",b,1,2\n', "no CSV"),
        ("pairs", f"file_a,{'a' * 140_000}", "no CSV"),
        ("pairs", f"file_a,file_b,same,fold\n{'A' * 300},b,1,2\n", "missing"),
    ],
)
def test_lists_with_what_no_list_has(lists, name, text, message):
    path, read = lists[name]
    whole = path.read_text()
    path.write_text(text, encoding="utf-8")
    try:
        with pytest.raises(PortraitError) as raised:
            read()
    finally:
        path.write_text(whole)
    assert message in str(raised.value) and "\n" not in str(raised.value)
