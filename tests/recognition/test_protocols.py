"""Pair lists, written here in the data sets' own formats."""

import numpy as np
import pytest

from foundation.errors import PortraitError
from recognition.protocols import read_cfp, read_ijb, read_lfw, read_pairs_csv


def touch(*files):
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


@pytest.fixture
def lfw(tmp_path):
    """Two folds of two pairs a kind, as View 2's pairs.txt has ten of three hundred."""
    for name, count in (("Abel_Pacheco", 4), ("Akhmed_Zakayev", 3), ("Slobodan_M", 1), ("Jim_O'Brien", 3)):
        touch(*(tmp_path / "lfw" / name / f"{name}_{k:04d}.jpg" for k in range(1, count + 1)))
    lines = [
        "2\t2",
        "Abel_Pacheco\t1\t4", "Akhmed_Zakayev\t1\t3",
        "Abel_Pacheco\t2\tSlobodan_M\t1", "Akhmed_Zakayev\t2\tAbel_Pacheco\t3",
        "Jim_O'Brien\t1\t2", "Jim_O'Brien\t1\t3",
        "Jim_O'Brien\t2\tSlobodan_M\t1", "Akhmed_Zakayev\t2\tJim_O'Brien\t3",
    ]  # fmt: skip
    (tmp_path / "pairs.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_lfw(lfw):
    pairs = read_lfw(lfw / "lfw", lfw / "pairs.txt")
    assert pairs.same.tolist() == [True, True, False, False] * 2
    assert pairs.folds.tolist() == [0] * 4 + [1] * 4
    names = [(pairs.files[a].name, pairs.files[b].name) for a, b in zip(pairs.first, pairs.second)]
    assert names[0] == ("Abel_Pacheco_0001.jpg", "Abel_Pacheco_0004.jpg")
    assert names[3] == ("Akhmed_Zakayev_0002.jpg", "Abel_Pacheco_0003.jpg")
    assert len(set(pairs.files)) == len(pairs.files) == 11


@pytest.mark.parametrize(
    "before, after, message",
    [
        ("2\t2\n", "two\n", "line 1: expected two numbers"),
        ("2\t2\n", "2\t3\n", "expected 12 lines after the first .* found 8"),
        ("Abel_Pacheco\t1\t4", "Abel_Pacheco 1 4", "line 2: expected 'Name 1 4' with tabs"),
        ("Slobodan_M\t1\nAkhmed", "Slobodan_M\tone\nAkhmed", "line 4: expected picture numbers"),
        ("Abel_Pacheco\t1\t4", "Abel_Pacheco\t1\t44", "1 picture .*Abel_Pacheco_0044.jpg.* missing of 11.*vis-www"),
    ],
)
def test_lfw_lists_that_do_not_fit(lfw, before, after, message):
    path = lfw / "pairs.txt"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))
    with pytest.raises(PortraitError, match=message):
        read_lfw(lfw / "lfw", path)


def test_lfw_without_its_files(lfw):
    with pytest.raises(PortraitError, match="can't be read .*vis-www.cs.umass.edu"):
        read_lfw(lfw / "lfw", lfw / "no.txt")
    with pytest.raises(PortraitError, match="11 pictures .* missing of 11"):
        read_lfw(lfw / "elsewhere", lfw / "pairs.txt")


@pytest.fixture
def cfp(tmp_path):
    """Three people in CFP's layout, two splits of each kind."""
    root, lists = tmp_path / "cfp-dataset", {"F": [], "P": []}
    for person in range(1, 4):
        for kind, count, letter in (("frontal", 10, "F"), ("profile", 4, "P")):
            for k in range(1, count + 1):
                touch(root / f"Data/Images/{person:03d}/{kind}/{k:02d}.jpg")
                lists[letter].append(f"../Data/Images/{person:03d}/{kind}/{k:02d}.jpg")
    for letter, names in lists.items():
        path = root / f"Protocol/Pair_list_{letter}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"{k} {name}\n" for k, name in enumerate(names, 1)))
    for kind, same, different in (("FF", "1,2\n11,12\n", "1,11\n3,30\n"), ("FP", "1,1\n11,5\n", "1,5\n3,12\n")):
        for split in ("01", "02"):
            folder = root / "Protocol/Split" / kind / split
            folder.mkdir(parents=True)
            (folder / "same.txt").write_text(same)
            (folder / "diff.txt").write_text(different)
    return root


def test_cfp(cfp):
    name = lambda pairs, row: "/".join(pairs.files[row].parts[-3:])  # noqa: E731
    frontal = read_cfp(cfp, "FF")
    assert frontal.same.tolist() == [True, True, False, False] * 2 and frontal.folds.tolist() == [0] * 4 + [1] * 4
    assert name(frontal, frontal.second[3]) == "003/frontal/10.jpg"
    profile = read_cfp(cfp, "FP")
    assert [name(profile, r) for r in profile.first[:2]] == ["001/frontal/01.jpg", "002/frontal/01.jpg"]
    assert [name(profile, r) for r in profile.second[:4]] == [
        "001/profile/01.jpg", "002/profile/01.jpg", "002/profile/01.jpg", "003/profile/04.jpg"
    ]  # fmt: skip


