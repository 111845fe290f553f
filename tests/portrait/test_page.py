"""The editor page in a real browser: it draws what Python computes, plays, edits, saves, fits a phone."""

import base64
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

import facemodel
from benchmarks.browser import ARGUMENTS, browser, find, opened, why_not
from benchmarks.model_files import make_head, write_flame
from benchmarks.page import long_performance, max_error
from facemodel.editing.edits import smooth_track
from facemodel.editing.edits_file import apply_edits, parse_edits
from facemodel.importing import import_model
from facemodel.jointed import JointedModel
from portrait.page.document import document
from portrait.page.facts import model_content, track_content, with_texture
from portrait.page.pictures import small_pictures
from tests.extension.toy_model import ToyModel
from tests.facemodel.clips import make_track, small_model

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
NAME = "talk.track"
STATE = """(k) => {
  const s = portrait.performance.state(k);
  return [[...s.expression], [...s.gaze], s.rotation, [...s.translation], s.identity[0]];
}"""


@pytest.fixture(scope="module")
def started():
    with browser() as running:
        yield running


@pytest.fixture(scope="module")
def model():
    return facemodel.load()


@pytest.fixture(scope="module")
def track(model):
    return long_performance(model, 60)


@pytest.fixture(scope="module")
def page(track, model, tmp_path_factory):
    """A page with pictures, and a second track."""
    other = facemodel.edit(track, model, set={"jawOpen": 0.5})
    content = track_content(track, model, Path(NAME), against=(other, Path("other.track")))
    frame = np.zeros((track.height, track.width, 3), np.uint8)
    pictures = small_pictures((frame + np.uint8(4 * k) for k in range(60)), 60)
    path = tmp_path_factory.mktemp("page") / "look.html"
    path.write_text(document(content.facts, content.arrays, pictures), encoding="utf-8")
    return path


@pytest.fixture
def look(started, page):
    with opened(started, page, width=820, height=620) as found:
        found.run("portrait.setCompare('off')")
        yield found
        assert not found.errors and not found.requests


def pixels(look) -> np.ndarray:
    """The heads' canvas as it is now: (H, W, 4)."""
    data = look.run("(portrait.view.render(), portrait.stage.front.toDataURL())")
    return cv2.imdecode(np.frombuffer(base64.b64decode(data.partition(",")[2]), np.uint8), cv2.IMREAD_UNCHANGED)


def idle(look) -> None:
    """After what was asked for has been drawn."""
    look.run("async () => { for (let k = 0; k < 3; k++) await new Promise(requestAnimationFrame); }")


def test_vertices_are_pythons(look, model, track):
    assert max_error(look, model, track, [0, 20, 59]) < 1e-3
    look.run("portrait.setCompare('against')")
    wide = facemodel.edit(track, model, set={"jawOpen": 0.5})
    assert max_error(look, model, wide, [20], head=1) < 1e-3


def test_a_slider_moves_pixels_and_undo_puts_them_back(look):
    before = pixels(look)
    assert (before[..., 3] > 0).mean() > 0.05  # there is a head
    box = look.page.locator(".row", has_text="jawOpen").locator("input[type=range]")
    box.scroll_into_view_if_needed()
    box.fill("0.9")
    assert abs(look.run("portrait.performance.byId.get('expression jawOpen').values[0]") - 0.9) < 1e-6
    assert (np.abs(pixels(look).astype(int) - before) > 8).any(-1).sum() > 200
    look.page.keyboard.press("Escape")
    look.page.locator("#stage canvas.heads").focus()
    look.page.keyboard.press("Control+z")
    assert np.array_equal(pixels(look), before)
    look.page.keyboard.press("Control+Shift+z")
    assert not np.array_equal(pixels(look), before)


