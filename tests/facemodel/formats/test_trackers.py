"""Files of other projects' trackers, made here in their forms, as tracks."""

import pickle

import numpy as np
import pytest
import scipy.io
import torch

from facemodel import PortraitError
from facemodel.export.animated.base import export_animation
from facemodel.export.flame_parameters import write_flame_parameters
from facemodel.flame_parameters import Flame, from_six, six, to_flame, to_parameters
from facemodel.formats.trackers.base import find_tracker, import_track
from geometry.camera import project, to_camera
from tests.facemodel.animated import clip_of, flame_model

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def flame(tmp_path_factory):
    return flame_model(tmp_path_factory.mktemp("flame"), "FLAME, open")[0]


@pytest.fixture(scope="module")
def clip(flame):
    return clip_of(flame)


def placed(model, track, frames):
    """(F, V, 3) mm before the camera, and their pixels."""
    p = track.parameters.expanded()[frames]
    vertices = to_camera(model.vertices(p.identity, p.expression, p.gaze, p.joints), p.rotation, p.translation)
    return vertices, project(vertices, track.camera)


def test_there_and_back(clip):
    flame = to_flame(clip.parameters, clip.model)
    p = to_parameters(flame, clip.model, float(clip.parameters.focal[0]))
    for name in ("identity", "expression", "rotation", "translation", "gaze", "joints"):
        wanted = getattr(clip.parameters, name)
        wanted = wanted[0] if name == "identity" else wanted
        torch.testing.assert_close(getattr(p, name), wanted, atol=2e-4, rtol=1e-5)


def test_six_numbers_are_rows_of_the_matrix():
    turns = RNG.normal(size=(5, 3))
    matrix = torch.linalg.matrix_exp(torch.from_numpy(np.cross(np.eye(3), turns[0]))).numpy()
    np.testing.assert_allclose(six(turns)[0], matrix[:2].ravel(), atol=1e-12)
    np.testing.assert_allclose(six(from_six(six(turns) * 2.0)), six(turns), atol=1e-9)  # of any length


@pytest.mark.parametrize("name", ["vhap", "metrical-tracker"])
def test_what_is_exported_is_imported(clip, flame, tmp_path, name):
    p = clip.track.parameters
    lids = [flame.arkit[n] for n in ("eyeBlinkLeft", "eyeBlinkRight")]
    joints = torch.cat([torch.zeros(len(clip.track), 3), p.joints[:, 3:]], 1)  # a tracker has no neck, VHAP no lids
    plain = p.replace(expression=p.expression.index_fill(1, torch.tensor(lids), 0.0), joints=joints)
    plain = type(clip)(clip.track.with_parameters(plain), flame, pictures=clip.pictures)
    path, _ = export_animation(plain, tmp_path / name, name)
    assert find_tracker(path) == name
    track, _ = import_track(path, flame)
    assert len(track) == 3
    for theirs, mine in zip(placed(flame, track, [0, 1, 2]), placed(flame, plain.track, [0, 2, 3])):
        if name == "vhap" or theirs.shape[-1] == 3:  # a tracker's pixels are of its square pictures
            torch.testing.assert_close(theirs, mine, atol=2e-3, rtol=0)


def test_vhap_s_tracked_parameters(flame, tmp_path):
    frames = 3
    values = {"rotation": RNG.normal(size=(frames, 3)) * 0.2, "translation": np.tile([[0.0, 0.1, 0.2]], (frames, 1)),
              "neck_pose": np.zeros((frames, 3)), "jaw_pose": np.full((frames, 3), 0.1),
              "eyes_pose": np.zeros((frames, 6)), "shape": RNG.normal(size=300), "expr": RNG.normal(size=(frames, 100)),
              "focal_length": np.array([2.0]), "image_size": np.array([400, 600]), "lights": np.zeros((9, 3)),
              "static_offset": np.full((1, 5143, 3), 0.001)}  # fmt: skip
    np.savez(tmp_path / "tracked_flame_params_30.npz", **values)
    track, found = import_track(tmp_path / "tracked_flame_params_30.npz", flame)
    assert (track.width, track.height, float(track.parameters.focal)) == (600, 400, 1200.0)
    assert "static_offset" in found.notes[0]
    # camera at (0, 0, 1), looking along -z: the root's joint is where FLAME's formula has it
    p = track.parameters.expanded()
    root = flame.rest_joints(p.identity, p.expression)[:, 0]
    seen = to_camera(root[:, None], p.rotation, p.translation)[:, 0]
    wanted = (root + 1000 * torch.tensor([0.0, 0.1, 0.2 - 1])) * torch.tensor([1.0, -1, -1])
    torch.testing.assert_close(seen, wanted, atol=1e-3, rtol=1e-5)
    del values["image_size"]
    np.savez(tmp_path / "b.npz", **values)
    with pytest.raises(PortraitError, match="expected 'image_size'"):
        import_track(tmp_path / "b.npz", flame)


