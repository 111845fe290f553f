"""Where a detector's points are on a model's surface, found by the detector itself.

Faces of the model are drawn, the detector finds its points in the pictures, and each point is tied to the place near a
first guess that is seen nearest to it over all pictures. What moves apart must not be mixed up: a place that the jaw or
the lids move otherwise than the guess isn't tried. Enters: a model with expressions by ARKit's names, colours, and
landmarks to start from, and a detector. Leaves: a `LandmarkEmbedding`. Imports call it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import cKDTree

from facemodel.base import FaceModel, LandmarkEmbedding
from facemodel.landmark_schemes import SCHEMES
from facemodel.parameters import FaceParameters
from fitting.landmarks.base import LandmarkDetector
from foundation.progress import Event, Report, ignore
from geometry.camera import Camera, project, to_camera
from geometry.mesh import vertex_normals
from geometry.spherical_harmonics import C0
from renderer import render


@dataclass(frozen=True)
class CalibrationPolicy:
    """What is drawn and where points are looked for. Lengths in millimetres, angles in degrees."""

    size: int = 448  # px, of a picture
    focal: float = 900.0  # px
    distance: float = 680.0
    people: int = 5  # the first is the mean
    yaws: tuple[float, ...] = (-25, -12, 0, 12, 25)
    pitches: tuple[float, ...] = (-12, 0, 12)
    turned: tuple[float, float, float] = (10.0, 20.0, 3.0)  # most pitch and yaw of the others, std of roll
    strength: float = 0.8  # std, of the people but the first
    gaze: tuple[float, float] = (18.0, 10.0)  # most yaw and pitch of the eyes
    grain: float = 1.0  # between the places that are tried
    reach: float = 7.0  # from the first guess
    stay: float = 0.05  # what a millimetre from the first guess costs, against as much of error
    alike: float = 0.35  # share of a gesture's largest movement by which a place may move otherwise than the guess
    clip: float = 5.0  # beyond which an error counts no more
    soft: float = 2.0  # of spread at which a weight is a half
    sliding: float = 0.25  # weight of what slides over the surface as the head turns
    enough: int = 20  # pictures in which the detector has to find a face


POLICY = CalibrationPolicy()
EXPRESSIONS: tuple[dict[str, float], ...] = (
    {},  # the neutral face comes first
    {"jawOpen": 0.3},
    {"jawOpen": 0.6},
    {"mouthSmileLeft": 0.7, "mouthSmileRight": 0.7, "jawOpen": 0.15},
    {"mouthUpperUpLeft": 0.6, "mouthUpperUpRight": 0.6, "mouthLowerDownLeft": 0.6, "mouthLowerDownRight": 0.6},
    {"mouthFunnel": 0.6, "jawOpen": 0.1},
    {"eyeWideLeft": 0.6, "eyeWideRight": 0.6, "browInnerUp": 0.6},
    {"eyeBlinkLeft": 0.5, "eyeBlinkRight": 0.5},
    {"eyeSquintLeft": 0.7, "eyeSquintRight": 0.7},
)
GESTURES = ("jawOpen", "eyeBlinkLeft", "eyeBlinkRight")


@dataclass(frozen=True)
class Observation:
    """A picture of the model in which the detector found a face."""

    pixels: np.ndarray  # (V, 2) where the vertices are seen
    depth: np.ndarray  # (V,) mm
    facing: np.ndarray  # (V,) cosine between the normal and the direction to the camera
    points: np.ndarray  # (L, 2) px, what the detector found


def calibrate(
    model: FaceModel, detector: LandmarkDetector, policy: CalibrationPolicy = POLICY, report: Report = ignore
) -> LandmarkEmbedding | None:
    """Where the points of the detector's scheme are on the model; None where it finds too few faces.

    The model's own embedding of that scheme is where they are looked for.
    """
    seen = observe(model, detector, policy, report)
    return embed(model, detector.scheme, seen, policy) if len(seen) >= policy.enough else None


def embed(
    model: FaceModel, scheme: str, seen: Sequence[Observation], policy: CalibrationPolicy = POLICY
) -> LandmarkEmbedding:  # fmt: skip
    """The places on the model that are seen nearest to a scheme's points, near where it has these."""
    guess = model.landmarks(model.mean, scheme).double().numpy()
    places = _places(model, guess, policy)
    errors, facing = _errors(places, seen, policy)
    start = model.embeddings[scheme]
    alike = _likeness(places, _gestures(model), model, start, policy)
    turning = {k for side in SCHEMES[scheme].irises for k in side}
    triangles, bary = start.triangles.clone(), start.barycentric.clone()
    spread = np.full(len(guess), np.inf)
    for k in np.flatnonzero(start.weights.numpy() > 0):
        on_side = places.eyeball if k in turning else ~places.eyeball
        near = np.array(places.tree.query_ball_point(guess[k], policy.reach), dtype=np.int64)
        near = near[on_side[near]]
        near = near[alike(near, k)]
        if not len(near):
            continue
        cost = np.minimum(errors(near, k), policy.clip).mean(1) + _behind(facing[near]).mean(1)
        cost += policy.stay * np.linalg.norm(places.at[near] - guess[k], axis=1)
        best = near[cost <= cost.min() + 0.01]
        middle = places.at[best].mean(0)
        chosen = best[np.linalg.norm(places.at[best] - middle, axis=1).argmin()]
        triangles[k], bary[k] = int(places.triangle[chosen]), torch.from_numpy(places.barycentric[chosen])
        spread[k] = np.median(errors(np.array([chosen]), k))
    weights = torch.from_numpy(1 / (1 + (spread / policy.soft) ** 2)).float()
    weights[list(SCHEMES[scheme].outline)] *= policy.sliding
    return LandmarkEmbedding(triangles, bary, weights)