def test_it_plays_and_the_keyboard_works(look):
    frame = lambda: look.run("portrait.frame")  # noqa: E731
    look.page.keyboard.press("Space")
    look.until("portrait.frame > 0")
    look.page.keyboard.press("Space")
    assert not look.run("portrait.playing")
    look.page.keyboard.press("Home")
    for key, at in (("ArrowRight", 1), ("Shift+ArrowRight", 11), ("ArrowLeft", 10), ("End", 59), ("Home", 0)):
        look.page.keyboard.press(key)
        assert frame() == at, key
    look.page.keyboard.press("k")
    assert look.run("portrait.keys") == [0]
    look.page.keyboard.press("ArrowRight")
    look.page.keyboard.press("i")
    look.page.keyboard.press("End")
    look.page.keyboard.press("o")
    assert look.run("portrait.range") == [1, 59]
    look.page.keyboard.press("x")
    look.page.keyboard.press("2")
    assert look.run("portrait.range") is None and look.run("portrait.stage.mode") == "over"
    look.page.keyboard.press("?")
    assert look.page.locator("#keys").is_visible()


def test_edits_that_are_saved_and_applied_are_the_pages_own(look, model, track, tmp_path):
    look.run("""() => {
      const p = portrait;
      const set = (id, frame, value, reach) => {
        p.reach = reach;
        p.seek(frame);
        p.acts().set(p.performance.byId.get(id), value);
      };
      set("expression jawOpen", 10, 0.8, "soft");
      set("gaze left yaw", 30, 0.35, "clip");
      set("turn yaw", 20, -0.4, "soft");
      set("place z", 20, 640, "frame");
      set("identity identity 0", 0, 1.5, "clip");
      p.range = [5, 50];
      document.getElementById("smooth").click();
      document.getElementById("mirror").click();
      document.getElementById("scale").click();
      p.range = null;
    }""")
    look.page.locator("#save summary").click()
    with look.page.expect_download() as waiting:
        look.page.locator("#save-items button").first.click()
    saved = tmp_path / "talk.edits.json"
    waiting.value.save_as(saved)
    assert waiting.value.suggested_filename == "talk.edits.json"
    table = json.loads(saved.read_text())
    edited = apply_edits(track, model, parse_edits(table, "edits"))
    p = edited.parameters
    for k in (0, 10, 30, 45):
        shown = look.run(STATE, k)
        expression, gaze, rotation, translation, identity = shown
        np.testing.assert_allclose(p.expression[k], expression, atol=1e-6)
        np.testing.assert_allclose(p.gaze[k].flatten(), gaze, atol=1e-6)
        exact = torch.linalg.matrix_exp(_cross(p.rotation[k].double()))
        np.testing.assert_allclose(exact.flatten(), rotation, atol=1e-6)
        np.testing.assert_allclose(p.translation[k], translation, atol=1e-4)
        assert abs(float(p.expanded().identity[k, 0]) - identity) < 1e-6
    assert max_error(look, model, edited, [10, 30]) < 1e-3
    look.run("portrait.performance.channels.forEach((c) => (c.values = c.original.slice()))")
    look.page.set_input_files("#open", saved)
    look.until("portrait.performance.edited.length > 0")
    assert max_error(look, model, edited, [10]) < 1e-3
    curves = tmp_path / "talk.curves.csv"
    look.page.locator("#save summary").click()
    with look.page.expect_download() as waiting:
        look.page.locator("#save-items button").nth(1).click()
    waiting.value.save_as(curves)
    facemodel.write_curves(edited, model, tmp_path / "python.csv")
    page_rows, python_rows = (path.read_text().splitlines() for path in (curves, tmp_path / "python.csv"))
    assert page_rows[0] == python_rows[0] and len(page_rows) == len(python_rows)
    ours, theirs = (np.array([r.split(",")[2:] for r in rows[1:]], float) for rows in (page_rows, python_rows))
    blinks = [k for k, n in enumerate(page_rows[0].split(",")[2:]) if n.startswith("EyeBlink")]
    rest = [k for k in range(ours.shape[1]) if k not in blinks]
    np.testing.assert_allclose(ours[:, rest], theirs[:, rest], atol=2e-6)
    assert [r.split(",")[0] for r in page_rows] == [r.split(",")[0] for r in python_rows]


