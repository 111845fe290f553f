"""The identity space: MakeHuman's adults sampled, aligned rigidly, and their principal components."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tools.build_model.components import combine, principal_components, weighted_sum
from tools.build_model.source import Source
from tools.build_model.topology import EYE_RADIUS, SIDES, Topology

SAMPLES = 3000
COMPONENTS = 80
SEED = 20240229
RACES = ("african", "asian", "caucasian")
LEVELS = ("min", "average", "max")
# Standard deviation of the local shapes of a body part, where 1 is the end of MakeHuman's slider.
LOCAL_SPREAD = {
    "cheek": 0.35, "chin": 0.3, "ears": 0.3, "eyebrows": 0.3, "eyes": 0.28, "forehead": 0.35, "head": 0.2,
    "mouth": 0.25, "nose": 0.3, "neck": 0.15,
}  # fmt: skip
LEFT_OUT = ("head-trans", "head-angle", "neck-trans", "eye-push")
SIDEWAYS = ("nose-trans-in", "mouth-trans-in")  # asymmetric: a tenth as strong
ASYMMETRY = 0.06  # standard deviation of the difference between a left and a right local shape
MEAN_SHIFT = {"eye-scale": 0.45}  # MakeHuman's eyes are small


@dataclass(frozen=True)
class Identity:
    """Mean and basis over the vertices taken from the base mesh and the eyeballs (V), mirror-symmetric."""

    mean: np.ndarray  # (V, 3) mm
    basis: np.ndarray  # (80, V, 3) mm a standard deviation
    eye_center: np.ndarray  # (2, 3)
    eye_center_basis: np.ndarray  # (80, 2, 3)
    eye_radius: np.ndarray  # (2,)
    eye_radius_basis: np.ndarray  # (80, 2)
    explained: float  # share of the samples' variance, weighted as the components are
    residual: float  # mm, root mean square distance of the samples' face vertices from their projection


def _macro_weights(rng: np.random.Generator) -> dict[str, dict[str, float]]:
    """Weights of the named ends of each phenotype for one adult."""
    bounded = lambda spread: float(np.clip(rng.normal(0.5, spread), 0, 1))  # noqa: E731
    gender, age = float(rng.uniform()), float(rng.uniform())
    race = rng.dirichlet([0.6, 0.6, 0.6])
    three = lambda t: dict(zip(LEVELS, (max(0, 1 - 2 * t), 1 - abs(2 * t - 1), max(0, 2 * t - 1))))  # noqa: E731
    two = lambda t, a, b: {a: 1 - t, b: t}  # noqa: E731
    return {
        "gender": two(gender, "male", "female"),
        "age": two(age**1.5, "young", "old"),
        "race": dict(zip(RACES, race)),
        "muscle": three(bounded(0.2)),
        "weight": three(bounded(0.25)),
        "height": two(bounded(0.2), "minheight", "maxheight"),
        "proportions": two(bounded(0.2), "idealproportions", "uncommonproportions"),
    }


def _macro_terms(w: dict[str, dict[str, float]]) -> dict[str, float]:
    """Weight of each macro target's path."""
    terms: dict[str, float] = {}
    for g, wg in w["gender"].items():
        for a, wa in w["age"].items():
            for race, wr in w["race"].items():
                terms[f"macrodetails/{race}-{g}-{a}"] = wg * wa * wr
            for m, wm in w["muscle"].items():
                for k, wk in w["weight"].items():
                    body, share = f"{g}-{a}-{m}muscle-{k}weight", wg * wa * wm * wk
                    terms[f"macrodetails/universal-{body}"] = share
                    for h, wh in w["height"].items():
                        terms[f"macrodetails/height/{body}-{h}"] = share * wh
                    for p, wp in w["proportions"].items():
                        terms[f"macrodetails/proportions/{body}-{p}"] = share * wp
    return terms


