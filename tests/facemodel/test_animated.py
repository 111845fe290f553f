"""Whole clips, written in every format and read again: by other libraries where there are such, by hand otherwise."""

import copy
import csv
import json
import subprocess
from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh

from facemodel import PortraitError
from facemodel.export.animated.base import ANIMATED, Performance, export_animation, format_of
from facemodel.export.animated.rig import rig_of
from facemodel.export.gltf_reading import Gltf
from tests.facemodel.animated import ROOT, clip_of, flame_model, flat_pictures, node_modules
from tests.facemodel.clips import make_track, small_model

FLAME_ONLY = ("vhap", "metrical-tracker")
ENDS = {"arkit": ".csv", "openface": ".csv", "mediapipe": ".json"}


@pytest.fixture(scope="module")
def flame(tmp_path_factory):
    return flame_model(tmp_path_factory.mktemp("flame"), "FLAME, open")[0]


@pytest.fixture(scope="module")
def clips(model, flame):
    small = small_model()
    return {"default": clip_of(model), "small": clip_of(small), "flame": clip_of(flame)}


def end_of(name):
    form = ANIMATED[name]
    return "" if form.folder is not None else ENDS.get(name) or form.suffixes[0]


def write(clip, folder, name):
    if name.startswith("usd"):
        pytest.importorskip("pxr", reason="usd-core isn't installed")
    return export_animation(clip, folder / f"face{end_of(name)}", name)


@pytest.mark.parametrize("name", ANIMATED.names())
@pytest.mark.parametrize("kind", ["default", "small", "flame"])
def test_what_was_written_is_the_clip(clips, tmp_path, name, kind):
    clip = clips[kind]
    if name in FLAME_ONLY and kind != "flame":
        with pytest.raises(PortraitError, match="isn't FLAME"):
            write(clip, tmp_path, name)
        assert list(tmp_path.iterdir()) == []
        return
    path, _ = write(clip, tmp_path, name)
    found = ANIMATED[name].check(clip, path)
    assert (found.mm or 0) < 3e-4 and (found.px or 0) < 3e-4 and (found.value or 0) < 1e-7, found
    assert found.frames in (len(clip.track), len(clip.faces)) and found.frames > 0
    assert not [p for p in tmp_path.rglob("*") if ".partial" in p.name]


@pytest.mark.parametrize("name", [n for n in ANIMATED.names() if n not in ENDS])
def test_a_check_fails_where_the_clip_is_another(clips, tmp_path, name):
    """By 0.1 mm, of every vertex: less than anybody sees."""
    clip = clips["flame"]
    path, _ = write(clip, tmp_path, name)
    p = clip.track.parameters
    moved = clip.track.with_parameters(p.replace(translation=p.translation + torch.tensor([0.1, 0.0, 0.0])))
    other = Performance(moved, clip.model, clip.texture, pictures=flat_pictures)
    found = ANIMATED[name].check(other, path)
    assert (found.px if name in ("obj", "ply", "pc2", "insta") else found.mm) > 0.01, found


@pytest.fixture(scope="module")
def glb(clips, tmp_path_factory):
    return Gltf(write(clips["default"], tmp_path_factory.mktemp("glb"), "glb")[0].read_bytes())