def test_smoothing_and_scaling_are_pythons(look, model, track):
    """On noise, with a range of its own for scaling; a parabola through each window is what scipy fits too."""
    names, random = model.expression_names, np.random.default_rng(3)
    noise = (0.5 + 0.2 * random.standard_normal((60, len(names)))).clip(0, 1).astype(np.float32)
    fill = "(rows) => portrait.performance.parts.expression.forEach((c, k) => (c.values = Float32Array.of(...rows[k])))"
    look.run(fill, noise.T.tolist())
    look.run("(document.getElementById('smooth-by').value = '0.4', document.getElementById('smooth').click())")
    noisy = track.with_parameters(track.parameters.replace(expression=torch.from_numpy(noise)))
    exact = smooth_track(noisy, model, 0.4).parameters.expression
    values = "portrait.performance.parts.expression.map((c) => [...c.values])"
    np.testing.assert_allclose(np.array(look.run(values)).T, exact, atol=2e-6)
    look.run("(portrait.range = [10, 20], document.getElementById('scale').click(), portrait.range = null)")
    expected = exact.clone()
    expected[10:21] = (1.2 * expected[10:21]).clamp(0, 1)
    np.testing.assert_allclose(np.array(look.run(values)).T, expected, atol=2e-6)


def test_a_mirrored_face_is_its_reflection(started, model, tmp_path):
    """Of a symmetric person: vertices as a set, and the head's rotation."""
    one = long_performance(model, 1)
    random = torch.Generator().manual_seed(5)
    uniform = lambda *shape: torch.rand(*shape, generator=random)  # noqa: E731
    changes = {"expression": 0.4 * uniform(1, 52), "gaze": uniform(1, 2, 2) - 0.5, "rotation": uniform(1, 3) - 0.5}
    identity = torch.zeros_like(one.parameters.identity)
    one = one.with_parameters(one.parameters.replace(identity=identity, **changes))
    content = track_content(one, model, Path("t.track"))
    path = tmp_path / "t.html"
    path.write_text(document(content.facts, content.arrays), encoding="utf-8")
    shown = """() => {
      portrait.view.render();
      return [[...portrait.stage.heads[0].face.vertices()], portrait.performance.state(0).rotation];
    }"""
    with opened(started, path, width=420, height=360) as look:
        (before, turned), _ = look.run(shown), look.run("document.getElementById('mirror').click()")
        after, back = look.run(shown)
    reflect = np.array([-1, 1, 1])
    far, _ = cKDTree(np.reshape(after, (-1, 3))).query(np.reshape(before, (-1, 3)) * reflect)
    assert far.max() < 0.5
    np.testing.assert_allclose(
        np.reshape(back, (3, 3)), np.diag(reflect) @ np.reshape(turned, (3, 3)) @ np.diag(reflect), atol=1e-6
    )


def _cross(v):
    x, y, z = v.tolist()
    return torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64)


def test_untouched_curves_are_those_of_python(look, model, track, tmp_path):
    look.page.locator("#save summary").click()
    with look.page.expect_download() as waiting:
        look.page.locator("#save-items button").nth(1).click()
    waiting.value.save_as(tmp_path / "page.csv")
    facemodel.write_curves(track, model, tmp_path / "python.csv")
    ours, theirs = (
        [r.split(",")[2:] for r in (tmp_path / f"{n}.csv").read_text().splitlines()[1:]] for n in ("page", "python")
    )
    np.testing.assert_allclose(np.array(ours, float), np.array(theirs, float), atol=2e-6)


