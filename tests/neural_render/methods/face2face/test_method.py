"""Face2Face on the drawn clip, whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from facemodel import FrameStatus, PortraitError
from neural_render.methods.base import METHODS
from neural_render.methods.clip import Clip
from neural_render.methods.common.texture import person_texture, unhidden
from neural_render.methods.face2face.method import Face2Face
from neural_render.methods.face2face.person import Person, shown
from neural_render.methods.face2face.planning import plan, steadied
from neural_render.methods.face2face.settings import POLICY
from renderer import Camera, render

SMALL = replace(POLICY, texture=128, textured=4)


@pytest.fixture(scope="module")
def target(model, track, clip) -> Clip:
    return Clip.of_track(track, clip, model)


def made(model, target, track, policy=SMALL) -> list[np.ndarray]:
    return list(Face2Face(policy).animate(None, target, Clip.of_track(track, None, model)))


def drawn(model, parameters) -> tuple[np.ndarray, np.ndarray]:
    """The truth, and where the face is."""
    camera = Camera(float(parameters.focal), 160, 120)
    maps = render(model, parameters, camera, maps=("diffuse", "mask"))
    return maps["diffuse"].numpy() * 255, maps["mask"].numpy()[..., 0] > 0.99


def error(pictures, truth, where) -> float:
    return float(np.mean([np.abs(p.astype(float) - t)[w].mean() for p, t, w in zip(pictures, truth, where)]))


def test_it_is_in_the_table_and_needs_no_weights():
    method = METHODS["face2face"]()
    assert method.training is None and not method.can("train")


def test_its_own_performance_gives_the_clip_back(model, target, track, clip):
    for picture, real in zip(made(model, target, track), clip.frames, strict=True):
        assert np.abs(picture.astype(int) - real).mean() < 1


def test_a_turned_head_is_where_it_was_asked_for(model, target, track):
    p = track.parameters
    asked = track.with_parameters(p.replace(rotation=p.rotation.flip(0), translation=p.translation.flip(0)))
    truth, where = drawn(model, asked.parameters)
    keep = [k for k in range(len(track)) if k not in (5, 8)]
    pick = lambda seq: [seq[k] for k in keep]  # noqa: E731
    result = made(model, target, asked)
    stayed = [frame for _, _, frame in target.frames]
    assert error(pick(result), pick(truth), pick(where)) < 0.45 * error(pick(stayed), pick(truth), pick(where))


def test_the_side_that_turns_away_is_hidden(model, target, track):
    """25 degrees from the only frame; without the outline's motion skin is left where the wall should be."""
    one = Clip.of_track(track.frames(0, 1), target.frames, model)
    p = one.track.parameters.expanded()
    shared = {name: getattr(one.track.parameters, name) for name in ("identity", "reflectance", "focal")}
    turned = p.rotation + torch.tensor([0.0, np.radians(25), 0.0], dtype=p.rotation.dtype)
    asked = one.track.with_parameters(p.replace(rotation=turned, **shared), target_frames=[0])
    truth, where = drawn(model, asked.parameters)
    found = [error(made(model, one, asked, replace(SMALL, far=far)), truth, where) for far in (SMALL.far, (8.0, 9.0))]
    assert found[0] < 0.9 * found[1]


def test_beyond_the_clip_nothing_tears(model, target, track):
    """25 degrees further than the clip turns."""
    p = track.parameters
    rotation = p.rotation.clone()
    rotation[:, 1] = torch.linspace(0, 0.3 + np.radians(25), len(track))
    asked = track.with_parameters(p.replace(rotation=rotation))
    truth, where = drawn(model, asked.parameters)
    result = made(model, target, asked)
    assert error(result[-3:], truth[-3:], where[-3:]) < 16
    jumps = [np.abs(a.astype(float) - b).mean() for a, b in zip(result[7:], result[8:])]
    real = [frame.astype(float) for _, _, frame in target.frames]
    assert max(jumps) < 3 * max(np.abs(a - b).mean() for a, b in zip(real, real[1:]))


