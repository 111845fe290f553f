"""What ``portrait live`` sends, read by decoders of their own; calibration; what can't be sent."""

import functools
import socket
import struct
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pythonosc.dispatcher import Dispatcher
from pythonosc.osc_server import BlockingOSCUDPServer
from scipy.spatial.transform import Rotation

from facemodel import FrameStatus, Track, read_curves, write_curves
from facemodel.arkit import ARKIT_NAMES
from facemodel.editing.curves import ANGLES
from fitting.tracking.online import OnlineFrame, OnlineTracker
from portrait.cli import main
from portrait.commands.live import Window
from portrait.services.calibrating import GRIMACES, REST, Calibrator
from portrait.services.live import LiveFrame
from portrait.services.outlet import Outlet
from portrait.services.streams.base import STREAMS, Performed
from portrait.video import VideoReader
from portrait.video.newest_frame import Source
from portrait.video.sample import carphone
from tests.facemodel.test_contact import performed

CURVES = {name: (k + 1) / 100 for k, name in enumerate((*ARKIT_NAMES, *ANGLES))}
FRAME = Performed(3, 1.51, True, CURVES)
UNREAL_ORDER = ["JawForward", "JawLeft", "JawRight", "JawOpen"], ["MouthLeft", "MouthRight"]


@pytest.fixture
def receiver():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind(("127.0.0.1", 0))
        found.settimeout(120)
        yield found


def address(receiver):
    return "{}:{}".format(*receiver.getsockname())


def decoded(data):
    """A Live Link Face packet by the format's description alone."""
    assert data[:4] == bytes([6, 0, 0, 0]) and data[4:5] == b"$" and len(data[5:41].decode()) == 36
    (length,) = struct.unpack_from(">i", data, 41)
    name = data[45 : 45 + length].decode()
    frame, part, rate, base = struct.unpack_from(">ifii", data, 45 + length)
    rest = data[61 + length :]
    assert len(rest) in (0, 245)
    values = np.frombuffer(rest[1:], ">f4") if rest else None
    assert not rest or rest[0] == 61
    return SimpleNamespace(name=name, time=(frame + part) * base / rate, values=values)


def test_live_link(receiver):
    stream = STREAMS["live-link"](address(receiver))
    stream.send(FRAME)
    found = decoded(receiver.recv(4096))
    assert found.name == "portrait" and found.time == pytest.approx(1.51)
    assert len(found.values) == 61 and found.values == pytest.approx(list(CURVES.values()))
    assert [n[0].upper() + n[1:] for n in ARKIT_NAMES[14:18]] == UNREAL_ORDER[0]
    assert [n[0].upper() + n[1:] for n in ARKIT_NAMES[21:23]] == UNREAL_ORDER[1]
    stream.send(Performed(4, 1.54, False, CURVES))
    assert decoded(receiver.recv(4096)).values is None
    stream.close()


def test_vmc():
    heard = []
    dispatcher = Dispatcher()
    dispatcher.set_default_handler(lambda path, *values: heard.append((path.removeprefix("/VMC/Ext/"), values)))
    with BlockingOSCUDPServer(("127.0.0.1", 0), dispatcher) as server:
        server.timeout = 5
        stream = STREAMS["vmc"]("{}:{}".format(*server.server_address))
        stream.send(FRAME)
        while ("Blend/Apply", ()) not in heard:
            server.handle_request()
        assert heard[0] == ("OK", (1, 0, 0, 1)) and heard[1] == ("T", (pytest.approx(1.51),))
        blends = dict(values for path, values in heard if path == "Blend/Val")
        assert blends == pytest.approx({n[0].upper() + n[1:]: CURVES[n] for n in ARKIT_NAMES})
        assert heard[-1] == ("Blend/Apply", ())
        assert {values[0] for path, values in heard if path == "Bone/Pos"} == {"Head", "LeftEye", "RightEye"}
        heard.clear()
        stream.send(Performed(4, 1.54, False, CURVES, calibrated=True))
        server.handle_request()
        assert heard == [("OK", (1, 3, 0, 0)), ("T", (pytest.approx(1.54),))]


