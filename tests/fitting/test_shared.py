"""The solution over key frames: when colours are trusted, what is hidden or in a shadow, and what that gives."""

import contextlib
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import skimage.data
import torch

import fitting
from benchmarks.faults import PICTURE_FAULTS
from benchmarks.measures import vertex_distances
from facemodel.people import people_of
from fitting.energy.priors import IdentityPrior, relative_sizes
from fitting.landmarks.base import Face
from fitting.observation.crop import Observation, observe
from fitting.policy.colour_trust import ColourTrust, TrustLimits, terms_at
from fitting.policy.settings import JointSchedule, Occlusion, Settings
from fitting.policy.weights import Priors
from fitting.tracking.frame import Fitter
from fitting.tracking.shared import directions_spread, implausibility, solve_shared
from geometry.rotation import rotation_matrix
from synthetic import make_scene
from tests.fitting.rendered import FAST, Frames, KnownLandmarks

SIZE = 384
NEVER = TrustLimits(0.0, 0.0, 0.0)
NOT_TRUSTING = Settings(trust=ColourTrust(whole=NEVER, masked=NEVER))
THINGS_STAY = Settings(occlusion=Occlusion(hidden=2.0, some=2.0))


def solved(model, picture, points, settings=None):
    settings = settings or Settings()
    fitter = Fitter(model, "mediapipe478", 1.2 * len(picture), None, settings)
    with torch.inference_mode():
        return solve_shared(fitter, observe(picture, Face(points, "mediapipe478", 1.0), settings.joint_levels or (64,)))


def test_synthetic_people_are_found_where_colours_are_trusted(model):
    """Landmarks are true to 1.5 px. The solution as it is on photographs is beside it, and the mean face."""
    face, ratios = model.regions["face"], {True: [], False: []}
    for seed in (300, 301, 302, 303):
        scene = make_scene(model, seed, 1, SIZE)
        noise = np.random.default_rng(seed).normal(0, 1.5, scene.landmarks[0].shape)
        true = model.vertices(scene.truth.identity)[face]
        mean = np.median(vertex_distances(model.mean[face], true, enlarge=True))
        for trusting, found_ratios in ratios.items():
            settings = Settings() if trusting else NOT_TRUSTING
            result = solved(model, scene.pictures[0], scene.landmarks[0] + noise, settings)
            found = model.vertices(result.state.identity)[face]
            found_ratios.append(np.median(vertex_distances(found, true, enlarge=True)) / mean)
            assert not result.trusted or trusting
    assert np.median(ratios[True]) < 0.5
    assert np.median(ratios[True]) < 0.8 * np.median(ratios[False])


def test_colours_that_nobody_has_explain_nothing(model):
    """An orange skin under a light from nowhere isn't trusted, however well it explains the picture."""
    scene = make_scene(model, 300, 1, SIZE)
    result = solved(model, scene.pictures[0], scene.landmarks[0])
    state, trust = result.state, ColourTrust()
    assert result.trusted and 0 < implausibility(state, trust) < trust.whole.implausible
    bands = torch.tensor([1.0] + [2.5] * 8)[:, None]
    assert implausibility(replace(state, light=state.light * bands), trust) == np.inf
    assert implausibility(replace(state, reflectance=state.reflectance + 0.5), trust) == np.inf
    strict = Settings(trust=ColourTrust(most_tinted=1e-6))
    assert not solved(model, scene.pictures[0], scene.landmarks[0], strict).trusted


def test_heads_keep_to_the_size_of_grown_ups(model, monkeypatch):
    """Of a model of which no more is known than its blocks say."""
    monkeypatch.setattr("fitting.tracking.frame.people_of", lambda model: None)
    scene = make_scene(model, 303, 1, SIZE)
    found = {}
    for std in (0.005, 1.0):
        settings = Settings(joint_levels=(), joint_steps=(), priors=Priors(size=std))
        identity = solved(model, scene.pictures[0], scene.landmarks[0], settings).state.identity
        found[std] = abs(float(relative_sizes(model) @ identity))
    assert found[0.005] < 0.02 and found[0.005] < 0.5 * found[1.0]