def test_what_turns_into_view_takes_no_colour_from_the_wall(model, target, track):
    """A white wall behind a face that turns 25 degrees further than the clip does."""
    truth, where = drawn(model, track.parameters)
    white = [np.where(w[..., None], t, 255).astype(np.uint8) for t, w in zip(truth, where)]
    p = track.parameters
    rotation = p.rotation.clone()
    rotation[:, 1] = torch.linspace(0, 0.3 + np.radians(25), len(track))
    asked = track.with_parameters(p.replace(rotation=rotation))
    before_white = Clip.of_track(track, [(k, k / 25, frame) for k, frame in enumerate(white)], model)
    truth, where = drawn(model, asked.parameters)
    assert error(made(model, before_white, asked)[-3:], truth[-3:], where[-3:]) < 16.5


def test_mouths_come_from_frames_that_have_them(model, target, track):
    """The clip opens its jaw from end to end; asked the other way round, each frame takes another's mouth."""
    person = Person.of(target, SMALL)
    own = shown(track.parameters.expanded(), model)
    asked = own.replace(expression=own.expression.flip(0))
    planned = plan(person, asked, range(len(track)))
    jaw = own.expression[:, model.expression_index("jawOpen")].numpy()
    taken = np.where(planned.parts[0] == 0, np.arange(len(jaw)), person.frames[planned.parts[0] - 1])
    assert np.abs(jaw[taken] - jaw[::-1]).mean() < 0.5 * np.abs(jaw - jaw[::-1]).mean()
    assert max(planned.drawn[0]) == 0