@pytest.mark.parametrize(
    ("turn", "axis", "goes"),
    [("Yaw", 2, [-1, 0, 0]), ("Pitch", 2, [0, 1, 0]), ("Roll", 1, [1, 0, 0])],
)
def test_vmc_s_bones_turn_as_the_head_does(turn, axis, goes):
    """Unity's axes: x to the right of who looks along +z. Yaw is to the subject's left, roll as a viewer sees it."""
    from portrait.services.streams.vmc import bones

    curves = {**dict.fromkeys(ANGLES, 0.0), f"Head{turn}": 0.1, f"RightEye{turn}": 0.1}
    found = bones(curves)
    assert np.array_equal(np.abs(found["LeftEye"]), [0, 0, 0, 1]) and np.allclose(found["Head"], found["RightEye"])
    # A quaternion's formula is the same for a left-handed frame: it is the frame that differs.
    moved = Rotation.from_quat(found["Head"]).apply(np.eye(3)[axis]) - np.eye(3)[axis]
    assert moved @ goes == pytest.approx(np.sin(0.1)) and np.abs(moved).argmax() == np.abs(goes).argmax()


def sent(model, track, wanted, calibrator=None):
    """A track's frames through an outlet; status 0 has no parameters. The clock goes 10 ms a look."""
    p, ticks = track.parameters.expanded(), iter(np.arange(1, 1000) / 100)
    tracker = SimpleNamespace(first=p[:3])
    with Outlet(wanted, model, calibrator or Calibrator(), clock=lambda: next(ticks)) as outlet:
        for k, seconds in enumerate(track.seconds.tolist()):
            status = FrameStatus(int(track.status[k]))
            outlet(k, seconds, k / 100, OnlineFrame(status, p[k] if status else None), tracker)
    return outlet


def test_the_csv_is_what_export_writes_and_closed_eyes_are_1(model, tmp_path):
    shut = [0, 0, 0, 0.62, 0.62, 0.3]
    track = performed(model, 6, 3, eyeBlinkLeft=shut, eyeBlinkRight=shut, eyeSquintLeft=0.25, eyeSquintRight=0.25)
    track = Track(**{**vars(track), "status": torch.tensor([1, 1, 1, 1, 0, 1])})
    outlet = sent(model, track, [("csv", str(tmp_path / "new" / "live.csv"))])
    write_curves(track, model, tmp_path / "exported.csv")
    live, exported = read_curves(tmp_path / "new" / "live.csv", rate=60), read_curves(tmp_path / "exported.csv")
    kept = [0, 1, 2, 3, 5]
    assert live.times == pytest.approx(track.seconds.numpy()[kept], abs=1e-4)
    assert list(live.values) == list(exported.values)
    for name, column in exported.values.items():
        assert live.values[name] == pytest.approx(column[kept], abs=1e-6), name
    assert live.values["eyeBlinkLeft"][3] == 1 and live.values["eyeBlinkLeft"][0] < 0.2
    assert "5 rows; 1 frames without a face have none" in outlet.lines()[-1]
    assert "10 ms (median), 10 ms (95 %), over 5 frames with a face; 1 without a face" in outlet.lines()[0]
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["live.csv"]