def test_a_glb_has_what_engines_look_for(glb, clips):
    clip, mesh = clips["default"], glb.table["meshes"][0]
    assert mesh["extras"]["targetNames"] == list(clip.model.expression_names)
    assert {"face", "head", "leftEye", "rightEye", "camera"} == {n["name"] for n in glb.table["nodes"]}
    paths = [(c["target"]["node"], c["target"]["path"]) for c in glb.table["animations"][0]["channels"]]
    names = {(glb.table["nodes"][n]["name"], p) for n, p in paths}
    eyes = {("leftEye", "rotation"), ("rightEye", "rotation")}
    assert names == {("face", "weights"), ("head", "translation"), ("head", "rotation")} | eyes
    np.testing.assert_allclose(glb.times, clip.seconds, atol=1e-7)
    camera = glb.node("camera")
    focal = float(clip.track.parameters.focal)
    assert camera["extras"] == {"fx": focal, "fy": focal, "cx": 320.0, "cy": 240.0, "width": 640, "height": 480}
    seen = glb.table["cameras"][0]["perspective"]
    assert np.isclose(np.tan(seen["yfov"] / 2), 240 / focal) and np.isclose(seen["aspectRatio"], 640 / 480)
    assert glb.table["asset"]["extras"]["frames_without_face"] == [1]
    for accessor in glb.table["accessors"]:
        if "min" in accessor:
            values = glb.array(glb.table["accessors"].index(accessor))
            np.testing.assert_array_equal([values.min(0), values.max(0)], [accessor["min"], accessor["max"]])


def test_a_long_turn_takes_the_short_way(model):
    """Quaternions of frames that follow each other lie on one side, so that what is between them does."""
    from facemodel.export.animated.glb import quaternions
    from geometry.rotation import rotation_matrix

    turns = torch.linspace(0, 12, 50, dtype=torch.float64)[:, None] * torch.tensor([0.0, 1.0, 0.2], dtype=torch.float64)
    found = quaternions(rotation_matrix(turns).numpy())
    assert ((found[1:] * found[:-1]).sum(-1) > 0.9).all()
    np.testing.assert_allclose(np.linalg.norm(found, axis=-1), 1)


@pytest.mark.parametrize("kind, textured", [("default", True), ("default", False), ("flame", False), ("small", False)])
def test_gltf_validator_and_three_agree(clips, tmp_path, kind, textured):
    modules = node_modules()
    if modules is None:
        pytest.skip("no node with gltf-validator and three: npm install gltf-validator three, NODE_MODULES names them")
    clip = replace(clips[kind], texture=np.full((32, 32, 3), 90, np.uint8) if textured else None, unlit=textured)
    path, _ = write(clip, tmp_path, "glb")
    # three has no pictures in node, so that a textured file is only validated
    times = [] if textured else [repr(float(t)) for t in clip.seconds]
    command = ["node", ROOT / "benchmarks" / "gltf.mjs", modules, path, *times]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)
    assert found["issues"]["numErrors"] == found["issues"]["numWarnings"] == 0, found["issues"]["messages"]
    if times:
        source = Gltf(path.read_bytes()).array(0)
        rotation, translation = clip.poses
        assert len(found["vertices"][0]) == 3 * len(source)
        for k, (flat, vertices) in enumerate(zip(found["vertices"], clip.vertices())):
            seen = 1000 * np.reshape(flat, (-1, 3)) * (1, -1, -1)
            wanted = vertices @ rotation[k].T + translation[k]
            nearest = np.linalg.norm(seen[:50, None] - wanted, axis=-1).min(1)  # shared vertices may have been split
            assert nearest.max() < 3e-4


def test_the_rig_of_a_model_that_is_not_linear_is_refused(model):
    class Bent(type(model)):
        def vertices(self, identity=None, expression=None, gaze=None, joints=None):
            found = super().vertices(identity, expression, gaze, joints)
            return found if expression is None else found + 5 * expression[..., :1, None] ** 2

    clip = clip_of(model)
    bent = replace(clip, model=Bent.__new__(Bent))
    bent.model.__dict__.update(model.__dict__)
    with pytest.raises(PortraitError, match="isn't linear in its expression.*--format obj"):
        rig_of(bent)