def test_where_the_pose_is_taken_the_nearest_frame_of_the_same_shot_is_underneath(model, target, track):
    """The clip's own performance backwards: each frame's face is in the clip."""
    own = shown(track.parameters.expanded(), model)
    backwards = {name: getattr(own, name).flip(0) for name in ("expression", "rotation", "translation")}
    taken = lambda person, base: np.where(base == 0, np.arange(len(track)), person.frames[base - 1])  # noqa: E731
    person, count = Person.of(target, SMALL), len(track)
    base = plan(person, own.replace(**backwards), range(count)).base
    assert np.abs(taken(person, base) - np.arange(count)[::-1]).mean() < 1
    status = track.status.clone()
    status[count // 2] |= int(FrameStatus.CUT)
    cut = Person.of(Clip.of_track(replace(track, status=status), target.frames, model), SMALL)
    shots = np.arange(count) >= count // 2
    base = plan(cut, own.replace(**backwards), range(count)).base
    assert (shots[taken(cut, base)] == shots).all()


def test_a_mouth_that_shows_something_else_is_cut_and_the_frame_underneath_is_always_moved(model, target, track):
    own, order = shown(track.parameters.expanded(), model), range(len(track))
    backwards = own.replace(**{n: getattr(own, n).flip(0) for n in ("expression", "rotation", "translation")})
    half = own.replace(expression=own.expression.roll(len(track) // 2, 0))  # the jaw snaps shut in the middle
    strict, lenient = (Person.of(target, replace(SMALL, worse=mm, jump=0.1)) for mm in (1e-9, 1e9))
    blends = lambda shares: sum(len(states) == 2 for states in shares)  # noqa: E731
    assert blends(plan(strict, backwards, order).beneath) == blends(plan(lenient, backwards, order).beneath) > 0
    assert blends(plan(strict, half, order).shares[0]) < blends(plan(lenient, half, order).shares[0])


def test_a_frame_of_another_light_is_not_underneath(model, target, track):
    p = track.parameters
    illumination = p.illumination.clone()
    illumination[len(track) // 2 :] *= 0.4
    person = Person.of(
        Clip.of_track(track.with_parameters(p.replace(illumination=illumination)), target.frames, model), SMALL
    )
    asked = person.parameters.replace(rotation=p.rotation.flip(0))
    base = plan(person, asked, range(len(track))).base
    dark = np.arange(len(track)) >= len(track) // 2
    assert (dark[np.where(base == 0, np.arange(len(track)), person.frames[base - 1])] == dark).all()


def test_a_head_does_not_tremble(model, target, track):
    person, p = Person.of(target, SMALL), track.parameters
    trembling = p.rotation + 0.02 * torch.tensor([1.0, -1.0]).repeat(len(track) // 2)[:, None]
    calm = steadied(p.replace(rotation=trembling).expanded(), track, person).rotation
    assert (calm - p.rotation).abs()[2:-2].max() < 0.006


def test_a_mouth_that_the_clip_never_opened_is_drawn(model, target, track):
    shut = model.expression_index("jawOpen")
    p = track.parameters
    expression = p.expression.clone()
    expression[:, shut] = 0
    closed = track.with_parameters(p.replace(expression=expression))
    person = Person.of(Clip.of_track(closed, target.frames, model), SMALL)
    own = shown(closed.parameters.expanded(), model)
    wide = own.replace(expression=own.expression.index_fill(-1, torch.tensor([shut]), 0.8))
    assert min(plan(person, wide, range(len(track))).drawn[0]) > 0.5


def test_what_does_not_belong_together_is_refused(model, target, track):
    with pytest.raises(PortraitError, match="frames of 160 x 120"):
        Face2Face(SMALL).animate(None, target, Clip.of_track(replace(track, width=80), None, model))
    mixed = replace(track, facts={**track.facts, "target_frames": [0]})
    with pytest.raises(PortraitError, match="own track"):
        Face2Face(SMALL).animate(None, Clip.of_track(mixed, target.frames, model), Clip.of_track(mixed, None, model))


def test_live_shows_what_is_asked_for(model, target, track):
    live = Face2Face(SMALL).live(None, target)
    p = track.parameters.expanded()
    truth, where = drawn(model, track.parameters)
    keep = [k for k in range(len(track)) if k not in (5,)]
    result = [live(p[k]) for k in keep]
    assert live.size == (160, 120) and result[0].shape == (120, 160, 3)
    policy = live.person.policy  # coarser, and nothing of a kept frame is left to be looked at
    assert policy.resolution == POLICY.live_resolution and not policy.cubic
    assert sorted(live.person._sources) == list(range(len(live.person.frames)))
    assert error(result, truth[keep], where[keep]) < 6


def test_where_a_mouth_is_drawn_is_said(model, target, track):
    method = Face2Face(SMALL)
    list(method.animate(None, target, Clip.of_track(track, None, model)))
    assert method.notes() == []
    shut = torch.tensor([model.expression_index("jawOpen")])
    half = track.parameters.expression.index_fill(-1, shut, 0.05)
    wide = track.with_parameters(track.parameters.replace(expression=half.index_fill(-1, shut, 0.9)))
    closed = Clip.of_track(track.with_parameters(track.parameters.replace(expression=half)), target.frames, model)
    list(method.animate(None, closed, Clip.of_track(wide, None, model)))
    assert "drawn there, not retrieved" in method.notes()[0]


def test_what_is_hidden_is_neither_taken_nor_painted_over(model, target, track):
    """A black bar before the mouth of the frames that open it; the others' mouths open by their own drawing."""
    count, jaw = len(track), model.expression_index("jawOpen")
    behind = np.arange(count) < 4
    mouth = torch.where(torch.from_numpy(behind), 0.1, 1.0)
    seen = replace(track, visibility={"mouth": mouth, "nose": torch.ones(count)})
    person = Person.of(Clip.of_track(seen, target.frames, model), SMALL)
    assert person.covered.shape == (2, count) and (person.covered[0] == behind).all() and not person.covered[1].any()
    own = shown(track.parameters.expanded(), model)
    wide = own.replace(expression=own.expression.index_fill(-1, torch.tensor([jaw]), 1.0))
    planned = plan(person, wide, range(count))
    taken = person.frames[planned.parts[0][planned.parts[0] > 0] - 1]
    assert len(taken) and not behind[taken].any()
    assert (planned.covered[0] == behind).all() and not planned.drawn[0][:4].any()
    free = plan(Person.of(target, SMALL), wide, range(count))
    assert behind[person.frames[free.parts[0][free.parts[0] > 0] - 1]].any()
    tracked = torch.nonzero(track.tracked).flatten().tolist()
    assert unhidden(replace(seen, visibility={"mouth": torch.zeros(count)})).tolist() == tracked
    lost = replace(track, status=torch.where(torch.from_numpy(behind), 0, track.status))
    known, same, whole = (
        person_texture(model, Clip.of_track(t, target.frames, model), 32, 3) for t in (seen, lost, track)
    )
    assert torch.equal(known[0], same[0]) and not torch.equal(known[0], whole[0])