def test_heads_are_as_large_as_people_s(model):
    """People differ by 5 % in size; what is spread evenly beyond that knows children, too."""
    scene = make_scene(model, 303, 1, SIZE)
    found = {}
    for rest in (1e-4, 10.0):
        settings = Settings(joint_levels=(), joint_steps=(), priors=Priors(people_rest=rest))
        identity = solved(model, scene.pictures[0], scene.landmarks[0], settings).state.identity
        found[rest] = abs(float(relative_sizes(model) @ identity))
    assert found[1e-4] < 0.06 and found[1e-4] < 0.5 * found[10.0]


def test_landmarks_of_few_small_pictures_count_less(model):
    """In a face of 50 px they say less of who it is than they would if they counted as in a large picture."""
    lengths = {True: [], False: []}
    for seed in (300, 301, 303):
        scene = make_scene(model, seed, 1, 96)
        points = scene.landmarks[0] + np.random.default_rng(seed).normal(0, 1.5, scene.landmarks[0].shape)
        for less, found in lengths.items():
            settings = Settings() if less else Settings(joint=JointSchedule(landmark_side=1.0))
            identity = solved(model, scene.pictures[0], points, settings).state.identity
            found.append(float((identity - people_of(model).mean).norm()))
    assert all(less < 0.6 * more for less, more in zip(*lengths.values()))


def test_a_photograph_s_colours_are_not_trusted():
    track = fitting.fit_image(skimage.data.astronaut()[:300, 50:400])
    assert track.facts["colours_trusted"] is False
    assert track.facts["unexplained"] > 0.01


@pytest.mark.parametrize(("fault", "seeds"), [("occluder", (312, 315)), ("shadow", (303, 309))])
def test_what_is_hidden_or_in_a_shadow_has_no_say(model, fault, seeds):
    """People of whom all pixels together lead to somebody else."""
    face = model.regions["face"]
    for seed in seeds:
        errors = {}
        scene = make_scene(model, seed, 1, SIZE, PICTURE_FAULTS[fault])
        true = model.vertices(scene.truth.identity)[face]
        for masked in (True, False):
            settings = Settings() if masked else THINGS_STAY
            result = solved(model, scene.pictures[0], scene.landmarks[0], settings)
            assert result.masked == masked
            found = model.vertices(result.state.identity)[face]
            errors[masked] = np.median(vertex_distances(found, true, enlarge=True))
        assert errors[True] < 0.8 * errors[False]


def test_several_frames_solution_is_at_rest_after_its_steps(model):
    """What several views tell, parallax, is flat beside all else: twice as many steps lead nowhere else."""
    scene, face, size = make_scene(model, 301, 3, 256), model.regions["face"], 256
    seen = Observation.concatenate(
        [
            observe(picture, Face(points, "mediapipe478", 1.0), Settings().joint_levels)
            for picture, points in zip(scene.pictures, scene.landmarks)
        ]
    )
    found = []
    for times in (1, 2):
        settings = replace(NOT_TRUSTING, joint_steps=tuple(times * n for n in Settings().joint_steps))
        with torch.inference_mode():
            state = solve_shared(Fitter(model, "mediapipe478", 1.2 * size, None, settings), seen).state
        found.append(model.vertices(state.identity)[face])
    assert (found[0] - found[1]).norm(dim=-1).median() < 0.005  # mm


