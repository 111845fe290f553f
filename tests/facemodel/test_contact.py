"""Closed is closed: on other faces, in curves, counted from rest, on the shipped model."""

import math

import pytest
import torch

import facemodel
from facemodel import apply_curves, edit, mix, read_curves, write_curves
from facemodel.editing.contact import LIPS, ContactPolicy, Contacts, carry_contacts
from facemodel.editing.online_mixing import OnlineMixer, Reference, steady_face
from renderer import Camera, rasterize, to_camera
from tests.facemodel.clips import make_track, small_model

BLINKS = ("eyeBlinkLeft", "eyeBlinkRight")
SLIVER = 3  # pixels, of some 700 of open eyes


def performed(model, frames, identity_seed, **curves):
    """A track of a random person, straight ahead, with all shapes at 0 but these."""
    track = make_track(model, frames, seed=identity_seed)
    expression = torch.zeros(frames, model.count("expression"))
    for name, curve in curves.items():
        expression[:, model.expression_index(name)] = torch.as_tensor(curve, dtype=torch.float32)
    random = torch.Generator().manual_seed(identity_seed)
    identity = torch.randn(model.count("identity"), generator=random)
    zero = torch.zeros(frames, 2, 2)
    return track.with_parameters(track.parameters.replace(expression=expression, identity=identity, gaze=zero))


def eyes_seen(model, parameters):
    """Pixels (F,) that show eyeballs."""
    vertices = model.vertices(parameters.identity, parameters.expression)
    points = to_camera(vertices, torch.zeros(3), torch.tensor([0.0, 0.0, 700.0]))
    found = rasterize(points, model.triangles, Camera(900.0, 400, 400)).pix_to_face.flatten(1)
    balls = model.region("eyes")[model.triangles].all(-1)
    return (balls[found % len(balls)] & (found >= 0)).sum(-1)


def lid_gaps(model, parameters):
    """(F, 2) mm between upper and lower lids, measured as distances."""
    marks = model.landmarks(model.vertices(parameters.identity, parameters.expression))
    eyes = (((43, 47), (44, 46)), ((38, 40), (37, 41)))
    return torch.stack([sum((marks[:, a] - marks[:, b]).norm(dim=-1) for a, b in pairs) / 2 for pairs in eyes], -1)


class TestMixing:
    def test_eyes_that_are_shut_arrive_shut_on_wide_ones(self, model):
        """A narrow-eyed source shuts its eyes with half a blink and a squint; the target's are wide open at rest."""
        blink = [0.0, 0.0, 0.62, 0.62, 0.0]
        source = performed(
            model, 5, 3, eyeBlinkLeft=blink, eyeBlinkRight=blink, eyeSquintLeft=0.25, eyeSquintRight=0.25
        )
        assert (eyes_seen(model, source.parameters.expanded())[2:4] < SLIVER).all()
        target = performed(model, 5, 7, eyeWideLeft=0.6, eyeWideRight=0.6)
        mixed = mix(source, target, model, ["expression"])
        seen = eyes_seen(model, mixed.parameters.expanded())
        assert (seen[2:4] < SLIVER).all() and seen[0] > 300
        shut = performed(model, 1, 7, eyeBlinkLeft=1.0, eyeBlinkRight=1.0).parameters.expanded()
        assert (lid_gaps(model, mixed.parameters.expanded())[2:4] < lid_gaps(model, shut) + 0.6).all()
        # What is open stays as it was.
        without = (target.parameters.expression[0], mixed.parameters.expression[0])
        torch.testing.assert_close(*without)

    def test_a_wink_is_one_eye(self, model):
        source = performed(model, 3, 1, eyeBlinkLeft=[0.0, 0.95, 0.0])
        target = performed(model, 3, 2)
        closed = mix(source, target, model, ["expression"]).parameters.expression
        assert closed[1, model.expression_index("eyeBlinkLeft")] > 0.6
        assert closed[1, model.expression_index("eyeBlinkRight")] < 0.05

    def test_lips_that_touch_arrive_touching(self, model):
        """The target's neutral frame has its lips parted, so that the change alone would leave them so."""
        source = performed(model, 4, 4, jawOpen=[0.3, 0.3, 0.0, 0.0])
        target = performed(model, 4, 5, jawOpen=0.1)
        mixed = mix(source, target, model, ["expression"], source_neutral=2, target_neutral=0).parameters.expanded()
        contacts = Contacts.of(model, mixed.identity[0])
        assert contacts.looseness(mixed.expression, mixed.joints)[:, LIPS].tolist() == [1, 1, 0, 0]

    def test_a_clip_mixed_with_itself_stays(self, model):
        ramp = torch.linspace(0, 0.4, 9)
        track = performed(model, 9, 6, eyeBlinkLeft=ramp, eyeBlinkRight=ramp, jawOpen=torch.linspace(0.2, 0.6, 9))
        mixed = mix(track, track, model)
        torch.testing.assert_close(mixed.parameters.expression, track.parameters.expression, atol=1e-5, rtol=0)

    def test_frame_by_frame_as_whole(self, model):
        blink = [0.0, 0.1, 0.7, 0.75, 0.2]
        source = performed(model, 5, 3, eyeBlinkLeft=blink, eyeBlinkRight=blink)
        target = performed(model, 5, 7, eyeWideLeft=0.4, eyeWideRight=0.4)
        whole = mix(source, target, model).parameters.expression
        references = (Reference.of_track(track, model) for track in (source, target))
        mixer = OnlineMixer(*references, steady_face(target), model)
        frames = [mixer(source.parameters.expanded()[k]).expression for k in range(5)]
        torch.testing.assert_close(torch.stack(frames), whole, atol=1e-4, rtol=0)

    def test_a_model_without_landmarks_mixes_as_before(self):
        model = small_model()
        assert Contacts.of(model, torch.zeros(5)) is None
        assert len(mix(make_track(model, 3, seed=1), make_track(model, 3, seed=2), model)) == 3


