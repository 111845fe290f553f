"""Data sets in the standard layout, good and bad, and pairs by yaw from them."""

import shutil

import numpy as np
import pytest
import torch

from foundation.errors import PortraitError
from recognition.folder import listed, read_folder
from recognition.pictures import Pictures, prepare, read_picture, unreadable
from recognition.poses import USUAL, gallery_and_probes, pose_pairs
from tests.recognition.conftest import SIZE, YAWS, draw_person, write_people


@pytest.fixture
def small(tmp_path):
    return write_people(tmp_path / "set", 3)


def test_a_folder_is_read_with_its_metadata(people):
    folder = read_folder(people)
    assert len(folder) == 12 * len(YAWS) and folder.identities[:2] == ("person_00", "person_01")
    assert folder.files[9] == "person_01/1.png" and folder.labels[9] == 1 and folder.yaw[9] == YAWS[1]
    assert (folder.counts == len(YAWS)).all()
    test = folder.of_split("test")
    assert set(test.splits) == {"test"} and len(test) == len(folder) // 2
    assert sorted(set(test.yaw.tolist())) == sorted(YAWS[1::2])


def test_metadata_may_be_absent(small):
    (small / "metadata.csv").unlink()
    folder = read_folder(small)
    assert len(folder) == 3 * len(YAWS) and np.isnan(folder.yaw).all() and set(folder.splits) == {""}


def test_labels_run_from_zero_when_people_are_left_out(small):
    for k in range(1, len(YAWS)):
        (small / "person_01" / f"{k}.png").unlink()
    (small / "metadata.csv").unlink()
    folder = read_folder(small)
    assert folder.counts.tolist() == [8, 1, 8]
    left = folder.at_least(2)
    assert left.identities == ("person_00", "person_02") and set(left.labels.tolist()) == {0, 1}
    with pytest.raises(PortraitError, match="no picture is left"):
        folder.at_least(9)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda text: text.replace("file,identity", "path,person"), "needs the columns file and identity, has path"),
        (lambda text: text.replace("person_01/3.png,person_01", "person_01/3.png,person_02"), "says 'person_02'"),
        (lambda text: text + "person_00/0.png,person_00,0,0,0,0,train\n", "stands there twice"),
        (lambda text: text + "person_00/99.png,person_00,0,0,0,0,train\n", r"1 picture \(person_00/99.png\) not in"),
        (lambda text: text.replace("person_00,-40", "person_00,left"), "yaw is 'left'"),
        (lambda text: text.replace("person_00,-40", "person_00,400"), "from -180 to 180"),
        (lambda text: text.encode("utf-16"), "UTF-8"),
    ],
)
def test_metadata_that_does_not_fit_is_refused(small, change, message):
    path = small / "metadata.csv"
    changed = change(path.read_text())
    path.write_bytes(changed if isinstance(changed, bytes) else changed.encode())
    with pytest.raises(PortraitError, match=message):
        read_folder(small)


def test_folders_that_are_no_data_set(tmp_path, small):
    with pytest.raises(PortraitError, match="no such folder"):
        read_folder(tmp_path / "nowhere")
    (tmp_path / "empty" / "person").mkdir(parents=True)
    with pytest.raises(PortraitError, match="one folder an identity"):
        read_folder(tmp_path / "empty")
    with pytest.raises(PortraitError, match="lie in the folder itself"):
        read_folder(shutil.copytree(small / "person_00", tmp_path / "flat"))
    with pytest.raises(PortraitError, match="split 'valid': .* has test, train"):
        read_folder(small).of_split("valid")


def test_what_a_stopped_run_left_is_nobody(small):
    (small / "person_02").rename(small / "person_02.partial")
    (small / "metadata.csv").unlink()
    assert read_folder(small).identities == ("person_00", "person_01")


def test_long_lists_are_counted():
    text = listed([str(k) for k in range(30)], "picture")
    assert text.startswith("30 pictures (0, 1, ") and text.endswith("19, ...)")
    assert listed(["a"], "picture") == "1 picture (a)"


