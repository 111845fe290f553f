"""Does the confidence of a frame predict its error?

Frames of synthetic people, whose truth is known, and of real ones, where the fit of the untouched frame stands for it,
are spoiled: hidden, darkened, blurred, made noisy or small, or fitted to landmarks that are shifted, turned, scaled,
upside down or scattered. Each is fitted with the identity that the untouched frames gave. A fit is bad where its
landmarks are off by more than `OFF` of the face's size, or its pose by more than `TURNED` degrees.

The people, seeds and clips are in two parts. On one, constants are chosen (``chosen``, as
`fitting.policy.confidence.Calibration` has them). All other figures are of the other part, by the constants of the
package: area under the ROC of confidence, of right fits against those with either error (a head fitted beside the face
has the right pose, and isn't to be trusted: with such among the right ones it's ``auc_pose_alone``), and the share of
``uncertain`` frames by brightness of skin and of picture, the larger over the smaller.

Each synthetic person is drawn twice, with dark and light skin and all else the same, each time by a camera that meters
the face as cameras do, halfway to middle grey, and each frame is exposed right and one and two stops too dark. What is
compared is as wrong on one side as on the other: the cases are divided by their error, and each class counts on either
side as often as it's there on both (direct standardisation).

    python -m benchmarks.trust [--people N] [--clips FOLDER]
"""

from __future__ import annotations

import argparse
import json
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import torch

import facemodel
from facemodel.landmark_schemes import MEDIAPIPE478
from fitting import QUALITIES, make_detector
from fitting.landmarks.base import Face
from fitting.observation.crop import Observation, cut_out, observe
from fitting.occlusion.regions import without_hidden
from fitting.policy.confidence import Calibration, ConfidencePolicy
from fitting.tracking.confidence import FIGURES, confidence, face_brightness, figures
from fitting.tracking.frame import Fitter
from fitting.tracking.shared import solve_shared
from fitting.tracking.start import focal_from_frame
from geometry.color import linear_to_srgb, srgb_to_linear
from geometry.rotation import rotation_matrix
from portrait.video import VideoReader
from portrait.video.sample import carphone
from renderer import atlas_values, extend
from synthetic.camera_effects import CameraEffects
from synthetic.clips import draw, random_performance, true_landmarks
from synthetic.person import Person

OFF, TURNED = 0.05, 7.0
FRAMES = 2  # of a person
EXPOSURES = (1.0, 0.5, 0.25)  # of light
NIGHT = 1 / 16  # a row of its own
PICTURE = (75, 100)  # of 255: below and above it is dark and bright
QUALITY = "balanced"
SEED = 7000
ATLAS = 512  # texels
SIZE = 288  # px, of synthetic pictures
SKINS = {"darker": 0.08, "lighter": 0.38}  # mean luminance of the albedo
GREY = 0.18  # of light: what a camera's meter aims at
CLASSES = 8  # of error
GOOD = 0.5  # share of good fits that the confidence is calibrated for
RIDGE = 0.03
LEAST = 0.3  # of what each of `FIGURES` takes: none may count for a frame
WITHOUT_MELANIN = ("eyes", "mouth_inside", "tongue", "teeth")
MELANIN = (1.0, 1.25, 1.6)  # how much of red, green, blue it absorbs, about
LUMINANCE = (0.2126, 0.7152, 0.0722)


@dataclass(frozen=True)
class Case:
    """A fitted frame."""

    person: int
    frame: int
    kind: str
    exposure: float
    skin: str  # one of `SKINS`; "" of real people
    picture: float  # mean, of 255
    energies: dict[str, float]
    landmarks: float  # error, of the face's size
    turned: float  # degrees

    @property
    def error(self) -> float:
        """Over 1 where the fit is bad."""
        return max(self.landmarks / OFF, self.turned / TURNED)

    @property
    def bad(self) -> bool:
        return self.error > 1


def exposed(picture: np.ndarray, exposure: float) -> np.ndarray:
    """Of a picture in [0, 1], sRGB."""
    return linear_to_srgb(exposure * srgb_to_linear(torch.from_numpy(picture).float()).clamp(0, 1)).numpy()