def test_the_npz_of_a_conversion_is_imported(clip, flame, tmp_path):
    """What 'portrait model convert --npz' writes, with its eyelids and its rate."""
    write_flame_parameters(tmp_path / "a.npz", clip.track, flame)
    assert find_tracker(tmp_path / "a.npz") == "vhap"
    track, _ = import_track(tmp_path / "a.npz", flame)
    assert track.fps == pytest.approx(clip.track.fps)
    frames = list(range(len(track)))
    for theirs, mine in zip(placed(flame, track, frames), placed(flame, clip.track, frames)):
        torch.testing.assert_close(theirs, mine, atol=2e-3, rtol=0)


def coefficients(frames=1):
    return {"shape": RNG.normal(size=(frames, 100)), "exp": RNG.normal(size=(frames, 50)),
            "pose": RNG.normal(size=(frames, 6)) * 0.1, "cam": np.tile([[9.0, 0.02, -0.03]], (frames, 1)),
            "tex": np.zeros((frames, 50)), "light": np.zeros((frames, 9, 3))}  # fmt: skip


def save(folder, form, values):
    path = folder / f"a.{form}"
    if form == "npz":
        np.savez(path, **values)
    elif form == "npy":
        np.save(path, values)
    elif form == "mat":
        scipy.io.savemat(path, values)
    else:
        path.write_bytes(pickle.dumps(values, protocol=4))
    return path


@pytest.mark.parametrize("form", ["npz", "npy", "mat", "pkl"])
def test_deca_s_weak_perspective(flame, tmp_path, form):
    values = coefficients(2)
    path = save(tmp_path, form, values)
    assert find_tracker(path) == "deca"
    track, found = import_track(path, flame)
    assert (track.width, track.height, len(track)) == (224, 224, 2) and "crop of 224 x 224" in found.notes[0]
    # DECA's batch_orth_proj, with y flipped, of FLAME's vertices turned about the root's joint
    p = track.parameters.expanded()[0]
    still = flame.vertices(p.identity, p.expression, None, p.joints).double() / 1000
    root = flame.rest_joints(p.identity, p.expression)[0].double() / 1000
    turn = torch.linalg.matrix_exp(torch.from_numpy(np.cross(np.eye(3), values["pose"][0, :3])))
    vertices = (still - root) @ turn.T + root
    s, x, y = values["cam"][0]
    pixels = 112 * (1 + s * torch.stack([vertices[:, 0] + x, -(vertices[:, 1] + y)], -1))
    _, seen = placed(flame, track, [0])
    assert (seen[0] - pixels).norm(dim=-1).max() < 1.5  # of 224; a perspective one would be 10 off
    np.testing.assert_allclose(p.expression[:50], values["exp"][0], atol=1e-6)
    assert (p.expression[50:] == 0).all()
    np.testing.assert_allclose(p.joints, [0, 0, 0, *values["pose"][0, 3:]], atol=1e-6)
    np.testing.assert_allclose(p.identity[:100], values["shape"].mean(0), atol=1e-6)


def test_emoca_s_folders_in_the_order_of_their_numbers(flame, tmp_path):
    for k in (0, 1, 2, 10):
        folder = tmp_path / f"frame{k}_00"
        folder.mkdir()
        values = {n: v[0] for n, v in coefficients().items() if n != "cam"} | {"exp": np.full(50, k / 100)}
        for name, value in values.items():
            np.save(folder / f"{name}.npy", value)
    assert find_tracker(tmp_path) == "emoca"
    track, found = import_track(tmp_path, flame)
    np.testing.assert_allclose(track.parameters.expression[:, 0], [0, 0.01, 0.02, 0.1], atol=1e-7)
    assert "without 'cam'" in found.notes[1]