def test_key_frames_that_err_alike_tell_less_of_who_it_is(model):
    """The same solution with wider spreads; those of a lone picture are as ever."""
    scene, found = make_scene(model, 301, 3, 256), {}
    for count in (1, 3):
        shown = zip(scene.pictures[:count], scene.landmarks)
        seen = [observe(picture, Face(points, "mediapipe478", 1.0), (64,)) for picture, points in shown]
        for alike in (0.0, 0.3):
            settings = Settings(joint_levels=(), joint_steps=(), joint=JointSchedule(alike=alike))
            with torch.inference_mode():
                fitter = Fitter(model, "mediapipe478", 1.2 * 256, None, settings)
                found[count, alike] = solve_shared(fitter, Observation.concatenate(seen))
    assert torch.equal(found[3, 0.0].state.identity, found[3, 0.3].state.identity)
    ratio = found[3, 0.3].spread["identity"] / found[3, 0.0].spread["identity"]
    assert (ratio > 0.999).all() and (ratio < 1.6**0.5 + 1e-3).all() and ratio.max() > 1.05  # 3 frames as 3 / 1.6
    torch.testing.assert_close(found[1, 0.3].spread["identity"], found[1, 0.0].spread["identity"])


def test_a_picture_that_the_network_does_not_understand_counts_as_a_whole(model):
    scene = make_scene(model, 312, 1, SIZE, PICTURE_FAULTS["occluder"])
    nothing = torch.tensor([0.02, 0.02, 0.96])[None, :, None, None].expand(1, 3, 64, 64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fitting.tracking.shared.seen_parts", lambda seen: nothing)
        blind = solved(model, scene.pictures[0], scene.landmarks[0])
    whole = solved(model, scene.pictures[0], scene.landmarks[0], THINGS_STAY)
    assert not blind.masked
    torch.testing.assert_close(blind.state.identity, whole.state.identity)
    torch.testing.assert_close(blind.state.reflectance, whole.state.reflectance)


def test_a_photograph_half_in_shadow_keeps_its_skin(model):
    """A shadow below the nose. With one light for all of the face, it would give her a beard."""
    picture = skimage.data.astronaut()[:300, 50:400].astype(np.float32)
    picture[130:] *= 0.25 ** (1 / 2.2)
    face, nose = model.regions["face"], model.mean[model.regions["nose"]][:, 1].mean()
    below = model.mean[face][:, 1] < nose
    contrast, visible = {}, {}
    for masked in (True, False):
        settings = Settings() if masked else THINGS_STAY
        track = fitting.fit_image(picture.astype(np.uint8), model=model, settings=settings)
        assert track.facts["masked"] == masked and not track.facts["colours_trusted"]
        albedo = model.albedo(track.parameters.reflectance)[face].mean(1)
        contrast[masked] = float((albedo[below].mean() / albedo[~below].mean()).log().abs())
        visible[masked] = float(track.energies["visible"][0])
    assert contrast[True] < 0.5 * contrast[False]
    assert visible[True] < 0.8 * visible[False]  # the frame is tracked by what is lit


def test_hair_over_the_forehead_does_not_colour_the_skin(model):
    """The astronaut's is blond. What isn't skin says nothing of the reflectance; the shape is the same."""
    picture = skimage.data.astronaut()[:300, 50:400]
    forehead = model.regions["face"] & (model.mean[:, 1] > model.mean[model.regions["brows"]][:, 1].max())
    cheeks = model.regions["face"] & ~forehead & ~model.regions["lips"] & ~model.regions["brows"]
    tint, identity = {}, []
    for of_skin in (True, False):
        settings = Settings() if of_skin else Settings(occlusion=Occlusion(some=2.0))
        p = fitting.fit_image(picture, model=model, settings=settings).parameters
        identity.append(p.identity)
        above, below = (model.albedo(p.reflectance)[part].mean(0) for part in (forehead, cheeks))
        tint[of_skin] = float(((above[0] / above[2]) / (below[0] / below[2])).log().abs())  # red over blue
    assert tint[True] < 0.5 * tint[False]
    torch.testing.assert_close(*identity)


def test_landmarks_alone(model):
    scene = make_scene(model, 301, 1, SIZE)
    result = solved(model, scene.pictures[0], scene.landmarks[0], Settings(joint_levels=(), joint_steps=()))
    assert result.state.identity.norm() > 0.5 and not result.trusted
    assert torch.equal(result.state.reflectance, torch.zeros_like(result.state.reflectance))
    prior = IdentityPrior.of_people(people_of(model), Priors()).stds
    assert (result.spread["identity"] > 0).all() and (result.spread["identity"] <= 1.001 * prior).all()


def test_terms_go_from_the_settings_to_trusting_ones():
    s = Settings()
    usual, half, trusting = (terms_at(s, trust) for trust in (0.0, 0.5, 1.0))
    assert usual.still == usual.moving == s.weights and usual.joint == s.joint_weights
    assert usual.detail == s.priors.detail and trusting.detail == pytest.approx(s.trust.detail)
    assert trusting.joint.colour_scale == pytest.approx(s.trust.colour_scale)
    assert trusting.still.landmarks == pytest.approx(s.trust.landmarks * s.weights.landmarks)
    assert trusting.still.landmarks < trusting.moving.landmarks < usual.moving.landmarks
    assert trusting.detail < half.detail < usual.detail
    alone = terms_at(s, 0.0, few=True)
    assert alone.still == s.joint.few_still and alone.moving == s.weights
    assert terms_at(s, 1.0, few=True) == trusting
    half, sides = (terms_at(s, 0.0, parallax=share) for share in (0.5, 1.0))
    assert sides.still == sides.moving == s.joint.parallax_frame and sides.joint == usual.joint
    assert half.still.landmarks == pytest.approx((s.weights.landmarks + s.joint.parallax_frame.landmarks) / 2)
    assert half.still.colour == pytest.approx((s.weights.colour + s.joint.parallax_frame.colour) / 2)
    assert terms_at(s, 1.0, parallax=1.0) == trusting


def test_the_larger_a_face_the_more_its_colours_count_once_its_samples_albedo_is_known():
    s = Settings()
    known = terms_at(s, 0.0, clip=True)
    small, half, large, larger = (known.of_frame(near, share * s.joint.full_side) for near, share in
                                  ((True, 0.0), (False, 0.5), (True, 1.0), (False, 3.0)))  # fmt: skip
    assert small == s.weights and large == larger == s.large
    assert half.colour == pytest.approx(s.weights.colour + 0.25 * (s.large.colour - s.weights.colour))
    assert s.large.colour > 2 * s.weights.colour and s.large.landmarks == s.weights.landmarks
    for told_less in (terms_at(s, 0.0), terms_at(s, 0.0, few=True), terms_at(s, 1.0, clip=True)):
        assert [told_less.of_frame(near, 1e3) for near in (True, False)] == [told_less.still, told_less.moving]


def test_a_lone_photographs_frame_is_fitted_to_its_picture_by_weights_of_its_own(model):
    """Its identity stays as it was found. With the weights of that, so does its expression; else it comes nearer."""
    picture, plain = skimage.data.astronaut()[:300, 50:400], Settings()
    alike = replace(plain, joint=replace(plain.joint, few_still=plain.joint.few_weights))
    with contextlib.closing(fitting.make_detector()) as detector:
        points = detector.detect(picture)[0].points
        nearer, same = (
            fitting.fit_image(picture, model=model, detector=detector, settings=settings) for settings in (plain, alike)
        )
    together = solved(model, picture, points).state
    assert together.expression.abs().mean() > 0.05
    assert (same.parameters.expression - together.expression).abs().mean() < 0.01
    assert torch.equal(nearer.parameters.identity, same.parameters.identity)
    assert nearer.energies["landmarks"] < 0.9 * same.energies["landmarks"]


def test_landmarks_count_less_where_photographs_show_a_head_from_many_sides(model):
    """Those of a clip count as ever."""
    turn = lambda *angles: torch.tensor([[0.0, a, 0.0] for a in angles])  # noqa: E731
    scene = make_scene(model, 310, 3, 192)
    found = {}
    for name, angles in (("turned", (-0.5, 0.0, 0.5)), ("facing", (0.0, 0.01, 0.02))):
        state = SimpleNamespace(rotation=rotation_matrix(turn(*angles)))
        found[name] = directions_spread(state)
    assert found["turned"] == pytest.approx(np.sqrt((2 * np.sin(0.5) ** 2 + 2 / 3 * (1 - np.cos(0.5)) ** 2) / 3), 1e-4)
    assert found["facing"] < 0.01
    seen = Observation.concatenate(
        [observe(p, Face(m, "mediapipe478", 1.0), (64,)) for p, m in zip(scene.pictures, scene.landmarks)]
    )
    identities, told = {}, {}
    for parallax, ordered in ((1e9, True), (1e9, False), (1e-9, True), (1e-9, False)):
        joint = replace(JointSchedule(), parallax=parallax, coarse_steps=1)
        settings = replace(NOT_TRUSTING, joint=joint, joint_levels=(64,), joint_steps=(2,))
        fitter = Fitter(model, "mediapipe478", 230.0, None, settings)
        with torch.inference_mode():
            result = solve_shared(fitter, seen, ordered=ordered)
        identities[parallax, ordered], told[parallax, ordered] = result.state.identity, result.parallax
    assert torch.equal(identities[1e9, True], identities[1e-9, True])
    assert torch.equal(identities[1e9, True], identities[1e9, False])
    assert (identities[1e9, False] - identities[1e-9, False]).abs().max() > 0.05
    share = min(1.0, float(seen.side.median()) / JointSchedule().full_side)
    assert list(told.values()) == pytest.approx([0, 0, 0, share], abs=1e-6)


def test_photographs_from_many_sides_go_by_their_colours(model, clip):
    """Landmarks are 2 px off, alike in all of them. A clip's frames would go nearer to those."""
    _, pictures, points = clip
    off = np.random.default_rng(0).normal(0, 2, points[0].shape)
    detector = KnownLandmarks([p + off for p in points])
    joint = JointSchedule(parallax=0.01, coarse_steps=2)
    sides = replace(FAST, trust=NOT_TRUSTING.trust, joint=joint, joint_levels=(64,), joint_steps=(4,))
    alike = replace(sides, joint=replace(sides.joint, parallax_frame=sides.weights))
    found, usual = (
        fitting.fit_images(pictures[::3], model=model, detector=detector, settings=s) for s in (sides, alike)
    )
    assert torch.equal(found.parameters.identity, usual.parameters.identity)
    assert (found.energies["photometric"] < usual.energies["photometric"]).all()
    assert (found.energies["landmarks"] > 1.02 * usual.energies["landmarks"]).all()


def test_frames_of_a_clip_go_by_the_colours_of_a_large_face_and_photographs_do_not(model, clip):
    _, pictures, points = clip
    off = np.random.default_rng(0).normal(0, 2, points[0].shape)
    detector = KnownLandmarks([p + off for p in points])
    joint = JointSchedule(parallax=1e9, coarse_steps=2, full_side=60.0)
    large = replace(FAST, trust=NOT_TRUSTING.trust, joint=joint, joint_levels=(64,), joint_steps=(4,))
    small = replace(large, large=large.weights)
    some = pictures[::3]
    photographs = [fitting.fit_images(some, model=model, detector=detector, settings=s) for s in (large, small)]
    assert torch.equal(photographs[0].parameters.expression, photographs[1].parameters.expression)
    found, usual = (fitting.fit_video(Frames(some), model=model, detector=detector, settings=s) for s in (large, small))
    assert torch.equal(found.parameters.identity, usual.parameters.identity)
    assert (found.energies["photometric"] < usual.energies["photometric"]).all()
    assert (found.energies["landmarks"] > usual.energies["landmarks"]).all()
