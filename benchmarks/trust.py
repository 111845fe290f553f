"""Does the confidence of a frame predict its error?

Frames of synthetic people, whose truth is known, and of real clips, where the fit of the untouched frame stands for it,
are spoiled: hidden, darkened, blurred, made noisy or small, or fitted to landmarks that are shifted, turned, scaled,
upside down or scattered. Each is fitted with the identity that the untouched frames gave. A fit is bad where its
landmarks are off by more than `OFF` of the face's size, or its pose by more than `TURNED` degrees.

Printed: area under the ROC of confidence against either, over the people that nothing was chosen on, and the share of
``uncertain`` frames by brightness of skin and of the picture, the larger over the smaller. Each synthetic person is
drawn twice, with dark and light skin and all else the same, and each frame at three exposures. There only what is as
good, or as bad, at all of them counts, so that the shares are of equal errors.

    python -m benchmarks.trust [--people N] [--clips FOLDER]
    python -m benchmarks.trust --choose      # fits `fitting.policy.confidence.Calibration` to the other people
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch

import facemodel
from facemodel.landmark_schemes import MEDIAPIPE478
from fitting import QUALITIES, make_detector
from fitting.landmarks.base import Face
from fitting.observation.crop import Observation, cut_out, observe
from fitting.policy.confidence import FIGURES, Calibration, confidence, face_brightness, figures
from fitting.tracking.frame import Fitter
from fitting.tracking.shared import solve_shared
from fitting.tracking.start import focal_from_frame
from geometry.rotation import rotation_matrix
from portrait.video import VideoReader
from portrait.video.sample import carphone
from synthetic.camera_effects import CameraEffects
from synthetic.clips import draw, random_performance, true_landmarks

OFF, TURNED = 0.05, 7.0
FRAMES = 4  # of a person
EXPOSURES = (1.0, 0.5, 0.25)  # of light
SIZE = 288  # px, of synthetic pictures
SKINS = {"darker": 0.07, "lighter": 0.35}  # mean luminance of the albedo
GOOD = 0.7  # share of good fits that the confidence is calibrated for
RIDGE = 0.03
BOUNDS = ((0.3, 9), (0, 1), (0, 99), (0.5, 2), (0.5, 2), (0, 2))  # of what each of `FIGURES` takes
LUMINANCE = (0.2126, 0.7152, 0.0722)


@dataclass(frozen=True)
class Case:
    """A fitted frame."""

    person: int
    frame: int
    kind: str
    exposure: float
    skin: str  # one of `SKINS`; "" of real people
    energies: dict[str, float]
    landmarks: float  # error, of the face's size
    turned: float  # degrees

    @property
    def bad(self) -> bool:
        return self.landmarks > OFF or self.turned > TURNED


def darker(picture: np.ndarray, exposure: float) -> np.ndarray:
    return np.round(255 * (picture / 255) * exposure ** (1 / 2.2)).astype(np.uint8)


def spoiled(picture: np.ndarray, face: Face, kind: str, g: np.random.Generator) -> np.ndarray:
    """An (H, W, 3) uint8 picture with something between the camera and the face, or a worse camera."""
    out, size = picture.copy(), face.size
    if kind == "hidden":
        board = cv2.resize(g.integers(0, 255, (6, 6, 3), np.uint8), (out.shape[1], out.shape[0]))
        angle, share = g.uniform(0, 2 * np.pi), g.uniform(0.0, 0.35)
        y, x = np.indices(out.shape[:2])
        side = (x - face.centre[0]) * np.cos(angle) + (y - face.centre[1]) * np.sin(angle) > share * size - 0.2 * size
        out[side] = board[side]
    elif kind == "blurred":
        out = cv2.GaussianBlur(out, (0, 0), g.uniform(0.02, 0.08) * size)
    elif kind == "noisy":
        out = np.clip(out + g.normal(0, g.uniform(10, 60), out.shape), 0, 255).astype(np.uint8)
    elif kind == "small":
        scale = g.uniform(16, 50) / size
        little = cv2.resize(out, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        out = cv2.resize(little, out.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return out


def misplaced(face: Face, kind: str, g: np.random.Generator) -> Face:
    """A face whose landmarks are wrong."""
    points, centre = face.points - face.centre, face.centre
    sign = g.choice([-1, 1])
    if kind == "shifted":
        centre = centre + face.size * g.uniform(0.03, 0.4) * sign * np.array([1, g.uniform(-1, 1)])
    elif kind == "turned":
        a = np.radians(g.uniform(5, 60)) * sign
        points = points @ np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
    elif kind == "scaled":
        points = points * g.choice([g.uniform(0.6, 0.93), g.uniform(1.08, 1.5)])
    elif kind == "upside down":
        points = -points
    elif kind == "scattered":
        points = points + g.normal(0, g.uniform(0.02, 0.12) * face.size, points.shape)
    return replace(face, points=points + centre)


PICTURES, LANDMARKS = (
    ("hidden", "blurred", "noisy", "small"),
    ("shifted", "turned", "scaled", "upside down", "scattered"),
)


def cases_of(person: int, pictures, fitter: Fitter, detector, truth=None, skin: str = "") -> list[Case]:
    """truth: (landmarks (F, 478, 2) px, rotations (F, 3, 3)); None takes the fits of the pictures as they are."""
    g, model, settings = np.random.default_rng(person), fitter.model, fitter.settings
    faces = [next(iter(detector.detect(p)), None) for p in pictures]
    kept = [k for k, face in enumerate(faces) if face is not None]
    if not kept:
        return []
    crops = [cut_out(pictures[k], faces[k], max(settings.joint_levels)).observe(settings.joint_levels) for k in kept]
    shared = solve_shared(fitter, [Observation.concatenate(crops)]).state

    def fit(picture, face):
        seen = observe(picture, face, settings.levels)
        result = fitter.track(seen, None, fitter.start(seen, shared))
        p = result.state.parameters().expanded()
        vertices = model.vertices(p.identity, p.expression, p.gaze, p.joints)
        points = model.landmarks(vertices, MEDIAPIPE478.name)[0] @ result.state.rotation[0].T
        placed = points * points.new_tensor([1.0, -1.0, -1.0]) + result.state.translation[0]
        shown = placed[:, :2] / placed[:, 2:] * result.state.log_focal.exp() + seen.frame_centre
        energies = result.energies | {"brightness": face_brightness(seen), "detector": face.confidence}
        return shown.double().numpy(), result.state.rotation[0].double().numpy(), energies

    out = []
    for k in kept:
        picture, face = pictures[k], faces[k]
        if truth is None:
            points, rotation, _ = fit(picture, face)
        else:
            points, rotation = truth[0][k], truth[1][k]
        size = float((points.max(0) - points.min(0)).max())
        for kind in ("as it is", *PICTURES, *LANDMARKS):
            worse = spoiled(picture, face, kind, g)
            base = misplaced(face, kind, g)
            for exposure in EXPOSURES if kind not in ("blurred", "small") else (1.0,):
                dark = darker(worse, exposure)
                shown = base if kind in LANDMARKS else next(iter(detector.detect(dark)), None)
                if shown is None:
                    continue
                found, turn, energies = fit(dark, shown)
                angle = np.degrees(np.arccos(np.clip((np.trace(turn @ rotation.T) - 1) / 2, -1, 1)))
                off = float(np.linalg.norm(found - points, axis=1).mean() / size)
                out.append(Case(person, k, kind, exposure, skin, energies, off, float(angle)))
    return out


def all_cases(people: int, clips: Path | None, chosen_on: bool) -> list[Case]:
    """Of even people, which figures are chosen on, or of odd ones."""
    model, settings, out = facemodel.load(), QUALITIES["fast"], []
    detector = make_detector()
    with torch.inference_mode():
        for person in range(0 if chosen_on else 1, people, 2):
            for skin in SKINS:
                truth, pictures, landmarks = twin(model, 7000 + person, skin)
                fitter = Fitter(model, MEDIAPIPE478.name, focal_from_frame(SIZE, SIZE), float(truth.focal), settings)
                turns = rotation_matrix(truth.rotation).double().numpy()
                out += cases_of(person, pictures, fitter, detector, (landmarks, turns), skin)
        files = [carphone(), *(sorted(clips.glob("*.mp4")) if clips else [])]
        for number, file in enumerate(files):
            if (number % 2 == 0) != chosen_on:
                continue
            reader = VideoReader(file)
            at = set(np.linspace(0, min(reader.frame_count, 150) - 1, FRAMES).astype(int).tolist())
            pictures = [frame for index, _, frame in reader if index in at]
            fitter = Fitter(model, MEDIAPIPE478.name, focal_from_frame(reader.width, reader.height), None, settings)
            out += cases_of(1000 + number, pictures, fitter, detector)
    detector.close()
    return out


def twin(model, seed: int, skin: str):
    """Truth, pictures and landmarks (F, 478, 2) of a synthetic person with skin as in `SKINS`, all else the same."""
    g = torch.Generator().manual_seed(seed)
    truth, camera = random_performance(model, g, FRAMES, SIZE)
    luminance = torch.tensor(LUMINANCE)
    along = torch.einsum("avc,c->a", model.reflectance.basis, luminance) / model.reflectance.basis.shape[1]
    for _ in range(8):  # the albedo is clamped, so not quite linear
        missing = SKINS[skin] - float((model.albedo(truth.reflectance) @ luminance).mean())
        truth = truth.replace(reflectance=truth.reflectance + missing * along / along.square().sum())
    pictures, effects = draw(model, truth, camera, g), CameraEffects.random(g)
    taken = [effects(p, np.random.default_rng(seed * 1000 + k)) for k, p in enumerate(pictures)]
    return truth, taken, true_landmarks(model, truth, camera)


def equally(cases: list[Case], by: str, uncertain: np.ndarray) -> dict[str, float]:
    """Share of uncertain cases by a field's value, over those that are as good or as bad whatever it is."""
    groups: dict[tuple, dict] = {}
    for case, doubtful in zip(cases, uncertain):
        key = tuple(getattr(case, n) for n in ("person", "frame", "kind", "exposure", "skin") if n != by)
        groups.setdefault(key, {})[str(getattr(case, by))] = (case.bad, bool(doubtful))
    values = sorted({v for group in groups.values() for v in group} - {""})
    equal = [g for g in groups.values() if set(g) == set(values) and len({bad for bad, _ in g.values()}) == 1]
    return {v: float(np.mean([g[v][1] for g in equal])) for v in values}