def test_cfp_that_is_not_whole(cfp):
    for k in range(1, 5):
        (cfp / f"Data/Images/001/profile/{k:02d}.jpg").unlink()
    with pytest.raises(PortraitError, match="1 picture .*001/profile/01.jpg.* missing .*cfpw.io"):
        read_cfp(cfp, "FP")
    (cfp / "Protocol/Split/FF/02/diff.txt").write_text("1,11\n1,31\n")
    with pytest.raises(PortraitError, match="diff.txt' line 2: expected two numbers of the lists"):
        read_cfp(cfp, "FF")
    (cfp / "Protocol/Pair_list_F.txt").write_text("one two\n")
    with pytest.raises(PortraitError, match="Pair_list_F.txt' line 1"):
        read_cfp(cfp, "FF")
    with pytest.raises(PortraitError, match="Pair_list_F.txt': can't be read"):
        read_cfp(cfp / "Data", "FF")


def test_all_missing_pictures_are_named_unless_none_is_there(tmp_path):
    lines = [f"a/{k}.jpg,b/{k}.jpg,{k % 2},{k // 10}" for k in range(30)]
    (tmp_path / "pairs.csv").write_text("\n".join(["file_a,file_b,same,fold", *lines]) + "\n")
    with pytest.raises(PortraitError, match="none of its 60 pictures is there") as error:
        read_pairs_csv(tmp_path, tmp_path / "pairs.csv")
    assert str(error.value).count(".jpg") == 1
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "7.jpg").touch()
    with pytest.raises(PortraitError, match="59 pictures") as error:
        read_pairs_csv(tmp_path, tmp_path / "pairs.csv")
    for k in range(30):
        assert (f"a/{k}.jpg" in str(error.value)) == (k != 7) and f"b/{k}.jpg" in str(error.value)
    assert "\n" not in str(error.value)


def test_pairs_as_csv(tmp_path):
    touch(*(tmp_path / f"{k}_MariaCallas_{k}_f.jpg" for k in range(4)))
    rows = ["file_a,file_b,same,fold", "0_MariaCallas_0_f.jpg,1_MariaCallas_1_f.jpg,1,0"]
    rows += ["2_MariaCallas_2_f.jpg,3_MariaCallas_3_f.jpg,0,7"]
    path = tmp_path / "pairs.csv"
    path.write_text("\n".join(rows))
    pairs = read_pairs_csv(tmp_path, path)
    assert pairs.same.tolist() == [True, False] and pairs.folds.tolist() == [0, 7]
    path.write_text("\n".join(rows[:2]))
    with pytest.raises(PortraitError, match="one kind only"):
        read_pairs_csv(tmp_path, path)
    path.write_text("\n".join(rows).replace(",1,0", ",yes,0"))
    with pytest.raises(PortraitError, match="line 2: can't be used"):
        read_pairs_csv(tmp_path, path)
    path.write_text("left,right,same\na,b,1\n")
    with pytest.raises(PortraitError, match="has the columns 'left, right, same'"):
        read_pairs_csv(tmp_path, path)


def test_ijb(tmp_path):
    touch(*(tmp_path / "loose_crop" / f"{k}.jpg" for k in (1, 2, 3)))
    templates, pairs = tmp_path / "ijbc_face_tid_mid.txt", tmp_path / "ijbc_template_pair_label.txt"
    templates.write_text("1.jpg 1 69544\n2.jpg 1 3720\n3.jpg 11065 9\n")
    pairs.write_text("1 11065 1\n1 1 0\n")
    lists = read_ijb(tmp_path / "loose_crop", templates, pairs)
    assert lists.templates.tolist() == [1, 1, 11065] and lists.media.tolist() == [69544, 3720, 9]
    assert (lists.first.tolist(), lists.second.tolist()) == ([1, 1], [11065, 1])
    assert lists.same.tolist() == [True, False]
    assert np.array_equal([f.name for f in lists.files], ["1.jpg", "2.jpg", "3.jpg"])
    pairs.write_text("1 11066 1\n")
    with pytest.raises(PortraitError, match=r"1 template \(11066\) not in"):
        read_ijb(tmp_path / "loose_crop", templates, pairs)
    pairs.write_text("1 11065 2\n")
    with pytest.raises(PortraitError, match="line 1: expected 'template template"):
        read_ijb(tmp_path / "loose_crop", templates, pairs)
    pairs.write_text("1 11065 1\n")
    with pytest.raises(PortraitError, match="3 pictures .* missing of 3"):
        read_ijb(tmp_path, templates, pairs)