def test_sequences_are_numbered_from_one_and_keep_the_order_of_points(clips, tmp_path):
    clip = replace(clips["default"], texture=np.full((16, 16, 3), 90, np.uint8))
    path, _ = export_animation(clip, tmp_path / "talk.obj")
    assert path == tmp_path / "talk"
    names = sorted(p.name for p in path.iterdir())
    assert names == ["cameras.json", "export.json", "face.000001.obj", "face.000002.obj", "face.000003.obj",
                     "face.000004.obj", "face.albedo.png", "face.mtl"]  # fmt: skip
    units = json.loads((path / "export.json").read_text())
    assert units["units"] == "millimetres" and "y up" in units["axes"] and units["frames_without_face"] == [1]
    mesh = trimesh.load(path / "face.000004.obj", force="mesh", process=False, maintain_order=True)
    assert (mesh.faces == clip.model.triangles.numpy()).all()
    cache, _ = export_animation(clip, tmp_path / "talk.pc2")
    assert cache.read_bytes()[:12] == b"POINTCACHE2\0" and (tmp_path / "talk.cameras.json").is_file()
    first = (tmp_path / "talk.obj").read_text().splitlines()
    points = np.array([line.split()[1:4] for line in first if line.startswith("v ")], float)
    np.testing.assert_allclose(points, next(clip.vertices([0])), atol=1e-5)


def test_data_sets_leave_out_frames_without_a_face(clips, tmp_path):
    path, _ = write(clips["default"], tmp_path, "nerfstudio")
    table = json.loads((path / "transforms.json").read_text())
    assert [f["frame"] for f in table["frames"]] == [1, 3, 4]
    assert sorted(p.name for p in (path / "images").iterdir()) == [f"frame_0000{k}.png" for k in (1, 3, 4)]


def test_vhap_s_folder_is_what_its_reader_reads(clips, tmp_path):
    path, notes = write(clips["flame"], tmp_path, "vhap")
    tables = {e: json.loads((path / f"transforms{e}.json").read_text()) for e in ("", "_train", "_val", "_test")}
    counts = {e: len(t["frames"]) for e, t in tables.items()}
    assert counts == {"": 3, "_train": 3, "_val": 0, "_test": 0}
    frame = tables[""]["frames"][1]
    assert (frame["timestep_index"], frame["timestep_index_original"], frame["camera_index"]) == (1, 2, 0)
    with np.load(path / frame["flame_param_path"], allow_pickle=False) as file:
        shapes = {n: file[n].shape for n in file.files if file[n].dtype == np.float32}
    vertices = len(clips["flame"].model.mean)
    assert shapes == {"rotation": (1, 3), "neck_pose": (1, 3), "jaw_pose": (1, 3), "eyes_pose": (1, 6),
                      "translation": (1, 3), "shape": (300,), "expr": (1, 100),
                      "static_offset": (1, vertices + 120, 3)}  # fmt: skip
    with np.load(path / "canonical_flame_param.npz") as file:
        np.testing.assert_allclose(file["jaw_pose"], [[0.3, 0, 0]])
    assert "eyelids" in notes[0]
    translations = [np.load(path / f["flame_param_path"])["translation"] for f in tables[""]["frames"]]
    np.testing.assert_allclose(np.mean(translations, 0), 0, atol=1e-6)


def test_shapes_that_only_this_project_s_flame_has_are_refused(clips, tmp_path):
    """Those that a model was given at its import: others would see another face."""
    clip = clips["flame"]
    given = copy.copy(clip.model)
    given.provenance = replace(clip.model.provenance, own_expressions=100)
    for name in FLAME_ONLY:
        with pytest.raises(PortraitError, match="moves by 2 shapes .*eyeBlinkLeft.*portrait model convert"):
            write(replace(clip, model=given), tmp_path, name)
    assert list(tmp_path.iterdir()) == []


