"""Lists that flatter: what a result says beside its numbers. And pictures with another ending than the list's."""

import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest

from portrait.cli import main
from recognition.audit import notes_of, notes_of_templates
from recognition.evaluation import evaluate
from recognition.model import load_embedder
from recognition.protocols import read_cfp, read_lfw, read_pairs_csv
from recognition.results import read_results, write_results
from recognition.settings import Evaluation
from tests.recognition.conftest import draw_person

TABLE = "file_a,file_b,same,fold\n"


@pytest.fixture
def faces(tmp_path):
    """Six people, four pictures each, .jpg, a folder a person."""
    for person in range(6):
        (tmp_path / "set" / f"p{person}").mkdir(parents=True)
        for k in range(4):
            cv2.imwrite(str(tmp_path / "set" / f"p{person}" / f"p{person}_{k:04d}.jpg"), draw_person(person, k))
    return tmp_path


def pairs_of(faces, *rows):
    """rows: (person, picture, person, picture, fold)."""
    lines = [f"p{a}/p{a}_{i:04d}.jpg,p{b}/p{b}_{j:04d}.jpg,{int(a == b)},{fold}" for a, i, b, j, fold in rows]
    (faces / "pairs.csv").write_text(TABLE + "\n".join(lines))
    return read_pairs_csv(faces / "set", faces / "pairs.csv")


GOOD = [(0, 0, 0, 1, 0), (0, 0, 1, 0, 0), (2, 0, 2, 1, 1), (2, 0, 3, 0, 1), (4, 0, 4, 1, 2), (4, 0, 5, 0, 2)]


def test_a_sound_list_has_no_notes(faces):
    pairs = pairs_of(faces, *GOOD)
    assert notes_of(pairs) == notes_of(pairs, ["somebody", "else"]) == ()
    assert pairs.people == tuple(f.parent.name for f in pairs.files)


def test_a_picture_with_itself_is_counted_and_so_is_its_copy_under_another_name(faces):
    (note,) = notes_of(pairs_of(faces, *GOOD, (0, 2, 0, 2, 0)))
    assert note.startswith("1 of 7 pairs are a picture with itself")
    shutil.copy(faces / "set/p0/p0_0002.jpg", faces / "set/p0/p0_0003.jpg")
    (note,) = notes_of(pairs_of(faces, *GOOD, (0, 2, 0, 3, 0)))
    assert note.startswith("1 of 7 pairs are a picture with itself")


def test_repeated_pairs_are_counted_in_either_order_and_contradictions_said(faces):
    (note,) = notes_of(pairs_of(faces, *GOOD, (0, 1, 0, 0, 0), (2, 0, 3, 0, 1)))
    assert note.startswith("2 of 8 pairs repeat another one")
    pairs = pairs_of(faces, *GOOD)
    wrong = replace(pairs, same=np.append(pairs.same, True), folds=np.append(pairs.folds, 0), people=None)
    wrong = replace(
        wrong, first=np.append(pairs.first, pairs.first[1]), second=np.append(pairs.second, pairs.second[1])
    )
    assert notes_of(wrong)[-1] == "1 pairs are listed as one person and as two"
    twins = notes_of_templates(np.array([1, 1, 2]), np.array([1, 2, 1]), np.array([True, False, False]))
    assert [n.split()[0:5] for n in twins] == [["1", "of", "3", "pairs", "are"], ["1", "of", "3", "pairs", "repeat"]]


def test_people_of_several_folds_and_of_the_training_are_named(faces):
    (note,) = notes_of(pairs_of(faces, *GOOD, (0, 2, 0, 3, 1)))
    assert note == "1 of 6 identities are in more than one fold (p0)"
    (note,) = notes_of(pairs_of(faces, *GOOD), ["p5", "p2", "x"])
    assert note.startswith("2 of 6 identities have the name of one that was trained on (p2, p5)")


def test_folders_that_are_not_people_are_no_names(faces):
    (faces / "pairs.csv").write_text(TABLE + "p0/p0_0000.jpg,p0/p0_0001.jpg,0,0\np1/p1_0000.jpg,p2/p2_0000.jpg,1,1\n")
    pairs = read_pairs_csv(faces / "set", faces / "pairs.csv")
    assert pairs.people is None and notes_of(pairs, ["p0"]) == ()


