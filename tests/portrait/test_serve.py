"""`portrait serve`: loopback alone, a token, frames that are fitted again, previews."""

import base64
import json
import socket
import threading
import urllib.error
import urllib.request

import cv2
import numpy as np
import pytest

import facemodel
from benchmarks.browser import browser, opened, why_not
from facemodel.editing.edits_file import track_fingerprint
from neural_render.methods.base import method_of
from neural_render.methods.clip import Clip
from portrait.cli import main
from portrait.services.serving import serve_page
from portrait.video import VideoReader
from tests.portrait.networks import random_weights


@pytest.fixture(scope="module")
def model():
    return facemodel.load()


@pytest.fixture(scope="module")
def loaded(track):
    return facemodel.Track.load(track)


@pytest.fixture(scope="module")
def weights(loaded, model, tmp_path_factory):
    return random_weights(loaded, model, tmp_path_factory.mktemp("weights") / "w.safetensors")


@pytest.fixture(scope="module")
def server(track, clip, weights):
    with serve_page(track, clip, weights).server as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def ask(url, question=None, **headers):
    """Status and body."""
    data = None if question is None else question if isinstance(question, bytes) else json.dumps(question).encode()
    kind = {} if data is None else {"Content-Type": "application/json"}
    request = urllib.request.Request(url, data, {**kind, **{k.replace("_", "-"): v for k, v in headers.items()}})
    try:
        with urllib.request.urlopen(request, timeout=120) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def edits(track, **parts):
    about = {"name": "t", "fingerprint": track_fingerprint(track), "frames": len(track)}
    return {"format": "video-portraits edits", "version": 1, "track": about, **parts}


def test_the_page_is_at_its_address_alone(server):
    status, page = ask(server.address)
    assert status == 200 and b'"server":["fit","preview"]' in page and b"connect-src &#x27;self&#x27;" in page
    base = f"http://127.0.0.1:{server.server_port}/"
    for wrong in (base, base + "x/", server.address[:-2] + "/", server.address + "fit", server.address + "../x"):
        assert ask(wrong)[0] == 404
    assert server.server_address[0] == "127.0.0.1"
    assert ask(server.address, Host="evil.example")[0] == 404  # a name that points here


def test_strangers_questions_are_not_answered(server, loaded):
    question = {"frame": 0, "edits": edits(loaded)}
    assert ask(server.address + "fit", question, Origin="http://evil.example")[0] == 404
    assert ask(server.address + "fit", question, Content_Type="text/plain")[0] == 404
    assert ask(server.address.replace("127.0.0.1", "localhost") + "save", question)[0] == 404


@pytest.mark.parametrize(
    ("question", "line"),
    [
        (b"{", "can't be read"),
        (b"[1]", "expected an object"),
        ({"frame": 99}, "expected 0 to 7, got 99"),
        ({"frame": "0"}, "frame: expected"),
        ({"frame": 0}, "this is none"),
    ],
)
def test_bad_questions_are_told_in_a_line(server, question, line):
    status, body = ask(server.address + "fit", question)
    assert status == 400 and line in json.loads(body)["error"]


def test_a_frame_is_fitted_again(server, loaded, model):
    """From a head that was turned away and lost its expression: back to where the fit had it, about."""
    p = loaded.parameters.expanded()
    zero = {name: [{"start": 3, "values": [0.0]}] for name in model.expression_names}
    spoilt = edits(loaded, expression=zero, head={"x": [{"start": 3, "values": [float(p.translation[3, 0]) + 6]}]})
    status, body = ask(server.address + "fit", {"frame": 3, "edits": spoilt})
    values = json.loads(body)["values"]
    assert status == 200 and set(values["turn"]) == {"yaw", "pitch", "roll"}
    assert abs(values["place"]["x"] - float(p.translation[3, 0])) < 4
    found = np.array([values["expression"][n] for n in model.expression_names])
    exact = p.expression[3].numpy()
    assert np.abs(found - exact).mean() < 0.6 * np.abs(exact).mean()
    away = edits(loaded, head={"x": [{"start": 3, "values": [900.0]}]})
    status, body = ask(server.address + "fit", {"frame": 3, "edits": away})
    assert status == 400 and "frame 3: no face is found" in json.loads(body)["error"]


def test_a_preview_is_the_synthesised_frame(server, loaded, model, clip, weights):
    jaw = [{"start": 5, "values": [0.6]}]
    status, body = ask(server.address + "preview", {"frame": 5, "edits": edits(loaded, expression={"jawOpen": jaw})})
    assert status == 200
    data = base64.b64decode(json.loads(body)["picture"].partition(",")[2])
    shown = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    p = loaded.parameters.expanded()
    changed = p.expression.clone()
    changed[5, model.expression_index("jawOpen")] = 0.6
    whole = loaded.with_parameters(loaded.parameters.replace(expression=changed))
    method = method_of(weights)
    target, driver = (Clip.of_track(whole, VideoReader(clip), model) for _ in range(2))
    frames = list(method.animate(method.load(weights, model), target, driver))
    assert np.array_equal(frames[5], shown)


def test_a_port_in_use_is_told_in_a_line(track, clip, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["serve", str(track), str(clip), "--port", str(port), "--no-open"]) == 2
    error = capsys.readouterr().err
    assert f"--port {port}: it is in use" in error and error.count("\n") == 1


@pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
def test_the_page_asks_and_shows(server):
    with browser() as started, opened(started, server.address, width=820, height=620) as look:
        look.run("portrait.acts().set(portrait.performance.byId.get('place x'), 20)")
        look.page.locator("#ask-fit").click()
        look.until("portrait.history.done.length == 2")
        assert abs(look.run("portrait.performance.byId.get('place x').values[0]")) < 19
        look.page.locator("#ask-preview").click()
        look.until("document.querySelector('#preview img')?.naturalWidth > 0")
        assert "synthetic" in look.page.locator("#preview figcaption").inner_text()
        assert not look.errors and {r.rsplit("/", 1)[1] for r in look.requests} == {"fit", "preview"}