def as_taken(picture: np.ndarray, exposure: float) -> np.ndarray:
    """Of an (H, W, 3) uint8 picture."""
    return np.round(255 * exposed(picture / 255, exposure)).astype(np.uint8)


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


def cases_of(person: int, pictures, retaken, fitter: Fitter, detector, truth=None, skin: str = "") -> list[Case]:
    """Of somebody's pictures.

    Args:
        retaken: (k, exposure) gives picture ``k`` at another one; `as_taken` of the picture where there is no scene.
        truth: (landmarks (F, 478, 2) px, rotations (F, 3, 3)); None takes the fits of the pictures as they are.
    """
    model, settings = fitter.model, fitter.settings
    faces = [next(iter(detector.detect(p)), None) for p in pictures]
    kept = [k for k, face in enumerate(faces) if face is not None]
    if not kept:
        return []
    crops = [cut_out(pictures[k], faces[k], max(settings.joint_levels)).observe(settings.joint_levels) for k in kept]
    shared = solve_shared(fitter, Observation.concatenate(crops)).state

    def fit(picture, face):
        seen = observe(picture, face, settings.levels)
        seen, _ = without_hidden(seen, fitter.regions, settings.hidden_parts)
        result = fitter.track(seen, None, fitter.start(seen, shared))
        p = fitter.parameters(result.state).expanded()
        vertices = model.vertices(p.identity, p.expression, p.gaze, p.joints)
        points = model.landmarks(vertices, MEDIAPIPE478.name)[0] @ result.state.rotation[0].T
        placed = points * points.new_tensor([1.0, -1.0, -1.0]) + result.state.translation[0]
        shown = placed[:, :2] / placed[:, 2:] * result.state.log_focal.exp() + seen.frame_centre
        energies = result.energies | {"brightness": face_brightness(seen), "detector": face.confidence}
        return shown.double().numpy(), result.state.rotation[0].double().numpy(), energies

    out = []
    for k in kept:
        face = faces[k]
        if truth is None:
            points, rotation, _ = fit(pictures[k], face)
        else:
            points, rotation = truth[0][k], truth[1][k]
        size = float((points.max(0) - points.min(0)).max())
        for number, kind in enumerate(("as it is", *PICTURES, *LANDMARKS)):
            for exposure in EXPOSURES if kind in PICTURES else (*EXPOSURES, NIGHT):
                g = lambda: np.random.default_rng([person, k, number])  # noqa: B023, E731 - alike at each exposure
                picture = spoiled(retaken(k, exposure), face, kind, g())
                shown = misplaced(face, kind, g()) if kind in LANDMARKS else next(iter(detector.detect(picture)), None)
                if shown is None:
                    continue
                found, turn, energies = fit(picture, shown)
                angle = np.degrees(np.arccos(np.clip((np.trace(turn @ rotation.T) - 1) / 2, -1, 1)))
                off = float(np.linalg.norm(found - points, axis=1).mean() / size)
                out.append(Case(person, k, kind, exposure, skin, float(picture.mean()), energies, off, float(angle)))
    return out


def of_skin(model, who: Person, luminance: float) -> Person:
    """Somebody whose skin has that mean luminance, by more or less melanin, which absorbs shares of what is there."""
    albedo, skin = model.albedo(who.reflectance).clamp_min(0.005), model.region("skin")
    without = torch.stack([model.region(name) for name in WITHOUT_MELANIN]).any(0)[:, None]
    through = lambda m: albedo * torch.exp(-m * torch.tensor(MELANIN)).where(~without, torch.ones(3))  # noqa: E731
    low, high = -5.0, 5.0
    for _ in range(30):
        middle = (low + high) / 2
        brighter = float((through(middle)[skin] @ torch.tensor(LUMINANCE)).mean()) > luminance
        low, high = (middle, high) if brighter else (low, middle)
    texture = atlas_values(model, through(low).clamp_max(0.98), ATLAS)
    return replace(who, albedo=extend(texture, (texture > 0).all(-1)).contiguous())


