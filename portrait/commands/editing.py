"""``portrait edit`` and ``portrait mix``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from portrait.commands.options import (
    Absolute,
    Argument,
    Beyond,
    File,
    Model,
    Output,
    Smooth,
    Take,
    angles,
    frame_or_auto,
    numbers,
    words,
)
from portrait.commands.running import run

app = typer.Typer()


@app.command(
    epilog="Examples: portrait edit talk.track --set jawOpen=0.6 --scale mouthSmileLeft=1.5 --gaze 15,-5 -o new.track"
    "   |   portrait edit talk.track --csv curves.csv -o new.track   |   "
    "portrait edit talk.track --neutral auto --to-csv curves.csv   |   "
    "portrait edit talk.track --edits talk.edits.json -o new.track"
)
def edit(
    track: Annotated[Path, Argument("TRACK", "Folder that 'portrait fit' wrote.")],
    output: Annotated[Path | None, Output("TRACK2", "Folder for the new track.")] = None,
    set: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="Set a shape, e.g. jawOpen=0.6.")] = None,
    scale: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="Multiply a shape.")] = None,
    add: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="Add to a shape.")] = None,
    gaze: Annotated[
        str | None, typer.Option(metavar="YAW,PITCH", help="Degrees; to the subject's left and up are positive.")
    ] = None,
    smooth: Smooth = 0.0,
    neutral: Annotated[
        str | None, typer.Option(metavar="FRAME|auto", help="Count expressions from this frame, where the face rests.")
    ] = None,
    edits: Annotated[Path | None, File("FILE", "Apply what the page of 'portrait view' saved (JSON).")] = None,
    csv: Annotated[Path | None, File("FILE", "Read ARKit curves (Live Link Face's CSV).")] = None,
    csv_rate: Annotated[
        float | None, typer.Option(help="Frames a second that the CSV's timecodes count; else found from them.")
    ] = None,
    csv_head: Annotated[bool, typer.Option("--csv-head", help="Take the head's angles from the CSV too.")] = False,
    to_csv: Annotated[Path | None, File("FILE", "Write the result's curves as such a CSV.")] = None,
    model: Model = None,
) -> None:
    """Change expression shapes by name, gaze, smoothness; curves from and to CSV.

    Order: edits, curves, smoothing, neutral, scale, add, set, gaze. Expression stays within the model's bounds, 0 and
    1 for ARKit's; curves that end before the track does are held. The eyeLook shapes move the lids alone: --gaze turns
    the eyes, and the lids with them. A face at rest has a little of some shapes, by which the fit explains who it is:
    --neutral takes them out, for avatars.
    """
    if csv is None and (csv_rate is not None or csv_head):
        raise typer.BadParameter("--csv-rate, --csv-head: expected --csv FILE too")
    given = [numbers(f"--{name}", items) for name, items in (("scale", scale), ("add", add), ("set", set))]
    looks, rests = angles("--gaze", gaze), frame_or_auto("--neutral", neutral)

    from portrait.services.editing import CurveOptions, EditOptions, edit_track
    from portrait.services.setup import Setup

    curves = None if csv is None else CurveOptions(csv, csv_rate, csv_head)
    options = EditOptions(curves, smooth, rests, *given, looks, edits)
    run(edit_track, track, output, options, to_csv=to_csv, setup=Setup(model, "cpu"))


@app.command(
    "import",
    epilog="Examples: portrait import vhap_export -o talk.track --model flame.model   |   "
    "portrait import openface.csv -o curves.csv   |   portrait import deca_results --format deca -o talk.track "
    "--model flame.model",
)
def import_(
    input: Annotated[Path, Argument("FILE|FOLDER", "Of DECA, EMOCA, SMIRK, VHAP, metrical-tracker; or csv, json.")],
    output: Annotated[
        Path, Output("TRACK|CSV|JSON", "Folder for a track; of curves, a .csv for 'portrait edit --csv'.")
    ],
    format: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="What it is, where its content doesn't say; a wrong one lists all."),
    ] = None,
    track: Annotated[
        Path | None, File("TRACK", "Make edits of this track of the curves: a .json for 'portrait edit --edits'.")
    ] = None,
    fps: Annotated[float | None, typer.Option(help="Frames a second, where the files don't say; default 25.")] = None,
    model: Model = None,
) -> None:
    """Read what other trackers left: their FLAME coefficients as a track, with --model; their curves as ARKit's csv.

    Curves are Live Link Face's csv, OpenFace's csv (action units, gaze, pose) or MediaPipe's scores as JSON. Pickles
    are read without running anything that they name.
    """
    from portrait.services.importing import import_file
    from portrait.services.setup import Setup

    run(import_file, input, output, format=format, fps=fps, track=track, setup=Setup(model, "cpu"))


@app.command(
    epilog="Example: portrait mix --source actor.track --target talk.track --take expression,gaze -o mixed.track"
)
def mix(
    source: Annotated[Path, File("TRACK", "Whose performance.")],
    target: Annotated[Path, File("TRACK", "Whose face, light and video.")],
    output: Annotated[Path, Output("TRACK", "Folder for the mixed track.")],
    take: Take = "expression,pose,gaze",
    absolute: Absolute = False,
    source_neutral: Annotated[int | None, typer.Option(help="Frame of the source without expression.")] = None,
    target_neutral: Annotated[int | None, typer.Option(help="Frame of the target without expression.")] = None,
    beyond: Beyond = False,
    smooth: Smooth = 0.0,
    model: Model = None,
) -> None:
    """Put one clip's performance on another clip's face.

    Expression counts against neutral frames, pose against each clip's most frontal ones.
    """
    parts = words("--take", take, "expression,pose,gaze")

    from portrait.services.editing import MixOptions, mix_tracks
    from portrait.services.setup import Setup

    options = MixOptions(parts, absolute, source_neutral, target_neutral, smooth, beyond)
    run(mix_tracks, source, target, output, options, setup=Setup(model, "cpu"))