def ratio(shares: list[float]) -> float:
    return float(max(shares) / max(min(shares), 1e-3))


def report(cases: list[Case], limit: float) -> dict:
    from sklearn.metrics import roc_auc_score

    trust = np.array([confidence(c.energies) for c in cases])
    uncertain = trust < limit
    by_exposure, by_skin = (equally(cases, name, uncertain) for name in ("exposure", "skin"))
    off, turned = (np.array([getattr(c, n) for c in cases]) for n in ("landmarks", "turned"))
    return {
        "cases": len(cases),
        "people": len({c.person for c in cases}),
        "bad": float(np.mean([c.bad for c in cases])),
        "auc": float(roc_auc_score([not c.bad for c in cases], trust)),
        "auc_landmarks": float(roc_auc_score(off <= OFF, trust)),
        "auc_pose": float(roc_auc_score(turned <= TURNED, trust)),
        "uncertain": float(uncertain.mean()),
        "uncertain_of_good": float(uncertain[[not c.bad for c in cases]].mean()),
        "uncertain_of_bad": float(uncertain[[c.bad for c in cases]].mean()),
        "uncertain_by_exposure": by_exposure,
        "exposure_ratio": ratio([*by_exposure.values()]),
        "uncertain_by_skin": by_skin,
        "skin_ratio": ratio([*by_skin.values()]),
        "real": sum(not c.skin for c in cases),
    }