class TestCurves:
    def test_blink_is_1_where_lids_touch_and_closes_others(self, model, tmp_path):
        blink = [0.0, 0.2, 0.7, 0.72, 0.1]
        source = performed(model, 5, 3, eyeBlinkLeft=blink, eyeBlinkRight=blink)
        assert (eyes_seen(model, source.parameters.expanded())[2:4] < SLIVER).all()
        curves = read_curves(write_curves(source, model, tmp_path / "c.csv"), default_rate=25)
        for name in BLINKS:
            assert (curves.values[name][2:4] > 0.9).all() and curves.values[name][0] == 0
            assert curves.values[name][1] == pytest.approx(0.2, abs=1e-6)
        target = performed(model, 5, 7)
        after = apply_curves(target, model, curves).parameters.expanded()
        assert (eyes_seen(model, after)[2:4] < SLIVER).all()
        contacts = Contacts.of(model, after.identity[0])
        opening = contacts.opening(after.expression, after.joints)[2:4, :2]
        torch.testing.assert_close(opening, contacts.zero[:2].expand(2, 2), atol=0.3, rtol=0)  # no lid through a lid

    def test_counted_from_rest_they_still_close(self, model, tmp_path):
        """A person whose fit has half-shut eyes at rest."""
        blink = [0.35, 0.35, 0.65, 0.35, 0.35]
        source = performed(model, 5, 3, eyeBlinkLeft=blink, eyeBlinkRight=blink, eyeSquintLeft=0.2, eyeSquintRight=0.2)
        rested = edit(source, model, neutral="auto")
        assert eyes_seen(model, rested.parameters.expanded())[2] < SLIVER
        assert rested.parameters.expression[0].abs().max() < 1e-6
        curves = read_curves(write_curves(rested, model, tmp_path / "c.csv"), default_rate=25)
        assert all(curves.values[name][2] > 0.9 and curves.values[name][0] == 0 for name in BLINKS)


class TestContacts:
    def test_touching_is_measured_not_named(self, model):
        """Lids also close by squinting and by looking down."""
        identity = torch.zeros(80)
        contacts = Contacts.of(model, identity)
        assert len(contacts.zero) == 3
        expression = torch.zeros(3, 52)
        for name, values in {"eyeBlinkLeft": [0.0, 0.6, 0.6], "eyeLookDownLeft": [0.0, 0.0, 1.0]}.items():
            expression[:, model.expression_index(name)] = torch.tensor(values)
        loose = contacts.looseness(expression, torch.zeros(3, 0))
        assert loose[0, 0] == 1 and loose[2, 0] < loose[1, 0] and (loose[:, 1] == 1).all()

    def test_it_closes_to_what_is_asked(self, model):
        contacts = Contacts.of(model, torch.zeros(80), policy=ContactPolicy())
        expression, joints = torch.zeros(5, 52), torch.zeros(5, 0)
        expression[:, model.expression_index("jawOpen")] = 0.5
        wanted = torch.linspace(0, 1, 5)[:, None].expand(5, 3)
        before = contacts.opening(expression, joints) - contacts.zero
        after = contacts.opening(contacts.close(expression, joints, wanted), joints) - contacts.zero
        torch.testing.assert_close(after, wanted * before, atol=1e-2, rtol=0)

    def test_a_model_that_isnt_linear(self, model):
        """The same model, evaluated as one whose derivatives change: contacts come out the same."""

        class Bent(type(model)):
            linear = False

        bent = facemodel.load()
        bent.__class__ = Bent
        random = torch.Generator().manual_seed(1)
        identity, joints = torch.randn(80, generator=random), torch.zeros(4, 0)
        expression = 0.5 * torch.rand(4, 52, generator=random)
        pairs = [(Contacts.of(m, identity), expression, joints) for m in (model, bent)]
        torch.testing.assert_close(pairs[0][0].zero, pairs[1][0].zero, atol=1e-3, rtol=0)
        other = Contacts.of(model, torch.zeros(80))
        closed = [carry_contacts(pair, (other, expression, joints)) for pair in pairs]
        torch.testing.assert_close(*closed, atol=1e-4, rtol=0)
        assert all(math.isfinite(v) for v in closed[0].flatten().tolist())