def synthetic(model, seed: int, skin: str):
    """Truth, landmarks (F, 478, 2) and ``retaken`` of `cases_of`: a person with skin as in `SKINS`.

    All else is the same for the same seed, but the light's strength: the camera meters the face, halfway to `GREY`.
    """
    g = torch.Generator().manual_seed(seed)
    truth, camera = random_performance(model, g, FRAMES, SIZE)
    person = of_skin(model, Person(truth.identity, truth.reflectance), SKINS[skin])
    head, alpha = person.draw(model, truth, camera)
    light = srgb_to_linear(head / alpha.clamp_min(1e-3)) @ torch.tensor(LUMINANCE)
    gain = (GREY * SKINS[skin]) ** 0.5 / float((light * alpha[..., 0]).sum() / alpha.sum())
    pictures = draw(model, truth.replace(illumination=gain * truth.illumination), camera, g, person)
    effects = CameraEffects.random(g)

    def retaken(k: int, exposure: float) -> np.ndarray:
        return effects(exposed(pictures[k], exposure), np.random.default_rng(seed * 1000 + k))

    return truth, true_landmarks(model, truth, camera), retaken


def synthetic_cases(seed: int) -> list[Case]:
    torch.set_num_threads(1)
    model, detector, out = facemodel.load(), make_detector(), []
    with torch.inference_mode():
        for skin in SKINS:
            truth, landmarks, retaken = synthetic(model, seed, skin)
            focal = float(truth.focal)
            fitter = Fitter(model, MEDIAPIPE478.name, focal_from_frame(SIZE, SIZE), focal, QUALITIES[QUALITY])
            turns = rotation_matrix(truth.rotation).double().numpy()
            pictures = [retaken(k, 1.0) for k in range(FRAMES)]
            out += cases_of(seed, pictures, retaken, fitter, detector, (landmarks, turns), skin)
    detector.close()
    return out


def real_cases(number: int, file: Path | None) -> list[Case]:
    """Of a clip; None is scikit-image's portrait of an astronaut."""
    torch.set_num_threads(1)
    if file is None:
        from skimage.data import astronaut

        pictures = [astronaut()]
    else:
        reader = VideoReader(file)
        at = set(np.linspace(0, min(reader.frame_count, 150) - 1, 2 * FRAMES).astype(int).tolist())
        pictures = [frame for index, _, frame in reader if index in at]
    height, width = pictures[0].shape[:2]
    with torch.inference_mode():
        detector = make_detector()
        fitter = Fitter(facemodel.load(), MEDIAPIPE478.name, focal_from_frame(width, height), None, QUALITIES[QUALITY])
        out = cases_of(number, pictures, lambda k, e: as_taken(pictures[k], e), fitter, detector)
    detector.close()
    return out


def all_cases(people: int, clips: Path | None) -> tuple[list[Case], list[Case]]:
    """To choose on, and to report: half of the people and of the real pictures each."""
    files = [carphone(), None, *(sorted(clips.glob("*.mp4")) if clips else [])]
    with ProcessPoolExecutor(max_workers=min(2, os.cpu_count() or 1), mp_context=get_context("spawn")) as pool:
        made = list(pool.map(synthetic_cases, range(SEED, SEED + people)))
        real = list(pool.map(real_cases, range(len(files)), files))
    return tuple([case for some in (*made[part::2], *real[part::2]) for case in some] for part in (0, 1))