def test_vhap_s_numbers_by_flame_s_own_formula(tmp_path):
    """The authors' forward, in numpy, from the arrays as they went into the model's file; root rotation by hand."""
    (tmp_path / "model").mkdir()
    flame, written = flame_model(tmp_path / "model")
    clip = clip_of(flame)
    path, _ = export_animation(clip, tmp_path / "vhap", "vhap")
    rotation, translation = clip.poses
    for frame in json.loads((path / "transforms.json").read_text())["frames"]:
        with np.load(path / frame["flame_param_path"]) as file:
            a = {n: file[n].astype(float) for n in ("shape", "expr", "neck_pose", "jaw_pose", "eyes_pose", "rotation",
                                                    "translation")}  # fmt: skip
        k = frame["timestep_index_original"]
        gaze = clip.parameters.gaze[k].double().numpy()
        joints = np.concatenate([a["neck_pose"][0], a["jaw_pose"][0]])
        still = written.evaluate(a["shape"], a["expr"][0], joints, gaze) / 1000
        root = flame.rest_joints(*(torch.from_numpy(a[n].ravel()).float() for n in ("shape", "expr")))[0].numpy() / 1000
        turn = torch.linalg.matrix_exp(torch.from_numpy(np.cross(np.eye(3), a["rotation"][0]))).numpy()
        placed = (still - root) @ turn.T + root + a["translation"][0]
        seen = 1000 * (placed - np.array(frame["transform_matrix"])[:3, 3]) * (1, -1, -1)
        wanted = next(clip.vertices([k])) @ rotation[k].T + translation[k]
        assert np.linalg.norm(seen - wanted, axis=-1).max() < 1e-3


def test_metrical_tracker_s_frame_is_plain_and_its_two_cameras_agree(clips, tmp_path):
    """Its PyTorch3D camera, evaluated by PyTorch3D, and its OpenCV one, see the same."""
    cameras = pytest.importorskip("pytorch3d.renderer.cameras")
    path, notes = write(clips["flame"], tmp_path, "metrical-tracker")
    assert "neck" in notes[0]
    frame = torch.load(path / "checkpoint" / "00002.frame", weights_only=True)
    assert {k: tuple(v.shape) for k, v in frame["flame"].items()} == {
        "exp": (1, 100), "shape": (1, 300), "tex": (1, 140), "sh": (1, 9, 3), "eyes": (1, 12), "eyelids": (1, 2),
        "jaw": (1, 6),
    }  # fmt: skip
    assert frame["img_size"].tolist() == [512, 512] and frame["frame_id"] == "00002"
    c, cv = frame["camera"], frame["opencv"]
    points = torch.randn(1, 20, 3) * 0.1
    theirs = cameras.PerspectiveCameras(
        R=c["R"], T=c["t"], focal_length=c["fl"], principal_point=c["pp"], image_size=frame["img_size"][None]
    )
    screen = theirs.transform_points_screen(points, image_size=((512, 512),))[0, :, :2]
    seen = points[0] @ cv["R"][0].T + cv["t"][0]
    pixels = (seen @ cv["K"][0].T)[:, :2] / seen[:, 2:]
    np.testing.assert_allclose(screen, pixels, atol=1e-2)


def test_insta_s_splits_and_tables(clips, tmp_path):
    clip = clip_of(small_model(), frames=12)
    path, notes = write(clip, tmp_path, "insta")
    counts = {e: len(json.loads((path / f"transforms{e}.json").read_text())["frames"]) for e in ("", "_train", "_test")}
    assert counts == {"": 11, "_train": 8, "_test": 3} and "52 expressions" in notes[0]
    expression = np.loadtxt(path / "flame" / "exp" / "00002.txt")
    np.testing.assert_allclose(expression, clip.parameters.expression[2], atol=1e-6)
    assert (path / "canonical.obj").is_file()


def test_usd_says_its_units_and_frames(clips, tmp_path):
    pxr = pytest.importorskip("pxr.Usd", reason="usd-core isn't installed")
    from pxr import UsdGeom

    path, _ = write(clips["default"], tmp_path, "usda")
    stage = pxr.Stage.Open(str(path))
    assert UsdGeom.GetStageMetersPerUnit(stage) == 0.001 and UsdGeom.GetStageUpAxis(stage) == "Y"
    assert (stage.GetStartTimeCode(), stage.GetEndTimeCode(), stage.GetTimeCodesPerSecond()) == (0, 3, 25)
    names = stage.GetPrimAtPath("/face/animation").GetAttribute("blendShapes").Get()
    assert list(names) == list(clips["default"].model.expression_names)


