"""``portrait serve``: the editor page with Python behind it, which fits a frame again and shows a preview."""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from pathlib import Path

from facemodel import FrameStatus, PortraitError, Track
from facemodel.editing.edits_file import GAZE, PLACE, TURNS, apply_edits, parse_edits
from facemodel.editing.mixing import target_frames
from facemodel.editing.poses import head_angles
from fitting import make_detector
from fitting.tracking.again import fit_again
from foundation.progress import Event, Report, ignore
from neural_render import FrameCursor
from neural_render.methods.base import method_of
from neural_render.methods.clip import Clip
from portrait.page.document import document
from portrait.page.server import PageServer
from portrait.services.checks import check_number
from portrait.services.events import Notes
from portrait.services.setup import Setup
from portrait.services.viewing import ViewOptions, track_page
from portrait.tracks import check_video

BEFORE = 16  # frames before a preview's that a network may look back to


@dataclass
class Editor:
    """What a page asks of Python, about one track. A question has ``frame`` and the page's ``edits``."""

    track: Track
    model: object
    cursor: FrameCursor
    detector_name: str
    frames: object  # the video's reader
    weights: tuple | None = None  # a method, and what it loaded
    device: str = "cpu"
    detector: object = None  # made when it's first asked for

    def fit_again(self, question: dict) -> dict:
        """The frame's values, by part and name, fitted anew from where the page has them."""
        track, frame = self._edited(question)
        if self.detector is None:
            self.detector = make_detector(self.detector_name)
        picture = self.cursor.at(target_frames(track)[frame])
        try:
            found = fit_again(picture, track.parameters.expanded()[frame], self.model, self.detector)
        except PortraitError as error:
            raise PortraitError(f"frame {frame}: {error}") from None
        named = {
            part: self.model.blocks[part].names if self.model.count(part) else () for part in ("expression", "joints")
        }
        values = {part: dict(zip(names, getattr(found, part).tolist())) for part, names in named.items()}
        values["gaze"] = dict(zip(GAZE, found.gaze.flatten().tolist()))
        values["turn"] = dict(zip(TURNS, head_angles(found.rotation).tolist()))
        values["place"] = dict(zip(PLACE, found.translation.tolist()))
        return {"frame": frame, "values": values}

    def preview(self, question: dict) -> dict:
        """The frame as the network makes it: a PNG as a data URI. It is synthetic, and the page says so."""
        import cv2

        track, frame = self._edited(question)
        method, loaded = self.weights
        first = max(0, frame - BEFORE)
        part = excerpt(track, first, frame + 1)
        target, driver = (Clip.of_track(part, self.frames, self.model) for _ in range(2))
        *_, made = method.animate(loaded, target, driver, device=self.device)
        data = cv2.imencode(".png", made[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()
        return {"frame": frame, "picture": "data:image/png;base64," + base64.b64encode(data).decode()}

    def _edited(self, question: dict) -> tuple[Track, int]:
        frame = question.get("frame")
        if not isinstance(frame, int) or not 0 <= frame < len(self.track):
            raise PortraitError(f"frame: expected 0 to {len(self.track) - 1}, got {frame!r:.40}")
        return apply_edits(self.track, self.model, parse_edits(question.get("edits"), "edits of the page")), frame


@dataclass(frozen=True)
class Served:
    """A server that runs until it is closed, and what it says."""

    server: PageServer
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """What there is to say of it."""
        return [f"{self.server.address}", "  only this machine and who has this address can open it; Ctrl-C ends it"]


def serve_page(
    path: Path,
    video: Path,
    weights: Path | None = None,
    *,
    port: int = 0,
    setup: Setup = Setup(),
    report: Report = ignore,
) -> Served:
    """A server of a track's page; who calls runs its ``serve_forever`` and closes it.

    Raises:
        PortraitError: files that can't be used or don't belong together, a port in use.
    """
    check_number("port", port, 0, 65535)
    setup, notes = setup.started(), Notes(report)
    model = setup.face_model("cpu")
    content, pictures, track = track_page(path, ViewOptions(video=video), model, notes, report)
    loaded = None
    if weights is not None:
        report(Event("reading weights", 0, None))
        method = method_of(weights)
        loaded = method, method.load(weights, setup.face_model())
    frames = check_video(video, track)
    detector = (track.facts.get("settings") or {}).get("detector", "mediapipe")
    editor = Editor(track, model, FrameCursor(frames), detector, frames, loaded, setup.device)
    answers = {"fit": editor.fit_again} | ({"preview": editor.preview} if loaded else {})
    facts = content.facts | {"server": sorted(answers)}
    page = document(facts, content.arrays, pictures, connect="'self'").encode("utf-8", "replace")
    return Served(PageServer(page, answers, port), tuple(notes))


def excerpt(track: Track, first: int, end: int) -> Track:
    """Frames first to end - 1 as a track of their own, which knows their places in the video."""
    part = track.frames(first, end)
    status = part.status.clone()
    status[0] |= int(FrameStatus.CUT)
    facts = track.facts | {"target_frames": target_frames(track)[first:end]}
    return replace(part, status=status, facts=facts, spread={})
