"""Small pictures explained pixel by pixel."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import skimage.data
import torch

import fitting
from benchmarks.faults import PICTURE_FAULTS
from benchmarks.measures import rotation_degrees, vertex_distances
from fitting.landmarks.base import Face
from fitting.observation.crop import Observation, observe
from fitting.policy.belief import BY_PIXELS, NOISE_OF_PIXELS, oddness
from fitting.small import solve_small
from fitting.tracking.frame import Fitter
from fitting.tracking.shared import solve_shared
from renderer import Camera, axis_angle, render
from synthetic import make_scene
from tests.fitting.test_pixels import pixels_of, state_of

SEEDS = 302, 303


def distance(model, identity, scene) -> float:
    """Median mm over the face, size taken out."""
    face = model.regions["face"]
    true = model.vertices(scene.truth.identity)[face]
    return float(np.median(vertex_distances(model.vertices(identity)[face], true, enlarge=True)))


def sources(scene, off: float) -> list[Observation]:
    """Landmarks true to half a pixel, and others that are ``off`` px away."""
    noise = np.random.default_rng(0).normal(0, 0.5, scene.landmarks[0].shape)
    faces = [Face(scene.landmarks[0] + noise + shift, "mediapipe478", 1.0) for shift in (0, off)]
    return [observe(scene.pictures[0], face, (64, 128, 256)) for face in faces]


@pytest.fixture(scope="module")
def solutions(model):
    """By seed: the scene, and results with landmarks in dispute and without."""
    out = {}
    with torch.inference_mode():
        for seed in SEEDS:
            scene = make_scene(model, seed, 1, 512, PICTURE_FAULTS["small"])
            fitter = Fitter(model, "mediapipe478", 1.2 * scene.camera.width)
            out[seed] = scene, [solve_shared(fitter, sources(scene, off)) for off in (3.0, 0.0)]
    return out


def test_people_are_found_where_landmarks_are_in_dispute(model, solutions):
    ratios = []
    for scene, results in solutions.values():
        mean = distance(model, torch.zeros_like(scene.truth.identity), scene)
        ratios.append([distance(model, r.state.identity, scene) / mean for r in results])
        assert results[0].by_pixels and results[0].clean and results[0].source == 0
        assert not results[1].by_pixels and not results[1].clean
    assert all(disputed < 0.6 and disputed < 0.8 * usual for disputed, usual in ratios)


def test_a_small_picture_s_frame_is_its_solution(model, solutions):
    """Samples of the surface say less of the pose than its pixels do, so the frame keeps what those gave."""
    scene, (found, _) = solutions[SEEDS[0]]
    fitter = Fitter(model, "mediapipe478", 1.2 * scene.camera.width)
    with torch.inference_mode():
        seen = sources(scene, 0.0)[0]
        fitter.adapt(1.0)
        solved, moved = (
            fitter.track(seen, None, found.state.frame(0), near=True, solved=solved) for solved in (True, False)
        )
    assert torch.equal(solved.state.rotation, found.state.rotation)
    assert not torch.equal(moved.state.rotation, found.state.rotation)
    assert solved.energies["converged"] == 1 and solved.energies["photometric"] < 20
    true = state_of(scene.truth).rotation
    assert rotation_degrees(axis_angle(found.state.rotation), axis_angle(true)) < 3


def test_noise_and_spread_are_those_of_the_picture(model, solutions):
    scene, (found, _) = solutions[SEEDS[0]]
    fitter = Fitter(model, "mediapipe478", 1.2 * scene.camera.width)
    with torch.inference_mode():
        result = solve_small(fitter, found.state, [pixels_of(scene)])
        again = solve_small(fitter, found.state, [pixels_of(scene)])
    assert 1 / 255 < result.noise < 4.5 / 255  # a camera's 1 to 4, and JPEG's
    assert torch.equal(result.state.identity, again.state.identity)
    spread = found.spread["identity"]
    assert (spread > 0).all() and (spread < 1).all() and spread[0] < spread[-1]


def test_two_pictures_of_one_person(model):
    """From two sides, in two lights; each frame's own unknowns are those of its picture."""
    first, second = (make_scene(model, seed, 1, 512, PICTURE_FAULTS["small"]) for seed in (305, 306))
    truth = second.truth.replace(identity=first.truth.identity, reflectance=first.truth.reflectance)
    size, lens = first.camera.width, float(first.truth.focal)
    near = truth.translation[:, 2] * lens / float(truth.focal)  # as large with the first one's lens
    truth = truth.replace(translation=torch.cat([truth.translation[:, :2], near[:, None]], 1), focal=first.truth.focal)
    maps = render(model, truth, Camera(lens, size, size), ("diffuse", "mask"), supersample=8)
    noise = torch.randn(size, size, 3, generator=torch.Generator().manual_seed(0)) / 100
    other = (maps["diffuse"][0] + (1 - maps["mask"][0]) * 0.4 + noise).clamp(0, 1)
    seen = [pixels_of(first), replace(pixels_of(first), picture=other)]
    states = state_of(first.truth), state_of(truth)
    own = {n: torch.cat([getattr(s, n) for s in states]) for n in ("rotation", "translation", "gaze", "light")}
    start = replace(states[0], **own, identity=0.5 * states[0].identity, expression=torch.zeros(2, 52))
    fitter = Fitter(model, "mediapipe478", 1.2 * size, focal=lens)
    done = []
    with torch.inference_mode():
        result = solve_small(fitter, start, seen, lambda: done.append(1))
    assert len(result.state) == 2 and done
    assert torch.equal(result.state.log_focal, start.log_focal)  # it is known
    turned = rotation_degrees(axis_angle(result.state.rotation), axis_angle(start.rotation))
    assert turned.max() < 3 and not torch.allclose(result.state.light[0], result.state.light[1], atol=0.1)
    mean = distance(model, torch.zeros_like(start.identity), first)
    assert distance(model, result.state.identity, first) < 0.5 * mean
    assert result.matrix.shape[0] == len(result.held) == fitter.layout.shared + 2 * (fitter.layout.frame + 1)


def test_photographs_are_explained_by_nobody(model):
    """A photograph reduced to a face of 40 px: its pixels are explained by colours or lights that nobody has."""
    picture = skimage.data.astronaut()
    detector = fitting.make_detector()
    scale = 40 / detector.detect(picture)[0].size
    small = np.ascontiguousarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    face = detector.detect(small)[0]
    seen = observe(small, face, (64, 128, 256))
    fitter, tried = Fitter(model, "mediapipe478", 1.2 * len(small)), []

    def solve(*args):
        tried.append(solve_small(*args))
        return tried[-1]

    with torch.inference_mode(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("fitting.tracking.shared.solve_small", solve)
        result = solve_shared(fitter, [seen, seen.with_landmarks([replace(face, points=face.points + 3)])])
    assert not result.clean and len(tried) == 2
    assert all(r.noise > NOISE_OF_PIXELS or oddness(r.state, BY_PIXELS) == np.inf for r in tried)