def _local_axes(source: Source) -> list[dict]:
    """One axis a local shape: paths of its negative and positive end for each side, and its spread."""
    axes = []
    for part, spread in LOCAL_SPREAD.items():
        for category in source.local_categories[part]["categories"]:
            name = category["name"]
            if any(word in name for word in LEFT_OUT):
                continue
            sides = ("left", "right") if category["has_left_and_right"] else ("unsided",)
            ends = category.get("opposites")
            pairs = []
            for side in sides:
                negative, positive = (ends[f"{sign}-{side}"] if ends else "" for sign in ("negative", "positive"))
                pairs.append(tuple(f"{part}/{end}" if end else "" for end in (negative, positive)))
            if not any(pairs[0]):
                pairs = [("", f"{part}/{target}") for target in category["targets"][:1]]
            small = 0.1 if any(word in name for word in SIDEWAYS) else 1.0
            shift = next((s for word, s in MEAN_SHIFT.items() if name.startswith(word)), 0.0)
            axes.append({"pairs": pairs, "spread": spread * small, "shift": shift})
    return axes


def _local_terms(axes: list[dict], rng: np.random.Generator) -> dict[str, float]:
    terms: dict[str, float] = {}
    for axis in axes:
        common = rng.normal(axis["shift"], axis["spread"])
        for negative, positive in axis["pairs"]:
            value = common + (rng.normal(0, ASYMMETRY) if len(axis["pairs"]) == 2 else 0.0)
            value = float(np.clip(value, -1, 1))
            if value < 0 and negative:
                terms[negative] = terms.get(negative, 0.0) - value
            elif value > 0 and positive:
                terms[positive] = terms.get(positive, 0.0) + value
    return terms


def sample_heads(source: Source, topology: Topology, samples: int = SAMPLES) -> tuple[np.ndarray, np.ndarray]:
    """Heads (N, S, 3) and their helper eyes' centres and radii (N, 2, 4), mm, in the base mesh's frame."""
    rng = np.random.default_rng(SEED)
    axes = _local_axes(source)
    rows = [{**_macro_terms(_macro_weights(rng)), **_local_terms(axes, rng)} for _ in range(samples)]
    names = sorted({name for row in rows for name in row})
    column = {name: i for i, name in enumerate(names)}
    weights = np.zeros((samples, len(names)))
    for i, row in enumerate(rows):
        for name, weight in row.items():
            weights[i, column[name]] = weight
    helpers = [source.vertex_groups[f"helper-{side}-eye"] for side in SIDES]
    taken = np.concatenate([topology.base, *helpers])
    targets = np.stack([source.target(name)[taken] for name in names])
    heads = source.mesh.vertices[taken].astype(np.float32) + weighted_sum(weights.astype(np.float32), targets)
    size = len(topology.base)
    eyes = []
    for k, helper in enumerate(helpers):
        points = heads[:, size + k * len(helper) : size + (k + 1) * len(helper)]
        center = (points.min(1) + points.max(1)) / 2
        radius = np.linalg.norm(points - center[:, None], axis=-1).mean(1)
        eyes.append(np.concatenate([center, radius[:, None]], 1))
    return heads[:, :size], np.stack(eyes, 1)