def error_class(errors: np.ndarray) -> np.ndarray:
    """Which of `CLASSES` of about as many cases; no class has good and bad fits."""
    good = errors <= 1
    out = np.zeros(len(errors), int)
    for which, start in ((good, 0), (~good, CLASSES // 2)):
        edges = np.quantile(errors[which], np.linspace(0, 1, CLASSES // 2 + 1)[1:-1]) if which.any() else []
        out[which] = start + np.searchsorted(edges, errors[which])
    return out


def at_equal_error(uncertain: np.ndarray, errors: np.ndarray, groups: np.ndarray) -> dict[str, float]:
    """Share of uncertain cases by group, each class of error as often in one as in the other."""
    classes, values = error_class(errors), [str(v) for v in np.unique(groups)]
    shares, counts = dict.fromkeys(values, 0.0), 0
    for c in np.unique(classes):
        members = [(classes == c) & (groups == v) for v in values]
        if min(m.sum() for m in members) < 3:
            continue
        here = int(sum(m.sum() for m in members))
        counts += here
        for v, m in zip(values, members):
            shares[v] += here * float(uncertain[m].mean())
    return {v: share / max(counts, 1) for v, share in shares.items()}


def compared(uncertain: np.ndarray, cases: list[Case], groups: list[str]) -> dict:
    """`at_equal_error`, over all and over the good fits alone, and the larger share over the smaller.

    The group "" isn't compared.
    """
    kept = np.array([g != "" for g in groups])
    groups, errors = np.array(groups)[kept], np.array([c.error for c in cases])[kept]
    shares = at_equal_error(uncertain[kept], errors, groups)
    good = at_equal_error(uncertain[kept][errors <= 1], errors[errors <= 1], groups[errors <= 1])
    return {"uncertain": shares, "ratio": ratio(shares), "uncertain_of_good": good, "ratio_of_good": ratio(good)}


def ratio(shares: dict[str, float]) -> float | None:
    """None where there is nothing to compare."""
    if len(shares) < 2 or not max(shares.values()):
        return None
    return max(shares.values()) / max(min(shares.values()), 1e-3)


def brightness(case: Case) -> str:
    """Of the picture; "" between dark and bright."""
    return "darker" if case.picture < PICTURE[0] else "brighter" if case.picture > PICTURE[1] else ""


def report(cases: list[Case], policy: ConfidencePolicy = ConfidencePolicy()) -> dict:
    from sklearn.metrics import roc_auc_score

    trust = np.array([confidence(c.energies, policy) for c in cases])
    uncertain, bad = trust < policy.doubtful, np.array([c.bad for c in cases])
    off, turned = (np.array([getattr(c, n) for c in cases]) for n in ("landmarks", "turned"))
    return {
        "cases": len(cases),
        "people": len({c.person for c in cases}),
        "real": sum(not c.skin for c in cases),
        "bad": float(bad.mean()),
        "auc": float(roc_auc_score(~bad, trust)),
        "auc_landmarks": float(roc_auc_score(~bad[~bad | (off > OFF)], trust[~bad | (off > OFF)])),
        "auc_pose": float(roc_auc_score(~bad[~bad | (turned > TURNED)], trust[~bad | (turned > TURNED)])),
        "auc_pose_alone": float(roc_auc_score(turned <= TURNED, trust)),
        "uncertain_of_good": float(uncertain[~bad].mean()),
        "uncertain_of_bad": float(uncertain[bad].mean()),
        "skin": compared(uncertain, cases, [c.skin for c in cases]),
        "exposure": compared(uncertain, cases, [f"{c.exposure:g}" for c in cases]),
        "picture": compared(uncertain, cases, [brightness(c) for c in cases]),
    }


def choose(cases: list[Case]) -> Calibration:
    """Logistic regression of good fits on `figures`: synthetic and real cases count alike, good ones for `GOOD`.

    No figure may count for a frame.
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

    bounds = [(None, None), *((LEAST * s, None) for s in scale)]
    found = minimize(loss, np.r_[2.0, 0.3 * np.ones(len(FIGURES))], bounds=bounds).x
    return Calibration(float(round(found[0], 2)), *(-float(round(w, 2)) for w in found[1:] / scale))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=16, help="synthetic people, half of them to choose on")
    parser.add_argument("--clips", type=Path, help="a folder of real clips, half of them to choose on")
    a = parser.parse_args()
    parts = all_cases(a.people, a.clips)
    by_day, night = ([[c for c in part if (c.exposure == NIGHT) == dark] for part in parts] for dark in (False, True))
    chosen = {"chosen": asdict(choose(by_day[0])), "chosen_on": len(by_day[0])}
    print(json.dumps(chosen | report(by_day[1]) | {"night": report(night[1])}))


if __name__ == "__main__":
    main()