# -- what the detector sees ---------------------------------------------------------------------------------------


def observe(
    model: FaceModel, detector: LandmarkDetector, policy: CalibrationPolicy, report: Report = ignore
) -> list[Observation]:
    """Drawings of people of the model, in which the detector finds a face."""
    rng = np.random.default_rng(0)
    camera = Camera(policy.focal, policy.size, policy.size)
    shots = [(0, {}, (pitch, yaw)) for yaw in policy.yaws for pitch in policy.pitches]
    turns = np.zeros((len(EXPRESSIONS), 2))
    for person in range(policy.people):  # every other one turns as the last one did, to the other side
        fresh = rng.uniform(-1, 1, turns.shape) * policy.turned[:2]
        turns = turns * (1, -1) if person % 2 == 0 and person else fresh
        shots += [(person, e, tuple(turn)) for e, turn in zip(EXPRESSIONS, turns)]
    own, given = model.own_identities, model.count("identity") - model.own_identities
    people = [np.pad(policy.strength * np.clip(rng.normal(size=own), -2, 2), (0, given)) for _ in range(policy.people)]
    skins = [0.6 * rng.normal(size=model.count("reflectance")) for _ in range(policy.people)]
    people[0], skins[0] = 0 * people[0], 0 * skins[0]
    found = []
    for done, (person, expression, turn) in enumerate(shots):
        report(Event("calibrating landmarks", done, len(shots), "pictures"))
        parameters = _parameters(model, people[person], skins[person], expression, turn, rng, policy)
        seen = _see(model, parameters, camera, detector, int(rng.integers(40, 200)))
        found += [seen] if seen else []
    return found


def _parameters(
    model: FaceModel, identity: np.ndarray, skin: np.ndarray, expression: dict[str, float],
    turn: Sequence[float], rng: np.random.Generator, policy: CalibrationPolicy,
) -> FaceParameters:  # fmt: skip
    """One face, its middle ahead of the camera."""
    neutral = FaceParameters.neutral(model, (), focal=policy.focal, distance=policy.distance)
    values = model.blocks["expression"].mean.clone()
    for name, value in expression.items():
        if name in model.arkit:
            values[model.arkit[name]] = value
    light = torch.zeros(9, 3)
    light[0] = (0.65 + 0.08 * float(rng.normal())) / C0
    light[1:4] = torch.tensor(rng.normal([0.12, 0.26, 0.0], [0.06, 0.05, 0.12])).float()[:, None]
    rotation = torch.tensor(np.radians([*turn, rng.normal(0, policy.turned[2])])).float()
    gaze = torch.tensor(np.radians(rng.uniform(-1, 1, 2) * policy.gaze)).float().expand(2, 2)
    face = model.region("face")
    middle = (model.mean[face] if bool(face.any()) else model.mean).mean(0)
    placed = to_camera(middle[None], rotation, torch.zeros(3))[0]
    return neutral.replace(
        identity=torch.from_numpy(identity).float(),
        reflectance=torch.from_numpy(skin).float(),
        expression=values,
        illumination=light,
        rotation=rotation,
        translation=torch.tensor([0.0, 0.0, policy.distance]) - placed,
        gaze=gaze,
    )


def _see(
    model: FaceModel, p: FaceParameters, camera: Camera, detector: LandmarkDetector, backdrop: int
) -> Observation | None:
    with torch.no_grad():
        maps = render(model, p, camera, ("diffuse", "mask"))  # (1, H, W, C) each
        mask = maps["mask"][0]
        picture = (maps["diffuse"][0] * 255 + (1 - mask) * backdrop).round().clamp(0, 255).byte().numpy()
        faces = detector.detect(picture)
        if not faces or faces[0].scheme != detector.scheme or not np.isfinite(faces[0].points).all():
            return None
        vertices = model.vertices(p.identity, p.expression, p.gaze)
        seen = to_camera(vertices, p.rotation, p.translation)
        flip = torch.tensor([1.0, -1.0, -1.0])
        normals = to_camera(vertex_normals(vertices, model.triangles), p.rotation, torch.zeros(3)) * flip
        toward = -torch.nn.functional.normalize(seen, dim=-1) * flip
        pixels = project(seen, camera).numpy()
    return Observation(pixels, seen[:, 2].numpy(), (normals * toward).sum(-1).numpy(), faces[0].points)