def align_rigidly(points: np.ndarray, onto: np.ndarray, used: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotations (N, 3, 3) and translations (N, 3) that bring ``points`` (N, S, 3) onto (S, 3) without scale.

    ``used`` (S,) weights the vertices.
    """
    w = used / used.sum()
    middle, goal = np.einsum("s,nsk->nk", w, points), w @ onto
    covariance = np.transpose(points - middle[:, None], (0, 2, 1)) @ (w[:, None] * (onto - goal))
    u, _, vt = np.linalg.svd(covariance)
    flip = np.ones((len(points), 3))
    flip[:, 2] = np.sign(np.linalg.det(u @ vt))
    rotation = np.transpose(u * flip[:, None] @ vt, (0, 2, 1))
    return rotation, goal - np.einsum("nkl,nl->nk", rotation, middle)


def build_identity(source: Source, topology: Topology, samples: int = SAMPLES) -> Identity:
    heads, eyes = sample_heads(source, topology, samples)
    size = len(topology.base)
    mirror = topology.mirror[:size]
    flip = np.array([-1.0, 1.0, 1.0])
    weight = vertex_weights(topology, heads.mean(0))
    center = np.array([0.0, *_rotation_center(heads.mean(0), topology)])
    reference = heads.mean(0) - center
    for _ in range(2):
        reference = (reference + reference[mirror] * flip) / 2
        rotation, translation = align_rigidly(heads, reference, weight)
        heads = heads @ np.transpose(rotation, (0, 2, 1)) + translation[:, None]
        eyes[..., :3] = np.einsum("nkl,nel->nek", rotation, eyes[..., :3]) + translation[:, None]
        reference = heads.mean(0)
    eyes[..., 3] *= EYE_RADIUS / eyes[..., 3].mean()
    mean = (reference + reference[mirror] * flip) / 2
    heads -= mean
    scores, explained = principal_components(heads, mirror, flip, weight, COMPONENTS)
    basis = combine(scores, heads, mirror, flip)
    eye_mean, eye_basis = _eye_basis(eyes, scores)
    full_mean, full_basis = with_eyeballs(topology, mean, basis, eye_mean, eye_basis)
    return Identity(
        mean=full_mean,
        basis=full_basis,
        eye_center=eye_mean[:, :3],
        eye_center_basis=eye_basis[..., :3],
        eye_radius=eye_mean[:, 3],
        eye_radius_basis=eye_basis[..., 3],
        explained=explained,
        residual=_residual(heads, basis, weight, samples),
    )


def vertex_weights(topology: Topology, vertices: np.ndarray) -> np.ndarray:
    """(S,) How much a vertex counts in alignment and components: the face fully, the rest less, inner parts not."""
    size = len(topology.base)
    x, y, z = (vertices - np.array([0.0, *_rotation_center(vertices, topology)])).T
    face = 1 / (1 + np.exp(-(z - 20) / 8)) * 1 / (1 + np.exp(-(y + 85) / 8))
    weight = 0.15 + 0.85 * face
    weight[~topology.parts["head"][:size]] = 0.0
    weight[y < -100] *= 0.2
    return weight


def _rotation_center(vertices: np.ndarray, topology: Topology) -> tuple[float, float]:
    """(y, z) of the point midway between the ears: the widest vertices of the head above the neck."""
    size = len(topology.base)
    head = vertices[topology.parts["head"][:size]]
    upper = head[head[:, 1] > np.percentile(head[:, 1], 30)]
    widest = upper[upper[:, 0] > upper[:, 0].max() - 8]
    return float(widest[:, 1].mean()), float(widest[:, 2].mean())


def _eye_basis(eyes: np.ndarray, scores) -> tuple[np.ndarray, np.ndarray]:
    """Mean (2, 4) and basis (80, 2, 4) of the eyeballs' centres and radii (N, 2, 4)."""
    flip = np.array([-1.0, 1.0, 1.0, 1.0])
    mean = eyes.mean(0)
    mean = (mean + mean[::-1] * flip) / 2
    offset = eyes - mean
    twin = offset[:, ::-1] * flip
    basis = np.einsum("nk,nec->kec", scores[0], (offset + twin) / 2)
    basis += np.einsum("nk,nec->kec", scores[1], (offset - twin) / 2)
    return mean, basis


def with_eyeballs(topology, mean, basis, eye_mean, eye_basis) -> tuple[np.ndarray, np.ndarray]:
    """Mean (V, 3) and basis (80, V, 3) with spheres appended that move and grow as ``eye_basis`` says."""
    means, bases = [mean], [basis]
    directions = topology.eye_directions
    for eye in range(2):
        means.append(eye_mean[eye, :3] + eye_mean[eye, 3] * directions)
        bases.append(eye_basis[:, eye, None, :3] + eye_basis[:, eye, None, 3:] * directions)
    return np.concatenate(means), np.concatenate(bases, axis=1)


def _residual(shapes, basis, weight, samples) -> float:
    """Root mean square distance (mm) left when every tenth sample is projected, over the face's vertices."""
    face = weight > 0.5
    design = (basis[:, face] * np.sqrt(weight[face])[:, None]).reshape(len(basis), -1).T
    data = (shapes[::10][:, face] * np.sqrt(weight[face])[:, None]).reshape(len(shapes[::10]), -1).T
    left = data - design @ np.linalg.lstsq(design, data, rcond=None)[0]
    return float(np.sqrt((left**2).sum() / len(shapes[::10]) / weight[face].sum()))