def test_nothing_is_left_of_a_csv_without_a_face(model, tmp_path):
    track = performed(model, 2, 3)
    track = Track(**{**vars(track), "status": torch.zeros(2, dtype=torch.int64)})
    assert "no file" in sent(model, track, [("csv", str(tmp_path / "a.csv"))]).lines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_a_receiver_that_isn_t_there_stops_nothing(model, tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        where = address(free)
    outlet = sent(model, performed(model, 5, 3), [("live-link", where), ("csv", str(tmp_path / "a.csv"))])
    assert "didn't arrive: nobody listened" in outlet.lines()[1] and "5 rows" in outlet.lines()[2]


@pytest.fixture(scope="module")
def grimaces(model):
    """Two seconds at rest, which smiles a little and blinks once, then the script's, at 10 frames a second."""
    rest, moved = 20, int(10 * sum(p.seconds for p in GRIMACES)) + 10
    smile = torch.cat([torch.full((rest,), 0.2), torch.linspace(0.2, 0.6, moved)])
    jaw = torch.linspace(0, 0.1, rest + moved)  # hardly performed
    blink = torch.full((rest + moved,), 0.1)
    blink[5] = blink[40:44] = 1
    track = performed(
        model, rest + moved, 3, mouthSmileLeft=smile, jawOpen=jaw, eyeBlinkLeft=blink, eyeBlinkRight=blink
    )
    p = track.parameters
    rotation = torch.zeros(len(track), 3)
    rotation[:, 1], gaze = 0.2, torch.full((len(track), 2, 2), 0.1)
    times = torch.arange(len(track), dtype=torch.float64) / 10
    return Track(**{**vars(track), "parameters": p.replace(rotation=rotation, gaze=gaze), "times": times})


class TestCalibration:
    def test_script(self, model, grimaces, tmp_path, receiver):
        said = []
        calibrator = Calibrator(path=tmp_path / "me.json", tell=said.append)
        calibrator.begin(grimaces=True)
        sent(model, grimaces, [("live-link", address(receiver))], calibrator)
        assert [line.removeprefix("calibration: ") for line in said[:-1]] == [p.text for p in (REST, *GRIMACES)]
        assert "done, saved as" in said[-1] and calibrator.prompt is None
        one = calibrator.calibration
        assert one.rest["mouthSmileLeft"] == pytest.approx(0.2) and 0.5 < one.full["mouthSmileLeft"] < 0.6
        assert one.full["jawOpen"] == one.full["eyeBlinkLeft"] == 1
        assert type(one).load(tmp_path / "me.json") == one

        values = [decoded(receiver.recv(4096)).values for _ in range(len(grimaces))]
        before, after = dict(zip(CURVES, values[0])), dict(zip(CURVES, values[-1]))
        assert before["mouthSmileLeft"] == pytest.approx(0.2) and before["HeadYaw"] == pytest.approx(0.2)
        assert after["mouthSmileLeft"] == 1  # beyond its 95 %
        assert after["HeadYaw"] == pytest.approx(0, abs=1e-6) and after["LeftEyeYaw"] == pytest.approx(0, abs=1e-6)
        assert after["eyeLookUpLeft"] == pytest.approx(0, abs=1e-6) and before["eyeLookUpLeft"] > 0.1
        assert after["eyeBlinkLeft"] < before["eyeBlinkLeft"]

        closed = performed(model, 4, 3, eyeBlinkLeft=[0, 0, 0, 1], eyeBlinkRight=[0, 0, 0, 1])
        sent(model, closed, [("live-link", address(receiver))], Calibrator(type(one).load(tmp_path / "me.json")))
        values = [dict(zip(CURVES, decoded(receiver.recv(4096)).values)) for _ in range(4)]
        assert values[3]["eyeBlinkLeft"] == 1 and values[0]["eyeBlinkLeft"] == 0

    def test_rest_alone_keeps_the_range(self, model, grimaces, tmp_path):
        calibrator = Calibrator()
        calibrator.begin(grimaces=False)
        sent(model, grimaces, [("csv", str(tmp_path / "a.csv"))], calibrator)
        assert set(calibrator.calibration.full.values()) == {1.0}

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "video-portraits calibration", "version": 1}'])
    def test_broken_files(self, text, tmp_path, capsys):
        (tmp_path / "me.json").write_text(text)
        arguments = ["--source", str(carphone()), "--csv", str(tmp_path / "a.csv")]
        assert main(["live", *arguments, "--no-window", "--calibrate", str(tmp_path / "me.json")]) == 2
        error = capsys.readouterr().err
        assert "expected a calibration" in error and error.count("\n") == 1
        assert [p.name for p in tmp_path.iterdir()] == ["me.json"]


