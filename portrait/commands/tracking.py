"""``portrait fit``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from portrait.commands.options import Argument, Detector, Device, File, Model, Output, Quality, Rasterizer
from portrait.commands.running import run

app = typer.Typer()


@app.command(
    epilog="Examples: portrait fit talk.mp4 -o talk.track   |   portrait fit photo.jpg -o photo.track --fov 60   |   "
    "portrait fit photos/ --photos -o one.track   |   "
    "portrait fit two.mp4 -o both/ --all-people   |   "
    "portrait fit photo.jpg -o photo.track --action-units aus.csv   |   "
    "portrait fit clips/ -o tracks/   |   portrait fit clips/ -o tracks/ --ray auto"
)
def fit(
    input: Annotated[
        Path, Argument("VIDEO|IMAGE|FOLDER", "A video, an image, a folder of images, a folder of videos.")
    ],
    output: Annotated[Path, Output("TRACK", "Folder for the track; for all tracks of many videos.")],
    model: Model = None,
    detector: Detector = "mediapipe",
    focal_px: Annotated[float | None, typer.Option(help="Focal length in pixels, if known; else it is found.")] = None,
    fov: Annotated[
        float | None,
        typer.Option(metavar="DEGREES", help="Or the field of view, from the upright picture's left to right edge."),
    ] = None,
    quality: Quality = "balanced",
    photos: Annotated[
        bool, typer.Option("--photos", help="A folder's images are photos of one person, in no order, of any size.")
    ] = False,
    person: Annotated[
        str | None,
        typer.Option(metavar="N|PHOTO", help="Of several people whom to follow: 1 is shown most; or a photo of them."),
    ] = None,
    all_people: Annotated[
        bool, typer.Option("--all-people", help="A track of each person: TRACK/person_1.track and so on.")
    ] = False,
    report: Annotated[
        Path | None, File("HTML", "Also a report of one clip: which frames are doubtful, and why.")
    ] = None,
    action_units: Annotated[
        Path | None, File("CSV", "Also action units of one clip or picture, 0 to 5, in OpenFace's columns.")
    ] = None,
    rasterizer: Rasterizer = "auto",
    device: Device = "auto",
    ray: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Share a folder of videos out over a Ray cluster; 'local' starts one."),
    ] = None,
) -> None:
    """Find landmarks and model parameters in every frame. Run again after a stop, it goes on where it was.

    A track that was edited or mixed, or that is of another file, is never overwritten.

    Videos in a folder (and its sub-folders) are fitted side by side, one on each core, with a table in summary.csv.
    Exit code 0: all are fitted; 1: some failed, and the table says why.
    """
    from portrait.commands.batch_display import FitDisplay
    from portrait.services.batch import fit_any
    from portrait.services.fitting import FitOptions
    from portrait.services.setup import Setup

    who = None if person is None else int(person) if person.lstrip("-").isdigit() else Path(person)
    done = run(
        fit_any, input, output, FitOptions(detector, focal_px, fov, quality, photos, who, all_people),
        setup=Setup(model, device, rasterizer), page=report, units=action_units, ray=ray, listener=FitDisplay(),
    )  # fmt: skip
    if getattr(done, "failed", 0):
        raise typer.Exit(1)
