"""A rendered clip whose truth is known, a detector that knows it too, and fits of it."""

import dataclasses

import torch

import fitting
from facemodel.parameters import FaceParameters
from fitting.landmarks.base import Face
from fitting.observation.crop import cut_out
from fitting.policy.settings import Settings
from renderer import Camera, project, render, to_camera

FAST = Settings(samples=600, levels=(64,), steps=(2,), joint_levels=(64, 128), joint_steps=(4, 5), key_frames=3)


class Frames:
    """A list of pictures as a clip; counts how often each is read."""

    def __init__(self, pictures, fps=25.0):
        self.pictures, self.fps, self.frame_count = pictures, fps, len(pictures)
        self.height, self.width = pictures[0].shape[:2]
        self.stop_at = None

    def __iter__(self):
        for k, picture in enumerate(self.pictures):
            if self.stop_at is not None and k >= self.stop_at:
                raise KeyboardInterrupt
            yield k, k / self.fps, picture


class KnownLandmarks:
    """A detector that knows where the rendered landmarks are; the pictures carry their number in a corner pixel."""

    name, scheme = "known", "mediapipe478"

    def __init__(self, points):
        self.points = points

    def detect(self, picture):
        points = self.points[int(picture[0, 0, 0])]
        return [] if points is None else [Face(points, self.scheme, 1.0)]

    def refine(self, picture, centre, size):
        return next(iter(self.detect(picture)), None)


def rendered_clip(model):
    """Eight frames of a random person who turns, opens the mouth, blinks and looks around."""
    g = torch.Generator().manual_seed(3)
    n, size = 8, 256
    t = torch.linspace(0, 1, n)
    truth = FaceParameters.neutral(model, (n,), focal=400.0, distance=600.0)
    expression = truth.expression.clone()
    expression[:, model.expression_index("jawOpen")] = 0.6 * t
    expression[:, model.expression_index("eyeBlinkLeft")] = (t - 0.5).clamp_min(0)
    light = truth.illumination.clone()
    light[:, 1:] = 0.3 * torch.randn(8, 3, generator=g)
    rotation = torch.stack([0.1 * t, 0.5 * t - 0.25, 0.05 * t], -1)
    gaze = torch.stack([0.2 * t, -0.1 * t], -1)[:, None].expand(n, 2, 2).contiguous()
    truth = truth.replace(
        identity=torch.randn(model.identity_basis.shape[0], generator=g),
        reflectance=torch.randn(model.albedo_basis.shape[0], generator=g),
        expression=expression,
        illumination=light,
        rotation=rotation,
        gaze=gaze,
        focal=torch.tensor(400.0),
    )
    camera = Camera(400.0, size, size)
    out = render(model, truth, camera, maps=("diffuse", "mask"))
    background = torch.rand(size // 8, size // 8, 3, generator=g).repeat_interleave(8, 0).repeat_interleave(8, 1)
    pictures = torch.where(out["mask"] > 0.5, out["diffuse"].clamp(0, 1), background).mul(255).byte().numpy()
    for k in range(n):
        pictures[k, 0, 0] = k
    vertices = model.vertices(truth.identity, truth.expression, truth.gaze)
    points = project(to_camera(vertices, truth.rotation, truth.translation), camera)
    marks = model.landmarks(torch.cat([points, points[..., :1]], -1), "mediapipe478")[..., :2].double().numpy()
    return truth, list(pictures), list(marks)


def fit(model, pictures, points, **options):
    frames = pictures if isinstance(pictures, Frames) else Frames(pictures)
    return fitting.fit_video(frames, model=model, detector=KnownLandmarks(points), **{"settings": FAST, **options})


def same(first, second):
    """Two tracks are equal, bit for bit, but for how long they took."""
    tables = [{**{f.name: getattr(t.parameters, f.name) for f in dataclasses.fields(t.parameters)},
               **t.energies, **{f"spread.{k}": v for k, v in t.spread.items()}, **t.visibility,
               "status": t.status, "times": t.times,
               "confidence": t.confidence, "landmarks": t.landmarks} for t in (first, second)]  # fmt: skip
    assert tables[0].keys() == tables[1].keys()
    for name, value in tables[0].items():
        assert torch.equal(value.nan_to_num(-1e9), tables[1][name].nan_to_num(-1e9)), name


def observed(picture, points, levels):
    """The observation of a picture at its known landmarks."""
    return cut_out(picture, Face(points, KnownLandmarks.scheme, 1.0), 128).observe(levels)