def test_what_can_t_be_sent(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("fitting.tracking.online.OnlineTracker.__call__", lambda *_: pytest.fail("work began"))
    (tmp_path / "file").write_text("")
    alone = ["live", "--source", str(carphone()), "--no-window", "--device", "cpu"]
    for more, reason in [
        ([], "where to send what is tracked"),
        (["--vmc", "127.0.0.1"], "expected HOST:PORT, such as 127.0.0.1:39539"),
        (["--vmc", ":39539"], "expected HOST:PORT"),
        (["--vmc", "127.0.0.1:0"], "expected a port from 1 to 65535"),
        (["--live-link", "127.0.0.1:65536"], "expected a port from 1 to 65535"),
        (["--live-link", "no host.invalid:11111"], "can't be reached"),
        (["--csv", str(tmp_path / "file" / "a.csv")], "is a file, not a folder"),
        (["--csv", str(tmp_path)], "ending in .csv"),
        (["--csv", str(tmp_path / "a.csv"), "--record", str(tmp_path / "a.mp4")], "need --weights or --method"),
        (["--calibrate", str(tmp_path / "file")], "add --live-link, --vmc or --csv"),
        (["--csv", str(tmp_path / "a.csv"), "--calibrate", str(tmp_path / "none.json")], "no such file"),
    ]:
        assert main([*alone, *more]) == 2, more
        error = capsys.readouterr().err
        assert reason in error and error.count("\n") == 1, error
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_the_command_sends_a_real_face_without_weights(receiver, tmp_path, monkeypatch, capsys):
    """Each frame comes once the packet of the one before has been received, so that a busy machine drops none."""
    packets = []

    def frames():
        for index, seconds, picture in VideoReader(carphone(), square=False):
            if index == 14:
                return
            yield index, seconds, picture if index != 9 else np.zeros_like(picture)
            packets.append(decoded(receiver.recv(4096)))

    monkeypatch.setattr("portrait.services.live.open_source", lambda _: Source("clip", {}, 176, 144, frames()))
    monkeypatch.setattr("portrait.services.live.OnlineTracker", functools.partial(OnlineTracker, collect=0.1))
    arguments = ["live", "--source", "clip", "--no-window", "--device", "cpu", "--live-link", address(receiver)]
    assert main([*arguments, "--csv", str(tmp_path / "take.csv")]) == 0
    said = capsys.readouterr().out
    with_face = [k for k, packet in enumerate(packets) if packet.values is not None]
    assert len(packets) == 14 and 9 not in with_face and with_face[0] <= 6 and {11, 12, 13} <= set(with_face)
    assert f"over {len(with_face)} frames with a face" in said and "ms (median)" in said and "ms (95 %)" in said
    rows = read_curves(tmp_path / "take.csv", rate=60)
    assert len(rows.times) == len(with_face) and rows.values["jawOpen"] == pytest.approx(
        [packets[k].values[17] for k in with_face], abs=1e-6
    )
    assert 0 < rows.values["jawOpen"].max() < 1


def test_keys_calibrate_and_the_prompt_is_shown(monkeypatch):
    calibrator, shown, keys = Calibrator(), [], iter([ord("n"), ord("r"), -1, ord("q")])
    session = SimpleNamespace(calibrator=calibrator, options=SimpleNamespace(drives=False))
    monkeypatch.setattr("cv2.imshow", lambda title, picture: shown.append(picture))
    monkeypatch.setattr("cv2.waitKey", lambda wait: next(keys))
    begun = []
    monkeypatch.setattr(calibrator, "begin", lambda *, grimaces: begun.append(grimaces))
    window, picture = Window(session), np.full((480, 640, 3), 90, np.uint8)
    ended = [window(LiveFrame(picture, None, 0.0)), window(LiveFrame(picture, None, 0.0, tracked=False))]
    calibrator.prompt = GRIMACES[0]
    ended += [window(LiveFrame(picture, None, 0.0)), window(LiveFrame(picture, None, 0.0))]
    assert begun == [False, True] and ended == [False, False, False, True]
    assert {found.shape[1] for found in shown} == {512}  # the driver alone
    assert not np.array_equal(shown[0], shown[1]) and not np.array_equal(shown[0], shown[2])