def choose(cases: list[Case]) -> Calibration:
    """Logistic regression of good fits on `figures`: synthetic and real cases count alike, good ones for `GOOD`.

    No figure may count for a frame. What hardly varies here is bounded by what seems sensible (`BOUNDS`), and so is the
    colour error: on photographs, with hidden parts and tone curves that the synthetic people don't have, it is larger
    at equal errors, while the correlation isn't.
    """
    from scipy.optimize import minimize

    x = np.array([figures(c.energies) for c in cases])
    good = np.array([not c.bad for c in cases])
    real = np.array([not c.skin for c in cases])
    weight = np.where(real, 0.5 / max(real.mean(), 1e-6), 0.5 / max((~real).mean(), 1e-6))
    weight = weight * np.where(good, GOOD / good.mean(), (1 - GOOD) / (1 - good.mean()))
    scale = x.std(0) + 0.05

    def loss(p: np.ndarray) -> float:
        odds = p[0] - x / scale @ p[1:]
        return float((weight * np.logaddexp(0, np.where(good, -odds, odds))).mean() + RIDGE * np.square(p[1:]).mean())

    bounds = [(None, None), *((low * s, high * s) for (low, high), s in zip(BOUNDS, scale))]
    found = minimize(loss, np.r_[2.0, 0.3 * np.ones(len(FIGURES))], bounds=bounds).x
    return Calibration(float(round(found[0], 2)), *(-float(round(w, 2)) for w in found[1:] / scale))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=20, help="synthetic people, half of them to choose on")
    parser.add_argument("--clips", type=Path, help="a folder of real clips, half of them to choose on")
    parser.add_argument("--choose", action="store_true", help="print constants instead")
    a = parser.parse_args()
    from fitting.policy.confidence import DOUBTFUL

    cases = all_cases(a.people, a.clips, a.choose)
    if a.choose:
        print(choose(cases))
    print(json.dumps(report(cases, DOUBTFUL)))


if __name__ == "__main__":
    main()
