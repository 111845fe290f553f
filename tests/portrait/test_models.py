"""``portrait model``: import, info, list, show; as a user runs them."""

import json

import cv2
import numpy as np
import pytest

import facemodel
from benchmarks.model_files import make_head, write_flame, write_sfm
from facemodel.registry import FORMATS
from facemodel.track import Track
from foundation.errors import PortraitError
from portrait.cli import main
from portrait.services.models import Sheet, describe_model, draw_sheet, import_file, known_models
from tests.facemodel.clips import make_track


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_flame(tmp_path_factory.mktemp("flame"), make_head(), lids=True)


@pytest.fixture(scope="module")
def imported(written, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "flame.model"
    import_file(written.path, path, extras=written.extras, own_only=True)
    return path


def test_import_and_info(written, tmp_path, capsys):
    out = tmp_path / "x.model"
    extras = [a for e in written.extras for a in ("--with", str(e))]
    assert main(["model", "import", str(written.path), "-o", str(out), *extras, "--own-only"]) == 0
    first = capsys.readouterr().out
    assert "jointed face model" in first and "300 identity, 102 expression, 6 joints" in first and "FLAME" in first
    assert main(["model", "info", str(out)]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == first.splitlines()[1:]
    assert facemodel.load(out).count("joints") == 6


def test_the_report_says_what_is_there_and_what_isn_t(imported):
    report = describe_model(str(imported))
    assert report.kind == "jointed" and report.format == "FLAME" and report.arkit == 2
    assert "joints" in report.capabilities and "reflectance" in report.lacking and "neck x" in report.joints
    assert all(c.passed is not False for c in report.checks)
    assert describe_model().arkit == 52 and "joints" in describe_model().lacking


def test_list_names_every_format(capsys):
    assert main(["model", "list"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in FORMATS) and "l_eyelid" not in text and "eyelids (npy)" in text
    named, formats = known_models()
    assert named[0].name == "default" and len(formats) == len(FORMATS.names())


def test_show_draws_what_differs(imported, tmp_path):
    sheet = Sheet(size=64, caption=12, components=2, signed=2, columns=4)
    path = draw_sheet(str(imported), tmp_path / "sheet.png", sheet=sheet)
    picture = cv2.imread(str(path))
    # 4 sides, 3 gazes, 2 x 2 identities, 2 lids, 2 x 2 expressions, 6 joints
    rows, tile = -(-(4 + 3 + 4 + 2 + 4 + 6) // 4), 64 + 12
    assert picture.shape == (rows * tile, 4 * 64, 3)
    tiles = [picture[r * tile : r * tile + 64, c * 64 : c * 64 + 64] for r in range(rows) for c in range(4)][:23]
    assert all(t.std() > 5 for t in tiles)
    assert len({t.tobytes() for t in tiles}) == 23


def test_show_on_the_command_line(tmp_path):
    written = write_sfm(tmp_path, make_head())
    import_file(written.path, tmp_path / "s.model", extras=written.extras, own_only=True)
    assert main(["model", "show", str(tmp_path / "s.model"), "-o", str(tmp_path / "s.jpg")]) == 0
    assert (tmp_path / "s.jpg").stat().st_size > 5000


@pytest.mark.parametrize(("arguments", "says"), [
    (["import", "{pkl}", "-o", "{out}", "--format", "gnm"], "asked for as gnm, but this is a model of FLAME"),
    (["import", "{pkl}", "-o", "{out}", "--format", "flme"], "did you mean 'flame'"),
    (["import", "{pkl}", "-o", "{out}", "--with", "none.npy"], "no such file"),
    (["import", "{marks}", "-o", "{out}"], "landmarks, not a face model"),
    (["import", "none.pkl", "-o", "{out}"], "no such file"),
    (["import", "{pkl}", "-o", "{folder}"], "a folder; give the name of a file"),
    (["import", "{pkl}", "-o", "{pkl}"], "give another name"),
    (["info", "{marks}"], "landmarks, not a face model"),
    (["show", "-o", "{folder}/sheet.pdf"], "expected a picture's name"),
    (["show", "{marks}", "-o", "{folder}/sheet.png"], "landmarks"),
])  # fmt: skip
def test_bad_input_is_one_line_and_writes_nothing(arguments, says, written, tmp_path, capsys):
    np.save(tmp_path / "marks.npy", np.zeros((68, 2)))
    folder = tmp_path / "out"
    folder.mkdir()
    names = {"pkl": written.path, "out": folder / "x.model", "marks": tmp_path / "marks.npy", "folder": folder}
    before = written.path.read_bytes()
    assert main(["model", *(a.format(**names) for a in arguments)]) == 2
    error = capsys.readouterr().err.strip()
    assert says in error and "\n" not in error
    assert not list(folder.iterdir()) and written.path.read_bytes() == before


def test_what_isn_t_a_face_needs_force(tmp_path):
    head = make_head()
    small = type(head)(head.vertices / 10, head.triangles, head.eyes, head.centers / 10, head.marks)
    written = write_sfm(tmp_path, small)
    with pytest.raises(PortraitError, match="size: .*centimetres taken for millimetres.*--force"):
        import_file(written.path, tmp_path / "s.model", extras=written.extras)
    assert not (tmp_path / "s.model").exists()
    report = import_file(written.path, tmp_path / "s.model", extras=written.extras, force=True, own_only=True)
    assert any(c.passed is False for c in report.checks)
    header = (tmp_path / "s.model").read_bytes()
    facts = json.loads(json.loads(header[8 : 8 + int.from_bytes(header[:8], "little")])["__metadata__"]["facts"])
    assert facts["provenance"]["unit"] == "millimetres" and facts["version"] == 2


@pytest.fixture(scope="module")
def talk(imported, tmp_path_factory):
    """A track of the imported model."""
    return make_track(facemodel.load(imported), 3).save(tmp_path_factory.mktemp("talk") / "talk.track")


def test_convert(talk, imported, tmp_path, capsys):
    """To the model itself, by its own expressions alone, with FLAME parameters beside."""
    out, npz = tmp_path / "new.track", tmp_path / "flame.npz"
    arguments = [str(talk), "--model", str(imported), "--to", str(imported), "-o", str(out), "--npz", str(npz)]
    assert main(["model", "convert", *arguments]) == 0
    said = capsys.readouterr().out
    assert "motion" in said and "mm" in said and "VHAP" in said
    model = facemodel.load(imported)
    made = Track.load(out, model)
    assert made.facts["converted"]["motion_mm"]["median"] < 0.5
    with np.load(npz) as file:
        np.testing.assert_allclose(file["expr"], made.parameters.expression[:, :100].numpy(), atol=1e-6)
        assert file["shape"].shape == (300,) and file["jaw_pose"].shape == (3, 3)
    assert main(["info", str(out)]) == 0
    said = capsys.readouterr().out
    assert "converted" in said


@pytest.mark.parametrize(("arguments", "says"), [
    (["model", "convert", "{talk}", "--to", "default", "-o", "{out}"], "not of the default model; give its own by"),
    (["model", "convert", "{talk}", "--model", "{model}", "--to", "{marks}", "-o", "{out}"], "landmarks, not a face"),
    (["model", "convert", "{talk}", "--model", "{model}", "--to", "{model}", "-o", "{talk}"], "input"),
    (["model", "convert", "{talk}", "--model", "{model}", "--to", "default", "-o", "{out}", "--npz", "{folder}/x.npz"],
     "need a FLAME model, 'default'"),
    (["model", "convert", "{talk}", "--model", "{model}", "--to", "{model}", "-o", "{out}", "--npz", "{folder}/x.pkl"],
     "ending in .npz"),
    (["model", "convert", "{folder}/none", "--to", "default", "-o", "{out}"], "no such folder"),
    (["edit", "{talk}", "--smooth", "0.1", "-o", "{out}"], "portrait model convert"),
    (["render", "{talk}", "-o", "{folder}/x.mp4"], "portrait model convert"),
])  # fmt: skip
def test_a_track_of_another_model(arguments, says, talk, imported, tmp_path, capsys):
    """One line that says what to do, exit code 2, nothing written."""
    np.save(tmp_path / "marks.npy", np.zeros((68, 2)))
    folder = tmp_path / "out"
    folder.mkdir()
    names = {"talk": talk, "model": imported, "out": folder / "x", "marks": tmp_path / "marks.npy", "folder": folder}
    assert main([a.format(**names) for a in arguments]) == 2
    error = capsys.readouterr().err.strip()
    assert says in error and "\n" not in error
    assert not list(folder.iterdir())


def test_info_of_any_model_file(written, imported, capsys):
    """By its content: this project's own file of any name, and others'."""
    for path, says in ((imported, "jointed face model 'flame'"), (written.path, "FLAME")):
        assert main(["info", str(path)]) == 0
        assert says in capsys.readouterr().out
