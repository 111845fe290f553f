import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from facemodel import FrameStatus, PortraitError, edit
from facemodel.editing.edits import find_coefficient, set_gaze
from facemodel.editing.smoothing import shots, smooth_parameters
from geometry.rotation import rotation_matrix
from tests.facemodel.clips import make_track, small_model

MODEL = small_model()
NAMES = MODEL.expression_names


def test_set_scale_add_in_range():
    track = make_track(MODEL, 10)
    jaw, smile, brow = (NAMES.index(n) for n in ("jawOpen", "mouthSmileLeft", "browInnerUp"))
    before = track.parameters.expression
    edited = edit(track, MODEL, set={"jawOpen": 0.6}, scale={"mouthSmileLeft": 1.5}, add={"browInnerUp": -0.2})
    after = edited.parameters.expression
    assert torch.equal(after[:, jaw], torch.full((10,), 0.6))
    assert torch.allclose(after[:, smile], (before[:, smile] * 1.5).clamp(0, 1))
    assert torch.allclose(after[:, brow], (before[:, brow] - 0.2).clamp(0, 1))
    others = [k for k in range(52) if k not in (jaw, smile, brow)]
    assert torch.equal(after[:, others], before[:, others])
    assert track.parameters.expression is before  # the input is left alone
    assert edited.facts["edits"][0]["set"] == {"jawOpen": 0.6}
    assert float(edit(track, MODEL, set={"jawOpen": 7}).parameters.expression[0, jaw]) == 1


def test_names():
    assert find_coefficient(" EyeBlinkLeft ", MODEL) == ("expression", NAMES.index("eyeBlinkLeft"))
    with pytest.raises(PortraitError, match="did you mean 'jawOpen'"):
        edit(make_track(MODEL, 2), MODEL, set={"jawOpn": 0.5})
    with pytest.raises(PortraitError, match="expected a number"):
        edit(make_track(MODEL, 2), MODEL, set={"jawOpen": math.nan})


def test_gaze_turns_both_eyes_and_lids():
    track = set_gaze(make_track(MODEL, 3), MODEL, math.radians(20), math.radians(-10))
    assert torch.allclose(track.parameters.gaze, torch.deg2rad(torch.tensor([20.0, -10.0])).expand(3, 2, 2))
    value = dict(zip(NAMES, track.parameters.expression[0].tolist()))
    assert value["eyeLookOutLeft"] == pytest.approx(20 / 35, abs=1e-3)  # to the subject's left
    assert value["eyeLookInRight"] == pytest.approx(20 / 35, abs=1e-3)
    assert value["eyeLookDownLeft"] == pytest.approx(10 / 30, abs=1e-3) and value["eyeLookUpLeft"] == 0
    with pytest.raises(PortraitError, match="between -60 and 60 degrees, got 200"):
        set_gaze(track, MODEL, math.radians(200), 0)


def test_expressions_count_from_a_face_at_rest():
    track = make_track(MODEL, 5)
    jaw, squint, blink, look = (NAMES.index(n) for n in ("jawOpen", "eyeSquintLeft", "eyeBlinkLeft", "eyeLookUpLeft"))
    expression = torch.zeros(5, 52)
    expression[:, squint] = 0.3
    expression[:, jaw] = torch.tensor([0.7, 0.2, 0.2, 0.4, 0.1])
    expression[:, blink] = torch.tensor([0.2, 0.2, 0.2, 0.2, 1.0])
    track = set_gaze(track.with_parameters(track.parameters.replace(expression=expression)), MODEL, 0.0, 0.2)
    found = edit(track, MODEL, neutral="auto")
    after = found.parameters.expression
    assert found.facts["edits"][0]["neutral"] == 1
    torch.testing.assert_close(after[:, jaw], torch.tensor([0.5, 0.0, 0.0, 0.2, 0.0]))
    assert not after[:, squint].any()
    assert after[4, blink] == 1 and not after[:4, blink].any()  # what closes still closes
    assert torch.equal(after[:, look], track.parameters.expression[:, look])  # lids still follow the eyes
    again = edit(track, MODEL, neutral=3, add={"jawOpen": 0.1})
    assert again.facts["edits"][0]["neutral"] == 3
    assert float(again.parameters.expression[0, jaw]) == pytest.approx(0.6)
    assert edit(track, MODEL, neutral=0).facts["edits"][0]["neutral"] == 0
    with pytest.raises(PortraitError, match="expected 0 to 4, got 5"):
        edit(track, MODEL, neutral=5)


def test_smoothing_takes_out_jitter_and_leaves_peaks():
    track = make_track(MODEL, 100, fps=50)
    time = torch.arange(100) / 50
    clean = 0.4 + 0.3 * torch.sin(2 * math.pi * 0.7 * time)
    jitter = 0.05 * torch.randn(100, generator=torch.Generator().manual_seed(0))
    jaw = NAMES.index("jawOpen")
    expression = track.parameters.expression.clone()
    expression[:, jaw] = clean + jitter
    track = track.with_parameters(track.parameters.replace(expression=expression))
    smoothed = edit(track, MODEL, smooth=0.3).parameters.expression[:, jaw]
    assert (smoothed - clean).abs().mean() < 0.6 * jitter.abs().mean()
    assert smoothed.max() > 0.66
    with pytest.raises(PortraitError, match="0 or more"):
        edit(track, MODEL, smooth=-1)


def test_smoothing_stays_within_shots():
    status = torch.ones(40, dtype=torch.int64)
    status[15] |= int(FrameStatus.CUT)
    track = replace(make_track(MODEL, 40), status=status)
    translation = torch.zeros(40, 3)
    translation[15:] = 100.0
    parameters = track.parameters.replace(translation=translation)
    smoothed = smooth_parameters(parameters, MODEL, status, 25.0, 0.4)
    assert torch.allclose(smoothed.translation, translation, atol=1e-4)
    assert shots(status) == [slice(0, 15), slice(15, 40)]


def test_rotations_are_smoothed_as_rotations():
    """A steady turn through the half turn stays one, about an axis of the tilted head, too."""
    for tilt in ([0.0, 0.0, 0.0], [0.7, 0.2, -0.4]):
        turns = Rotation.from_rotvec(np.linspace(2.5, 3.8, 30)[:, None] * [0, 1, 0])
        rotation = torch.from_numpy((Rotation.from_rotvec(tilt) * turns).as_rotvec())
        parameters = make_track(MODEL, 30).parameters.replace(rotation=rotation.float())
        smoothed = smooth_parameters(parameters, MODEL, torch.ones(30, dtype=torch.int64), 30.0, 0.5).rotation
        torch.testing.assert_close(rotation_matrix(smoothed.double()), rotation_matrix(rotation), atol=1e-4, rtol=0)