# -- places on the surface ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Places:
    """S places that may be a landmark's."""

    triangle: np.ndarray  # (S,)
    barycentric: np.ndarray  # (S, 3) float32
    corners: np.ndarray  # (S, 3) vertices
    at: np.ndarray  # (S, 3) mm, on the mean
    eyeball: np.ndarray  # (S,) bool
    tree: cKDTree  # of `at`

    def of(self, values: np.ndarray) -> np.ndarray:
        """(V, ...) attributes of vertices at the places, (S, ...)."""
        shares = self.barycentric.reshape(*self.barycentric.shape, *(1,) * (values.ndim - 1))
        return sum(values[self.corners[:, k]] * shares[:, k] for k in range(3))


def _places(model: FaceModel, guess: np.ndarray, policy: CalibrationPolicy) -> _Places:
    """Spread over the triangles near the guesses, a place on each `grain` squared."""
    vertices, triangles = model.mean.double().numpy(), model.triangles.numpy()
    corners = vertices[triangles]
    near = np.isfinite(cKDTree(guess).query(corners.mean(1), distance_upper_bound=policy.reach + 4)[0])
    inside = torch.stack([model.region(n) for n in ("mouth_inside", "teeth", "tongue")]).any(0).numpy()
    used = np.flatnonzero(near & ~inside[triangles].all(1))
    area = np.linalg.norm(
        np.cross(corners[used, 1] - corners[used, 0], corners[used, 2] - corners[used, 0]), axis=1
    )  # fmt: skip
    count = np.maximum(np.ceil(area / 2 / policy.grain**2), 1).astype(int)
    triangle = np.repeat(used, count)
    shares = np.random.default_rng(1).dirichlet(np.ones(3), len(triangle))
    first = np.r_[0, np.cumsum(count)[:-1]]
    shares[first] = 1 / 3
    eyeball = np.zeros(len(vertices), dtype=bool)
    for index in model.eyes.vertices if model.eyes is not None else ():
        eyeball[index.numpy()] = True
    at = (corners[triangle] * shares[..., None]).sum(1)
    return _Places(
        triangle, shares.astype(np.float32), triangles[triangle], at, eyeball[triangles[triangle]].all(1), cKDTree(at)
    )


def _gestures(model: FaceModel) -> np.ndarray:
    """(G, V, 3) mm: what opens the jaw and closes the lids, of a model that has these."""
    names = [n for n in GESTURES if n in model.arkit]
    state = model.blocks["expression"].mean
    made = []
    for name in names:
        moved = state.clone()
        moved[model.arkit[name]] = 1.0
        made.append((model.vertices(None, moved) - model.vertices(None, state)).numpy())
    return np.array(made).reshape(len(names), len(model.mean), 3)


def _likeness(
    places: _Places, moves: np.ndarray, model: FaceModel, start: LandmarkEmbedding, policy: CalibrationPolicy
):
    """A function of places (M,) and a landmark: (M,) bool, whether the gestures move them as they move its guess."""
    corners, shares = model.triangles[start.triangles].numpy(), start.barycentric.numpy()[..., None]
    there, here = [places.of(move) for move in moves], [(move[corners] * shares).sum(1) for move in moves]
    most = [policy.alike * np.linalg.norm(move, axis=-1).max() for move in moves]

    def alike(chosen: np.ndarray, landmark: int) -> np.ndarray:
        found = np.ones(len(chosen), dtype=bool)
        for a, b, limit in zip(there, here, most):
            found &= np.linalg.norm(a[chosen] - b[landmark], axis=-1) < limit
        return found

    return alike


def _errors(places: _Places, seen: Sequence[Observation], policy: CalibrationPolicy):
    """A function of places (M,) and a landmark: mm (M, P) from where it was found; and how places face, (S, P)."""
    pixels = places.of(np.stack([o.pixels for o in seen], 1))  # (S, P, 2)
    scale = places.of(np.stack([o.depth for o in seen], 1)) / policy.focal
    facing = places.of(np.stack([o.facing for o in seen], 1))
    points = np.stack([o.points for o in seen])  # (P, L, 2)

    def errors(chosen: np.ndarray, landmark: int) -> np.ndarray:
        return np.linalg.norm(pixels[chosen] - points[:, landmark], axis=-1) * scale[chosen]

    return errors, facing


def _behind(facing: np.ndarray) -> np.ndarray:
    """mm that a place costs which looks away: from 0 to 1."""
    share = np.clip((0.1 - facing) / 0.4, 0, 1)
    return share * share * (3 - 2 * share)
