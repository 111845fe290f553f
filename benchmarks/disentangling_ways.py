"""Ways to express an expression or a person: pictures to codes, each with what it is to hold.

Those of methods need weights (`ways_of_methods`). Codes of people are a clip's, the same in
all of its frames; codes of expressions a frame's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import facemodel
from benchmarks.disentangling_people import Shown
from facemodel.track import Track
from fitting import fit_video, make_detector
from fitting.landmarks.base import Face
from fitting.texture import frame_texture
from geometry.color import linear_to_srgb
from neural_render.methods.base import METHODS, header_of
from neural_render.methods.clip import Clip, action_units_of_track
from neural_render.methods.finding import detected
from neural_render.methods.weights import Weights, load_network
from portrait.video.source import file_hash

TEXELS = 32  # of a UV map, a side
COARSE = 16  # px that flows, masks and faces are averaged to
CHUNK = 32


@dataclass(frozen=True)
class Way:
    name: str
    holds: str  # "expression" or "identity"
    codes: Callable[[Shown], np.ndarray]  # (N, D)
    fits: Fits | None = None  # that it reads, whose time is its own too
    of: str = ""  # a digest of the weights that it needs


def chunked(pictures: Tensor, network: Callable[[Tensor], Tensor]) -> np.ndarray:
    """(N, D) of pictures (N, 3, S, S), some at a time."""
    with torch.inference_mode():
        return torch.cat([network(part).flatten(1).float() for part in pictures.split(CHUNK)]).numpy()


def of_clips(shown: Shown, codes: np.ndarray) -> np.ndarray:
    """(N, D): each clip's mean code, in all of its frames."""
    return codes.reshape(-1, shown.frames, codes.shape[1]).mean(1).repeat(shown.frames, 0)


def coarse(maps: Tensor) -> Tensor:
    """Maps (N, C, S, S) averaged to (N, C, 16, 16)."""
    return F.interpolate(maps.float(), size=COARSE, mode="area")


# -- without training ---------------------------------------------------------------------------------------------


def found_landmarks(shown: Shown) -> np.ndarray:
    """(N, 2 * 478): what a detector finds, in units of the face's size about its middle; a clip's mean where none."""
    rows = []
    detector = make_detector("mediapipe", "cpu")
    for clip in shown.clips():
        points = detected(detector)(clip).points.astype(np.float64)
        points = np.where(np.isfinite(points), points, np.nanmean(points, 0))
        middle = points.mean(1, keepdims=True)
        rows.append((points - middle) / np.sqrt(np.square(points - middle).mean((1, 2), keepdims=True)))
    detector.close()
    return np.concatenate(rows).reshape(len(shown), -1)


class Fits:
    """Tracks of clips, each fitted once and kept for all ways that read one."""

    def __init__(self) -> None:
        self.kept: dict[int, tuple[list[Track], float]] = {}

    def __call__(self, shown: Shown) -> list[Track]:
        if id(shown) not in self.kept:
            model, began = facemodel.load(), time.process_time()
            tracks = [fit_video(clip.frames, model=model) for clip in shown.clips()]
            self.kept[id(shown)] = tracks, time.process_time() - began
        return self.kept[id(shown)][0]

    def seconds(self, shown: Shown) -> float:
        """Of the processor, that the fits of these took; 0 where they weren't made yet."""
        return self.kept[id(shown)][1] if id(shown) in self.kept else 0.0

    def parameters(self, shown: Shown) -> np.ndarray:
        """(N, 52 + 3): ARKit's shapes and the head's rotation."""
        each = [track.parameters.expanded() for track in self(shown)]
        return np.concatenate([torch.cat([p.expression, p.rotation], 1).numpy() for p in each])

    def units(self, shown: Shown) -> np.ndarray:
        clips = [Clip.of_track(track, model=facemodel.load()) for track in self(shown)]
        return np.nan_to_num(np.concatenate([action_units_of_track(clip).values for clip in clips]))

    def identity(self, shown: Shown) -> np.ndarray:
        """(N, 80 + 80): coefficients of shape and of reflectance."""
        each = [track.parameters.expanded() for track in self(shown)]
        return np.concatenate([torch.cat([p.identity, p.reflectance], 1).numpy() for p in each])

    def texture(self, shown: Shown) -> np.ndarray:
        """(N, 3 * 32 * 32): each frame's UV map without its light; the fitted colour where it isn't seen."""
        model, rows = facemodel.load(), []
        for track, first in zip(self(shown), range(0, len(shown), shown.frames)):
            p = track.parameters.expanded()
            for k in range(len(track)):
                part = frame_texture(model, p[k], torch.from_numpy(shown.pictures[first + k]), TEXELS)
                skin = torch.lerp(part.albedo, part.delit, part.confidence[..., None])
                rows.append(linear_to_srgb(skin.clamp(0, 1)).flatten().numpy())
        return of_clips(shown, np.stack(rows))


def recognition_features(shown: Shown) -> np.ndarray:
    """(N, 128): dlib's embedding, aligned by the true landmarks."""
    from fitting.landmarks.embedding import FaceEmbedding

    embed = FaceEmbedding()
    faces = [Face(points, "mediapipe478", 1.0) for points in shown.landmarks]
    return of_clips(shown, np.stack([embed(picture, face) for picture, face in zip(shown.pictures, faces)]))