def test_a_curve_is_drawn_and_pulled_by_the_pointer(look):
    look.run("portrait.pin(portrait.performance.byId.get('expression cheekPuff'))")
    idle(look)
    box = look.page.locator("#curves").bounding_box()
    x, y = (lambda s: box["x"] + s * box["width"]), (lambda s: box["y"] + s * box["height"])
    values = "[...portrait.performance.byId.get('expression cheekPuff').values]"
    look.page.locator("#tool button", has_text="Draw").click()
    look.page.mouse.move(x(0.3), y(0.5))
    look.page.mouse.down()
    look.page.mouse.move(x(0.6), y(0.35), steps=4)
    look.page.mouse.up()
    drawn = np.array(look.run(values))
    assert (drawn[20:35] > 0.3).all() and (drawn[:15] == 0).all() and len(look.run("portrait.history.done")) == 1
    look.page.locator("#tool button", has_text="Pull").click()
    look.page.mouse.move(x(0.1), y(0.88))
    look.page.mouse.down()
    look.page.mouse.move(x(0.1), y(0.5), steps=3)
    look.page.mouse.up()
    pulled = np.array(look.run(values))
    peak = int(pulled[:15].argmax())
    assert pulled[peak] > 0.2 and pulled[peak - 2] > 0 and (pulled[20:] == drawn[20:]).all()


def test_a_phone(started, page):
    with opened(started, page, width=375, height=720, touch=True) as look:
        idle(look)
        assert look.run("document.documentElement.scrollWidth") <= 375
        for part in ("#stage", "#transport", "#ruler", "#search", "#save summary", "#view"):
            box = look.page.locator(part).bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= 375 and box["y"] + box["height"] <= 720, part
        assert look.page.locator("#stage").bounding_box()["height"] > 200
        look.page.locator("#groups input[type=range]").first.tap()
        assert not look.errors