def test_folds_of_one_kind_have_no_accuracy_and_two_no_interval(faces, trained):
    embedder, header = load_embedder(trained[1].weights)
    assert header["identities"][:2] == ["person_00", "person_01"] and len(header["identities"]) == 12
    wanted = Evaluation("pairs", "set", pairs="pairs.csv")
    pairs_of(faces, *GOOD, (1, 1, 1, 2, 3))
    (result,) = evaluate(embedder, wanted, faces)
    assert len(result.accuracies) == 3 and 0 <= result.accuracy <= 1
    assert result.notes[0].startswith("1 of 4 folds have pairs of one kind only (3)")
    pairs_of(faces, (0, 0, 0, 1, 0), (1, 0, 1, 1, 0), (2, 0, 3, 0, 1), (4, 0, 5, 0, 1))
    (result,) = evaluate(embedder, wanted, faces)
    assert result.accuracies == () and np.isnan(result.accuracy) and np.isnan(result.interval)
    assert 0 <= result.eer <= 1 and "2 of 2 folds" in result.notes[0]
    pairs_of(faces, *GOOD[:4])
    (result,) = evaluate(embedder, wanted, faces)
    assert len(result.accuracies) == 2 and np.isnan(result.interval)
    write_results(faces / "run", {0: [replace(result, notes=("one, two", "three"))]})
    assert read_results(faces / "run")[0][0].notes == ("one, two", "three")


def test_pictures_aligned_as_png_are_taken_where_the_list_says_jpg(faces):
    for file in (faces / "set").glob("*/*.jpg"):
        file.rename(file.with_suffix(".png"))
    pairs = pairs_of(faces, *GOOD)
    assert {f.suffix for f in pairs.files} == {".png"} and all(f.is_file() for f in pairs.files)
    lines = ["1\t1", "p0\t0\t1", "p0\t0\tp1\t2"]
    (faces / "pairs.txt").write_text("\n".join(lines))
    lfw = read_lfw(faces / "set", faces / "pairs.txt")
    assert [f.name for f in lfw.files] == ["p0_0000.png", "p0_0001.png", "p1_0002.png"]
    assert lfw.people == ("p0", "p0", "p1")
    (faces / "set/p0/p0_0000.jpg").touch()
    assert read_lfw(faces / "set", faces / "pairs.txt").files[0].name == "p0_0000.jpg"  # the list's own goes first


def test_cfp_says_who_is_who(tmp_path):
    root = tmp_path / "cfp"
    names = [f"../Data/Images/{p:03d}/frontal/{k:02d}.png" for p in (1, 2) for k in (1, 2)]
    for name in names:
        file = root / name.removeprefix("../")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    split = root / "Protocol/Split/FF/01"
    split.mkdir(parents=True)
    numbered = "".join(f"{k} {name.replace('.png', '.jpg')}\n" for k, name in enumerate(names, 1))
    (root / "Protocol/Pair_list_F.txt").write_text(numbered)
    (split / "same.txt").write_text("1,2\n3,4\n")
    (split / "diff.txt").write_text("1,3\n2,4\n")
    pairs = read_cfp(root, "FF")
    assert sorted(set(pairs.people)) == ["001", "002"]


def test_notes_are_on_the_terminal_in_the_table_and_in_the_report(faces, trained, capsys):
    run = faces / "run"
    shutil.copytree(trained[0], run / "seed-0")
    pairs_of(faces, *GOOD, (0, 2, 0, 2, 0))
    (faces / "a.toml").write_text(
        '[data]\nfolder = "set"\n[[evaluate]]\nprotocol = "pairs"\nfolder = "set"\npairs = "pairs.csv"\n'
    )
    assert main(["recognize", "evaluate", str(faces / "a.toml"), str(run), "--device", "cpu"]) == 0
    said = "1 of 7 pairs are a picture with itself"
    assert f"note: pairs: {said}" in capsys.readouterr().out
    assert said in (run / "results.html").read_text()
    assert said in (run / "results.csv").read_text()