def plain_ways() -> list[Way]:
    fits = Fits()
    return [
        Way("landmarks", "expression", found_landmarks),
        Way("ARKit parameters and rotation", "expression", fits.parameters, fits),
        Way("action units", "expression", fits.units, fits),
        Way("model coefficients", "identity", fits.identity, fits),
        Way("UV map", "identity", fits.texture, fits),
        Way("recognition features", "identity", recognition_features),
    ]


# -- of methods ---------------------------------------------------------------------------------------------------


def x2face(weights: Weights) -> list[Way]:
    from neural_render.methods.x2face.method import network_of

    network, size = network_of(weights), weights.header.size

    def embedded(shown: Shown) -> np.ndarray:
        clips = shown.crops(size)[0].unflatten(0, (-1, shown.frames))
        faces = torch.cat([network.embedder(clip[None]).face for clip in clips])
        return coarse(faces).flatten(1).numpy().repeat(shown.frames, 0)

    return [
        Way("driving vector", "expression", lambda shown: chunked(shown.crops(size)[0], network.vector)),
        Way("embedded face (X2Face)", "identity", embedded),
    ]


def disentangling(weights: Weights) -> list[Way]:
    from neural_render.methods.disentangling.method import networks_of

    networks, size = networks_of(weights), weights.header.size

    @torch.inference_mode()
    def faces(shown: Shown) -> Tensor:
        clips = shown.crops(size)[0].unflatten(0, (-1, shown.frames))
        return torch.cat([networks.embedder(clip[None]).face for clip in clips]).repeat_interleave(shown.frames, 0)

    def fields(shown: Shown) -> np.ndarray:
        def field(both: Tensor) -> Tensor:
            face, frame = both.split(3, 1)
            return coarse(networks.pose.flows(networks.pose.code(face, frame))[-1].movedim(-1, 1))

        return chunked(torch.cat([faces(shown), shown.crops(size)[0]], 1), field)

    return [
        Way("displacement field", "expression", fields),
        Way("embedded face (after Zeng)", "identity", lambda shown: coarse(faces(shown)).flatten(1).numpy()),
    ]


def latent_pose(weights: Weights) -> list[Way]:
    from neural_render.methods.latent_pose.adaptation import networks_of

    networks, size = networks_of(weights), weights.header.size
    return [
        Way("pose descriptor", "expression", lambda shown: chunked(shown.crops(size)[0], networks.of_pose)),
        Way("identity embedding", "identity",
            lambda shown: of_clips(shown, chunked(shown.crops(size)[0], networks.of_person))),
    ]  # fmt: skip


def invariant_motion(weights: Weights) -> list[Way]:
    from neural_render.methods.invariant_motion.networks import MotionNetworks

    h = weights.header
    networks = load_network(MotionNetworks(h.points, h.width, h.motion), weights, "networks")

    @torch.inference_mode()
    def codes(shown: Shown) -> np.ndarray:
        points = torch.from_numpy(shown.crops(h.size)[1]).unflatten(0, (-1, shown.frames))
        return networks.motion(points).flatten(0, 1).numpy()

    return [Way("motion code", "expression", codes)]


def ganimation(weights: Weights) -> list[Way]:
    from neural_render.methods.ganimation.networks import EditGenerator

    h = weights.header
    generator = load_network(EditGenerator(len(h.units), h.width), weights, "generator")

    def masks(shown: Shown) -> np.ndarray:
        """What has to change for the face to rest."""
        return chunked(shown.crops(h.size)[0], lambda x: coarse(generator(x, x.new_zeros(len(x), len(h.units))).kept))

    return [Way("attention mask", "expression", masks)]


def reenactgan(weights: Weights) -> list[Way]:
    from neural_render.methods.common.contours import Contours
    from neural_render.methods.reenactgan.networks import BoundaryEncoder
    from neural_render.methods.reenactgan.settings import Settings

    h = weights.header
    encoder = BoundaryEncoder(len(Contours.of(h.scheme).lines), h.size, Settings(size=h.size).side, h.width)
    encoder = load_network(encoder, weights, "encoder")
    boundaries = lambda shown: chunked(shown.crops(h.size)[0], lambda x: coarse(encoder.boundary(x)))  # noqa: E731
    return [Way("boundary code", "expression", boundaries)]


OF_METHODS: dict[str, Callable[[Weights], list[Way]]] = {
    "x2face": x2face,
    "disentangling": disentangling,
    "latent-pose": latent_pose,
    "invariant-motion": invariant_motion,
    "ganimation": ganimation,
    "reenactgan": reenactgan,
}


def ways_of_methods(files: Sequence[Path]) -> tuple[list[Way], list[str]]:
    """Those of the methods that weights files are of, and the names of the methods that none is of."""
    by_name = {header_of(path)["method"]: path for path in files}
    ways = [
        replace(way, of=file_hash(by_name[name]))
        for name, make in OF_METHODS.items()
        if name in by_name
        for way in make(load(name, by_name[name]))
    ]
    return ways, [name for name in OF_METHODS if name not in by_name]


def load(name: str, path: Path) -> Weights:
    return METHODS[name]().load(path)