def test_three_thousand_frames(started, model, tmp_path):
    """Its page has room for pictures; a frame costs little beside the drawing, which a graphics processor does."""
    track = long_performance(model, 3000)
    content = track_content(track, model, Path("long.track"))
    random = np.random.default_rng(0)
    still = random.integers(0, 255, (360, 480, 3), dtype=np.uint8)
    made = small_pictures(iter([still] * 40), 40)
    fits = small_pictures(iter([still // 2 + 60] * 300), 3000)
    assert len(fits.data) / len(fits.ends) * 3000 < 12e6 and made.every == 1
    path = tmp_path / "long.html"
    path.write_text(document(content.facts, content.arrays), encoding="utf-8")
    assert path.stat().st_size + 4 / 3 * 11.5e6 < 20e6
    with opened(started, path, width=480, height=420) as look:
        look.run(
            "['jawOpen', 'eyeBlinkLeft'].forEach((n) => portrait.pin(portrait.performance.byId.get(`expression ${n}`)))"
        )
        ms = look.run("""() => {
          const p = portrait, times = [];
          for (let k = 0; k < 40; k++) {
            p.frame = 70 * k;
            const began = performance.now();
            p.stage.heads[0].pose(p.view.people()[0][0]);
            p.panel.show(p.frame, null, p.colors);
            p.timeline.draw();
            times.push(performance.now() - began);
          }
          return times.sort((a, b) => a - b)[20];
        }""")
        assert ms < 33, ms
        assert not look.errors


def test_names_that_are_code_are_text(started, model, tmp_path):
    hostile = '</script><img src=x onerror="window.hit=1">\''
    track = long_performance(model, 3)
    content = track_content(track, model, Path("x.track"), against=(track, Path(hostile.replace("/", "∕"))))
    content.facts["title"] = content.facts["track"]["name"] = hostile
    content.facts["notes"].append(hostile)
    path = tmp_path / "it's <b>&amp;.html"
    path.write_text(document(content.facts, content.arrays), encoding="utf-8")
    with opened(started, path, width=480, height=420) as look:
        idle(look)
        assert look.run("window.hit") is None and look.run("document.querySelectorAll('img').length") == 0
        assert look.run("document.getElementById('title').textContent") == hostile
        assert not look.errors and not look.requests


def test_models_with_joints_or_signed_expressions(started, tmp_path):
    """By what they have: a skeleton exactly, anything else by its slopes."""
    written = write_flame(tmp_path, make_head(8, 10), lids=True)
    jointed = import_model(written.path, written.extras)
    drive = torch.zeros(jointed.count("expression"), 6)
    drive[-1, 3:] = torch.tensor([0.4, 0.05, -0.02])  # an expression that turns the jaw
    path = tmp_path / "m.html"
    for model in (jointed, jointed.rebuilt(jointed.flatten() | {"joint_drive": drive}), ToyModel()):
        content = model_content(model)
        path.write_text(document(content.facts, content.arrays), encoding="utf-8")
        with opened(started, path, width=420, height=360) as look:
            joints = look.run("portrait.performance.parts.joints.map((c) => c.name)")
            assert joints == list(model.blocks["joints"].names)
            state = {
                "identity": [(0.5 if k % 2 else -0.25) * (k < 10) for k in range(model.count("identity"))],
                "expression": [0.3] * model.count("expression"),
                "joints": [0.02 * (k + 1) for k in range(len(joints))] if isinstance(model, JointedModel) else [0.001],
                "gaze": [0.2, -0.1, 0.15, 0.05],
            }
            got = look.run(
                """(state) => {
              for (const [kind, values] of Object.entries(state))
                portrait.performance.parts[kind].forEach((c, k) => (c.values = Float32Array.of(values[k])));
              portrait.view.render();
              return Array.from(portrait.stage.heads[0].face.vertices());
            }""",
                state,
            )
            tensors = {k: torch.tensor(v, dtype=torch.float32) for k, v in state.items()}
            exact = model.vertices(
                tensors["identity"], tensors["expression"], tensors["gaze"].view(2, 2), tensors["joints"]
            )
            near = 1e-3 if isinstance(model, JointedModel) else 5e-3
            np.testing.assert_allclose(np.array(got).reshape(-1, 3), exact, atol=near)
            assert not look.errors


def test_models_with_more_shapes_than_a_shader_takes(started, tmp_path):
    """They are added up by the script; pixels follow too."""
    names = tuple(f"shape {k}" for k in range(200))
    model = small_model(names=names)
    track = make_track(model, 3)
    content = track_content(track, model, Path("t.track"))
    path = tmp_path / "t.html"
    path.write_text(document(content.facts, content.arrays), encoding="utf-8")
    with opened(started, path, width=420, height=360) as look:
        assert max_error(look, model, track, [0, 2]) < 1e-3
        assert not look.errors


def test_a_head_in_its_texture(started, track, model, tmp_path):
    picture = np.zeros((256, 256, 3), np.uint8)
    picture[..., 1] = 200
    cv2.imwrite(str(tmp_path / "t.png"), picture)
    content = with_texture(track_content(track, model, Path("t.track")), model, tmp_path / "t.png")
    path = tmp_path / "t.html"
    path.write_text(document(content.facts, content.arrays), encoding="utf-8")
    with opened(started, path, width=420, height=360) as look:
        shown = pixels(look)
        head = shown[shown[..., 3] == 255].astype(int)
        assert (
            len(head) > 500
            and (head[:, 1] > head[:, 0] + 40).mean() > 0.9
            and (head[:, 1] > head[:, 2] + 40).mean() > 0.9
        )
        assert max_error(look, model, track, [5]) < 1e-3
        assert not look.errors


def test_a_browser_without_webgl_says_so(started, page):
    plain = started.browser_type.launch(executable_path=find(), args=[*ARGUMENTS, "--disable-3d-apis"])
    try:
        with opened(plain, page, width=480, height=420) as look:
            assert "WebGL" in look.page.locator("#stop").inner_text()
            assert look.page.locator("#stop").is_visible()
    finally:
        plain.close()
