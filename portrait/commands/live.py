"""``portrait live``: the window in which a `portrait.services.live.LiveSession` is looked at."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from foundation.errors import PortraitError
from portrait.commands.options import Detector, Device, File, Model, Rasterizer

TITLE = "portrait live: q ends"
KEYS = "n: this is my face at rest, r: the same and its range, q: ends"
PREVIEW = 384  # px, height of the preview
app = typer.Typer()


@app.command(
    epilog="Examples: portrait live --source 0 --weights talk.weights.safetensors   |   "
    "portrait live --source actor.mp4 --weights talk.weights.safetensors --no-window --record out.mp4   |   "
    "portrait live --source 0 --method face2face --target talk.mp4 --target-track talk.track   |   "
    "portrait live --source 0 --vmc 127.0.0.1:39539 --calibrate me.json   |   "
    "portrait live --source 0 --live-link 192.168.1.20:11111 --csv take.csv --no-window"
)
def live(
    source: Annotated[str, typer.Option(metavar="CAMERA|VIDEO", help="A camera's number, or a video at its own rate.")],
    weights: Annotated[Path | None, File("WEIGHTS", "File that 'portrait train' or 'export' wrote.")] = None,
    method: Annotated[
        str | None, typer.Option(metavar="NAME", help="In place of weights: a method that has none, as face2face.")
    ] = None,
    target_track: Annotated[Path | None, File("TRACK", "Trained on; default: looked for beside WEIGHTS.")] = None,
    target: Annotated[
        Path | None, File("VIDEO", "The target's video or photograph, for methods that look at it.")
    ] = None,
    frames: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many frames, those before the first picture included.")
    ] = None,
    window: Annotated[bool, typer.Option("--window/--no-window", help="Show driver and result.")] = True,
    record: Annotated[Path | None, File("VIDEO", "Also write what is made.")] = None,
    live_link: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Send what is tracked to Unreal, as Live Link Face does.")
    ] = None,
    vmc: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Send it by the VMC protocol, with Perfect Sync's names.")
    ] = None,
    csv: Annotated[Path | None, File("FILE", "Write it as Live Link Face's csv.")] = None,
    calibrate: Annotated[
        Path | None,
        File("JSON|VIDEO", "What is sent, counted from your own face: saved by keys n and r, or a clip of yours."),
    ] = None,
    model: Model = None,
    detector: Detector = "mediapipe",
    rasterizer: Rasterizer = "auto",
    device: Device = "auto",
) -> None:
    """Drive a trained person by a camera, or send the face to other programs, or both (docs/live.md).

    Takes the newest frame each time and drops what it can't keep up with. For the first 1.5 seconds with a face nothing
    is made: the driver's identity is solved over them.
    """
    if window:
        check_display()
    if calibrate is not None and not window and not calibrate.exists():
        raise PortraitError(f"--calibrate '{calibrate}': no such file; without a window give a saved one, or a clip")

    from portrait.services.live import LiveOptions
    from portrait.services.setup import Setup

    wanted = {"live-link": live_link, "vmc": vmc, "csv": csv}
    streams = tuple((name, str(where)) for name, where in wanted.items() if where is not None)
    options = LiveOptions(source, weights, target_track, target, frames, record, detector, method, streams, calibrate)
    watch(options, Setup(model, device, rasterizer), window=window)


def watch(options, setup, window: bool = True):
    """Runs a session until it ends, ``q`` is pressed or Ctrl-C; its `portrait.services.live.Counts`."""
    from portrait.commands.progress import Progress, say, tell
    from portrait.quiet import quiet_native_stderr
    from portrait.services.live import LiveSession

    report = Progress()
    with quiet_native_stderr():
        session = LiveSession(options, setup, report)
        if session.track_path is not None and options.target_track is None:
            say(f"{session.track_path}: taken as the track that the weights were trained on")
        with session, Window(session) if window else contextlib.nullcontext() as shown:
            if session.collect is not None:
                say(
                    f"{session.stream.name}: look into the camera; identity is solved over the first "
                    f"{session.collect:g} s with a face"
                )
            if shown is not None and options.streams:
                say(f"keys in the window: {KEYS}")
            with contextlib.suppress(KeyboardInterrupt):  # the way to end it without a window
                for frame in session:
                    if shown is not None and shown(frame):
                        break
            counts = session.finish()
    tell(counts)
    return counts


class Window:
    """Shows the driver, beside the result where there is one; its keys are a `portrait.services.live.LiveSession`'s."""

    def __init__(self, session) -> None:
        self._session = session

    def __enter__(self) -> Window:
        return self

    def __call__(self, frame) -> bool:
        """Shows a `portrait.services.live.LiveFrame`; True once ``q`` or Escape was pressed."""
        import cv2
        import numpy as np

        from portrait.pictures import fit_height, labelled

        prompt = self._session.calibrator.prompt
        said = prompt.text if prompt is not None else "driver" if frame.tracked else "driver: not tracked"
        panels = [labelled(fit_height(frame.picture, PREVIEW), said)]
        if self._session.options.drives:
            made = np.zeros((PREVIEW, PREVIEW, 3), np.uint8) if frame.made is None else fit_height(frame.made, PREVIEW)
            panels.append(labelled(made, "synthetic"))
        cv2.imshow(TITLE, np.ascontiguousarray(np.hstack(panels)[..., ::-1]))
        key = cv2.waitKey(1) & 0xFF
        if key in (ord("n"), ord("r")):
            self._session.calibrator.begin(grimaces=key == ord("r"))
        return key in (ord("q"), 27)

    def __exit__(self, *_) -> None:
        import cv2

        cv2.destroyAllWindows()


def check_display() -> None:
    """Raises PortraitError where no window can be opened: the toolkit itself would end the process."""
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise PortraitError("live: there is no display to open a window on; use --no-window, with --record FILE")