def test_smirk_s_names_and_lids(flame, tmp_path):
    values = {"pose_params": np.zeros((1, 3)), "cam": np.array([[8.0, 0, 0]]), "shape_params": np.zeros((1, 300)),
              "expression_params": np.full((1, 50), 0.5), "eyelid_params": np.array([[0.25, 1.5]]),
              "jaw_params": np.array([[0.3, 0, 0]])}  # fmt: skip
    np.savez(tmp_path / "s.npz", **values)
    assert find_tracker(tmp_path / "s.npz") == "smirk"
    p = import_track(tmp_path / "s.npz", flame)[0].parameters
    lids = [float(p.expression[0, flame.arkit[f"eyeBlink{side}"]]) for side in ("Left", "Right")]
    assert lids == [0.25, 1.0] and float(p.joints[0, 3]) == pytest.approx(0.3)


def test_metrical_tracker_s_own_frames_have_numpy_in_them(clip, flame, tmp_path):
    path, _ = export_animation(clip, tmp_path / "m", "metrical-tracker")
    frame = torch.load(path / "checkpoint" / "00000.frame", weights_only=True)
    torch.save(frame | {"img_size": np.array([512, 512])}, path / "checkpoint" / "00000.frame")
    assert import_track(path, flame)[0].width == 512
    assert import_track(path / "checkpoint", flame)[0].height == 512


class Calls:
    def __reduce__(self):
        return (print, ("called",))


def test_hostile_files(flame, tmp_path, capsys):
    torch.save({"flame": Calls(), "opencv": {}, "img_size": 1}, tmp_path / "0.frame")
    with pytest.raises(PortraitError, match="can't be read as metrical-tracker's frame"):
        import_track(tmp_path / "0.frame", flame)
    values = coefficients() | {"exp": Calls()}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(values))
    assert find_tracker(tmp_path / "a.pkl") is None
    with pytest.raises(PortraitError):
        import_track(tmp_path / "a.pkl", flame, "deca")
    assert "called" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "change, message",
    [
        ({"exp": np.zeros((1, 101))}, "expression: expected at most 100 numbers"),
        ({"exp": np.full((1, 50), np.nan)}, "expression: expected finite numbers"),
        ({"pose": np.zeros((1, 5))}, "pose: expected 6 numbers"),
        ({"pose": np.zeros((3, 6)), "exp": np.zeros((2, 50))}, "pose: expected 2 rows, got 3"),
        ({"cam": np.zeros((1, 3))}, "cam: expected a scale above 0"),
    ],
)
def test_numbers_that_cannot_be(flame, tmp_path, change, message):
    np.savez(tmp_path / "a.npz", **(coefficients() | change))
    with pytest.raises(PortraitError, match=message):
        import_track(tmp_path / "a.npz", flame)


def test_a_folder_that_points_outside_of_itself(clip, flame, tmp_path):
    path, _ = export_animation(clip, tmp_path / "v", "vhap")
    text = (path / "transforms.json").read_text().replace("flame_param/00000.npz", "../../flame.npz")
    (path / "transforms.json").write_text(text)
    with pytest.raises(PortraitError, match="is outside of it"):
        import_track(path, flame)


def test_of_no_tracker(model, flame, tmp_path):
    (tmp_path / "a.txt").write_text("hello")
    with pytest.raises(PortraitError, match="expected files of .*VHAP.*DECA"):
        import_track(tmp_path / "a.txt", flame)
    np.savez(tmp_path / "a.npz", **coefficients())
    with pytest.raises(PortraitError, match="isn't FLAME"):
        import_track(tmp_path / "a.npz", model)


def test_a_shape_of_all_frames():
    one = Flame(np.ones(300), *(np.zeros((1, n)) for n in (100, 3, 3, 3, 3, 6, 2)))
    two = Flame(3 * np.ones(300), *(np.zeros((2, n)) for n in (100, 3, 3, 3, 3, 6, 2)))
    joined = Flame.joined([one, two])
    assert len(joined) == 3 and (joined.shape == 2).all()
