"""Whether a real turned face is more like itself when it is frontalised: a pretrained embedding asked.

Of each clip, one person, the frames that look most into the camera and those turned furthest are taken. A turned one is
fitted, unwrapped, completed and drawn from the front, as ``portrait uv --complete --frontalize`` does. Cosines between
embeddings (dlib's, with the weights of ``face_recognition_models``) are taken between turned and frontal frames:
as they are (``photographs``); the turned one frontalised (``frontalised``); both of them (``both``), since a rendering
has no hair and the head's own outline, and two of them have that in common.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

import facemodel
from benchmarks.sheets import save_sheet
from benchmarks.turned_frames import apart, by_turn, pictures_of, yaws
from facemodel import Track
from fitting import fit_video
from fitting.landmarks.registry import make_detector
from portrait.services.frontalizing import Frontalizer
from portrait.services.uv import load_completer
from portrait.video import open_frames
from recognition.embedding import FaceEmbedding, similarity

CHOSEN = 6  # frames of each kind a clip
RENDERED = 256  # px a side
WAYS = ("photographs", "frontalised", "both")


@dataclass(frozen=True)
class Seen:
    """One frame: as it is and frontalised, with the embeddings of both; None where no face is found in it."""

    yaw: float  # degrees
    picture: np.ndarray  # about the face
    frontalised: np.ndarray
    own: np.ndarray | None  # (128,)
    turned: np.ndarray | None


class Eye:
    """Looks at frames: fits are given, the rest is done here."""

    def __init__(self, weights: Path) -> None:
        self.model = facemodel.load()
        self.frontalizer = Frontalizer(self.model, load_completer(str(weights), self.model, "cpu"))
        self.detector, self.embedding = make_detector(), FaceEmbedding()

    def embed(self, picture: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
        """The embedding of the largest face, and a square about it; None where there is none."""
        faces = self.detector.detect(picture)
        if not faces:
            return None, None
        (x, y), reach = faces[0].centre, faces[0].size * 0.8
        box = [int(max(v, 0)) for v in (y - reach, y + reach, x - reach, x + reach)]
        return self.embedding(picture, faces[0]), picture[box[0] : box[1], box[2] : box[3]]

    def look(self, track: Track, pictures: dict[int, np.ndarray], yaw: np.ndarray) -> list[Seen]:
        out = []
        for frame, picture in pictures.items():
            face = self.frontalizer.face(picture, track.parameters.expanded()[frame])
            made = face.at_yaw(0.0, RENDERED)
            own, square = self.embed(picture)
            turned, _ = self.embed(made)
            shown = cv2.resize(square if square is not None else picture, made.shape[:2])
            out.append(Seen(float(yaw[frame]), shown, made, own, turned))
        return out


def compare_clips(clips: list[Path], weights: Path, folder: Path | None) -> dict:
    """Cosines of turned with frontal frames, of one person and of two; prints them. folder: for a sheet."""
    eye, people = Eye(weights), {}
    for clip in clips:
        track = fit_video(open_frames(clip), model=eye.model)
        yaw, order = yaws(track), by_turn(track)
        frontal, turned = apart(order, CHOSEN), apart(order[::-1], CHOSEN)
        pictures = dict(pictures_of(clip, [*frontal, *turned]))
        rows = [eye.look(track, {k: pictures[k] for k in kind}, yaw) for kind in (frontal, turned)]
        people[clip.stem] = rows
    eye.detector.close()
    if folder:
        shown = [p for rows in people.values() for s in rows[1] for p in (s.picture, s.frontalised)]
        print(save_sheet(folder / "real.png", shown, columns=2 * CHOSEN, height=112), flush=True)
    out: dict = {"turned": {name: [round(s.yaw, 1) for s in rows[1]] for name, rows in people.items()}}
    for way in WAYS:
        same_of, different = cosines(people, way)
        same = [c for some in same_of.values() for c in some]
        figures = {"same": np.mean(same), "different": np.mean(different), "pairs": len(same) + len(different)}
        figures["apart"] = (np.mean(same) - np.mean(different)) / np.sqrt((np.var(same) + np.var(different)) / 2)
        figures |= {f"same, {name}": np.mean(some) for name, some in same_of.items()}
        out[way] = {k: round(float(v), 4) for k, v in figures.items()}
        print(f"  {way:12}" + ", ".join(f"{k} {v}" for k, v in out[way].items()), flush=True)
    return out


def cosines(people: dict[str, list[list[Seen]]], way: str) -> tuple[dict[str, list[float]], list[float]]:
    """Turned frames with all frontal ones: each person's, and two people's. Frames without a face are left out."""
    same: dict[str, list[float]] = {name: [] for name in people}
    different: list[float] = []
    for name, (_, turned) in people.items():
        for other, (frontal, _) in people.items():
            for a in turned:
                for b in frontal:
                    x, y = (a.own if way == WAYS[0] else a.turned), (b.turned if way == WAYS[2] else b.own)
                    if x is not None and y is not None:
                        (same[name] if name == other else different).append(float(similarity(x, y)))
    return same, different