def test_csv_has_its_units_beside_it(clips, tmp_path):
    path, _ = write(clips["default"], tmp_path, "openface")
    about = json.loads((tmp_path / "face.about.json").read_text())
    assert "millimetres" in about["units"] and about["frames_without_face"] == [1]
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [r["success"] for r in rows] == ["1", "0", "1", "1"]


def test_bad_input(clips, tmp_path, model):
    clip = clips["default"]
    listing = "expected a name ending in .+glb.+usdz.+--format with one of .+nerfstudio"
    for name in ("face", "face.xyz", "face.fbx", ".glb"):
        with pytest.raises(PortraitError, match=listing):
            export_animation(clip, tmp_path / name)
    with pytest.raises(PortraitError, match="see docs/export.md"):
        format_of(tmp_path / "a.fbx")
    with pytest.raises(PortraitError, match="--format 'gltf': expected one of"):
        export_animation(clip, tmp_path / "a", "gltf")
    with pytest.raises(PortraitError, match="add --video"):
        export_animation(replace(clip, pictures=None), tmp_path / "a", "colmap")
    with pytest.raises(PortraitError, match="fitted with model"):
        export_animation(replace(clip, track=replace(clip.track, fingerprint="x")), tmp_path / "a.glb")
    nobody = replace(clip, track=make_track(model, 3, status=[0, 0, 0]))
    with pytest.raises(PortraitError, match="no frame has a face"):
        export_animation(nobody, tmp_path / "a.glb")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("kept")
    with pytest.raises(PortraitError, match="has other files in it"):
        export_animation(clip, tmp_path / "mine", "obj")
    assert (tmp_path / "mine" / "notes.txt").read_text() == "kept"


def test_nothing_is_left_half_written(clips, tmp_path):
    def breaks(frames, window, matte):
        yield from flat_pictures(frames[:1], window, matte)
        raise PortraitError("video: ends early")

    path, _ = write(clips["default"], tmp_path, "nerfstudio")
    before = sorted(p.name for p in path.rglob("*"))
    with pytest.raises(PortraitError, match="ends early"):
        write(replace(clips["default"], pictures=breaks), tmp_path, "nerfstudio")
    assert sorted(p.name for p in path.rglob("*")) == before and [p.name for p in tmp_path.iterdir()] == ["face"]
    write(clips["default"], tmp_path, "nerfstudio")  # its own folder is replaced
    assert sorted(p.name for p in path.rglob("*")) == before


def test_pictures_are_asked_for_one_at_a_time(clips, tmp_path):
    """So that memory doesn't grow with the clip."""
    alive, most = [], []

    def counted(frames, window, matte):
        import weakref

        for picture in flat_pictures(frames, window, matte):
            alive.append(weakref.ref(picture))
            most.append(sum(r() is not None for r in alive))
            yield picture
            del picture

    clip = clip_of(small_model(), frames=30)
    write(replace(clip, pictures=counted), tmp_path, "nerfstudio")
    assert len(most) == 29 and max(most) <= 2


def test_an_animated_exporter_is_one_file(clips, tmp_path):
    from facemodel.export.animated.base import Animated, Checked

    def points(clip, path, report):
        path.write_text("\n".join(f"{v[0, 0]:.6f}" for v in clip.vertices()))
        return ()

    ANIMATED.add("xyz", Animated("points", points, lambda clip, path: Checked("nobody"), (".xyz",)))
    try:
        export_animation(clips["small"], tmp_path / "a.xyz")
    finally:
        ANIMATED.remove("xyz")
    wanted = [v[0, 0] for v in clips["small"].vertices()]
    np.testing.assert_allclose(np.loadtxt(tmp_path / "a.xyz"), wanted, atol=1e-5)