def test_corrupt_pictures_are_found_by_name_among_many(tmp_path, small):
    good, bad = small / "person_00" / "0.png", tmp_path / "bad"
    bad.mkdir()
    (bad / "text.png").write_text("no picture")
    (bad / "empty.png").touch()
    (bad / "cut.png").write_bytes(good.read_bytes()[:60])
    files = [good] * 9985 + [bad / "text.png"] + [good] * 11 + [bad / "empty.png", bad / "cut.png", bad / "gone.png"]
    told = []
    assert unreadable(files, told.append) == [9985, 9997, 9998, 9999]
    assert (told[-1].done, told[-1].total, told[-1].unit) == (len(files), len(files), "pictures")


def test_pictures_are_scaled_as_sphereface_has_it_and_mirrored(small):
    picture = read_picture(small / "person_00" / "0.png")
    assert np.array_equal(picture[..., ::-1], draw_person(0, 0))  # written as BGR, read as RGB
    tensor = prepare(picture, SIZE, SIZE)
    np.testing.assert_allclose(tensor.numpy(), (picture.transpose(2, 0, 1) - 127.5) / 128, rtol=1e-6)
    assert torch.equal(prepare(picture, SIZE, SIZE, mirrored=True), tensor.flip(2))
    smaller = prepare(picture, SIZE // 2, SIZE // 2)
    means = tensor.reshape(3, SIZE // 2, 2, SIZE // 2, 2).mean((2, 4))
    assert (smaller - means).abs().max() < 0.01
    data = Pictures([small / "person_00" / "0.png"], np.array([4]), np.array([30.0]), SIZE, 16)
    image, label, yaw = data[0, False]
    assert image.shape == (3, SIZE, 16) and (label, yaw) == (4, 30)
    (small / "person_00" / "0.png").write_text("gone bad")
    with pytest.raises(PortraitError, match="can't now"):
        data[0, False]


@pytest.mark.parametrize("low, high", USUAL.bins)
def test_pairs_by_yaw_are_frontal_against_turned_within_a_fold(people, low, high):
    folder = read_folder(people)
    pairs = pose_pairs(folder, low, high)
    turn = np.abs(folder.yaw)
    assert (turn[pairs.first] <= 15).all()
    assert ((turn[pairs.second] > low) & (turn[pairs.second] <= high)).all()
    assert np.array_equal(folder.labels[pairs.first] == folder.labels[pairs.second], pairs.same)
    assert pairs.same.sum() == (~pairs.same).sum() > 0
    fold_of = {}
    for side in (pairs.first, pairs.second):
        for label, fold in zip(folder.labels[side], pairs.folds):
            assert fold_of.setdefault(label, fold) == fold
    assert len(set(pairs.folds.tolist())) == 6
    again = pose_pairs(folder, low, high)
    assert np.array_equal(again.first, pairs.first) and np.array_equal(again.second, pairs.second)


def test_every_pair_of_one_person_is_used_where_there_is_room(people):
    folder = read_folder(people)
    pairs = pose_pairs(folder, 45, 60)  # 3 frontal x 1 turned picture a person; others' are as many
    assert pairs.same.sum() == 12 * 3
    assert len({(a, b) for a, b in zip(pairs.first, pairs.second)}) == len(pairs.first)


def test_bins_without_pairs_and_data_without_yaw(people, small):
    folder = read_folder(people)
    assert pose_pairs(folder.where(np.abs(folder.yaw) < 50), 45, 60) is None
    with pytest.raises(PortraitError, match="3 identities; folds need four"):
        pose_pairs(read_folder(small), 45, 60)
    (small / "metadata.csv").unlink()
    with pytest.raises(PortraitError, match="no yaw"):
        pose_pairs(read_folder(small), 45, 60)


def test_the_gallery_has_each_person_s_most_frontal_picture(people):
    folder = read_folder(people)
    gallery, probes = gallery_and_probes(folder, 60, 75)
    assert (folder.yaw[gallery] == 0).all() and len(gallery) == 12
    assert (folder.yaw[probes] == 70).all() and len(probes) == 12
    gallery, _ = gallery_and_probes(folder.where(folder.yaw != 0), 60, 75)
    assert (folder.where(folder.yaw != 0).yaw[gallery] == -5).all()
    turned = folder.where((folder.labels > 0) | (np.abs(folder.yaw) > 20))
    gallery, probes = gallery_and_probes(turned, 60, 75)
    assert 0 not in turned.labels[gallery] and 0 not in turned.labels[probes]
