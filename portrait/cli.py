"""The command line. Only declarations: what a command does is in ``portrait.services``, imported when it runs.

Exit codes: 0 done, 1 some of many clips failed, 2 the input can't be used (one line on stderr says why),
130 interrupted.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from portrait.commands.options import (
    Absolute,
    Detector,
    Device,
    Method,
    Minutes,
    Quality,
    Size,
    Smooth,
    Sound,
    Take,
    Width,
)
from portrait.commands.recognize import app as recognize
from portrait.commands.uv import app as uv

app = typer.Typer(
    name="portrait",
    help="Track a face in video, edit or mix its parameters, and make the video again.\n\n"
    "A first run: [bold]portrait demo[/bold]. Is something missing: [bold]portrait doctor[/bold].",
    epilog="Examples of each command: portrait COMMAND --help",
    rich_markup_mode="rich",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

GOES_ON = (
    "fit", "train", "reenact", "demo", "uv-train", "synthesize-dataset", "recognize align", "recognize train",
)  # fmt: skip
"""Commands that keep their work and go on with it when they are run again; the others begin from the start."""

app.add_typer(recognize)
app.add_typer(uv)


def _say_version(wanted: bool) -> None:
    if wanted:
        from portrait.files import VERSION

        typer.echo(f"video-portraits {VERSION}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say the version and exit.")
    ] = False,
) -> None:
    """What comes before a command."""


@app.command(
    epilog="Examples: portrait fit talk.mp4 -o talk.track   |   portrait fit photo.jpg -o photo.track --fov 60   |   "
    "portrait fit photos/ --photos -o one.track   |   "
    "portrait fit clips/ -o tracks/   |   portrait fit clips/ -o tracks/ --ray auto"
)
def fit(
    input: Annotated[
        Path,
        typer.Argument(metavar="VIDEO|IMAGE|FOLDER", help="A video, an image, a folder of images, a folder of videos."),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="TRACK", help="Folder for the track; for all tracks of many videos."),
    ],
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
    report: Annotated[
        Path | None, typer.Option(metavar="HTML", help="Also a report of one clip: which frames are doubtful, and why.")
    ] = None,
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
    from portrait.services.batch import fit_any

    done = fit_any(
        input, output, detector=detector, focal=focal_px, fov=fov, device=device, ray=ray, quality=quality, page=report,
        photos=photos,
    )  # fmt: skip
    if not done:
        raise typer.Exit(1)


@app.command(
    epilog="Examples: portrait edit talk.track --set jawOpen=0.6 --scale mouthSmileLeft=1.5 --gaze 15,-5 -o new.track"
    "   |   portrait edit talk.track --csv curves.csv -o new.track   |   "
    "portrait edit talk.track --neutral auto --to-csv curves.csv"
)
def edit(
    track: Annotated[Path, typer.Argument(metavar="TRACK", help="Folder that 'portrait fit' wrote.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="TRACK2", help="Folder for the new track.")
    ] = None,
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
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Read ARKit curves (Live Link Face's CSV).")] = None,
    csv_rate: Annotated[
        float | None, typer.Option(help="Frames a second that the CSV's timecodes count; else found from them.")
    ] = None,
    csv_head: Annotated[bool, typer.Option("--csv-head", help="Take the head's angles from the CSV too.")] = False,
    to_csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the result's curves as such a CSV.")
    ] = None,
) -> None:
    """Change expression shapes by name, gaze, smoothness; curves from and to CSV.

    Order: curves, smoothing, neutral, scale, add, set, gaze. Expression stays within 0 and 1; curves that end before
    the track does are held. The eyeLook shapes move the lids alone: --gaze turns the eyes, and the lids with them.
    A face at rest has a little of some shapes, by which the fit explains who it is: --neutral takes them out, for
    avatars.
    """
    from portrait.services.tracks import edit_track

    edit_track(
        track, output, set=set or [], scale=scale or [], add=add or [], gaze=gaze, smooth=smooth, neutral=neutral,
        csv=csv, csv_rate=csv_rate, csv_head=csv_head, to_csv=to_csv,
    )  # fmt: skip


@app.command(
    epilog="Example: portrait mix --source actor.track --target talk.track --take expression,gaze -o mixed.track"
)
def mix(
    source: Annotated[Path, typer.Option(metavar="TRACK", help="Whose performance.")],
    target: Annotated[Path, typer.Option(metavar="TRACK", help="Whose face, light and video.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="TRACK", help="Folder for the mixed track.")],
    take: Take = "expression,pose,gaze",
    absolute: Absolute = False,
    source_neutral: Annotated[int | None, typer.Option(help="Frame of the source without expression.")] = None,
    target_neutral: Annotated[int | None, typer.Option(help="Frame of the target without expression.")] = None,
    smooth: Smooth = 0.0,
) -> None:
    """Put one clip's performance on another clip's face. Expression counts against neutral, pose against the start."""
    from portrait.services.tracks import mix_tracks

    mix_tracks(
        source, target, output, take=take, absolute=absolute, source_neutral=source_neutral,
        target_neutral=target_neutral, smooth=smooth,
    )  # fmt: skip


@app.command(
    epilog="Examples: portrait render talk.track -o maps.mp4 --maps diffuse,eyes   |   "
    "portrait render talk.track -o overlay.mp4 --overlay talk.mp4   |   portrait render talk.track -o maps/ --size 512"
)
def render(
    track: Annotated[Path, typer.Argument(metavar="TRACK")],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="A video, maps side by side (of a photo a .png too); or a folder, one video a map."
        ),
    ],
    maps: Annotated[
        str, typer.Option(help="Any of diffuse,correspondence,eyes,normals,depth,mask.")
    ] = "diffuse,correspondence,eyes",
    overlay: Annotated[Path | None, typer.Option(metavar="VIDEO", help="Draw the (first) map over this video.")] = None,
    alpha: Annotated[float, typer.Option(min=0, max=1, help="Strength of the overlay.")] = 0.7,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="WIDTHxHEIGHT", help="Or WIDTH; default the clip's own. A video's odd ones gain a pixel: H.264."
        ),
    ] = None,
    device: Device = "auto",
) -> None:
    """Draw the face: shading, the conditioning maps, normals, depth; or drawn over the video."""
    from portrait.services.rendering import render_track

    names = None if overlay is not None and maps == "diffuse,correspondence,eyes" else maps
    render_track(track, output, maps=names, overlay=overlay, alpha=alpha, size=size, device=device)


@app.command(epilog="Example: portrait train talk.track talk.mp4 -o talk.weights.safetensors --minutes 30 --size 256")
def train(
    track: Annotated[Path, typer.Argument(metavar="TRACK")],
    video: Annotated[Path, typer.Argument(metavar="VIDEO", help="The video that the track was fitted to.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="WEIGHTS", help="File for the weights.")],
    method: Method = "deep-video-portraits",
    minutes: Minutes = 10.0,
    size: Size = 128,
    width: Width = 32,
    loss: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=WEIGHT", help="l1, adversarial, feature-matching or perceptual; 0 leaves one out."),
    ] = None,
    vgg: Annotated[
        Path | None, typer.Option(metavar="FILE", help="VGG-16's weights for perceptual; default torchvision's cache.")
    ] = None,
    held_out: Annotated[
        float, typer.Option(metavar="SHARE", help="Keep so many of the frames out and stop when they get no better.")
    ] = 0.0,
    device: Device = "auto",
) -> None:
    """Train the network that turns maps into this person's frames. It goes on after a stop.

    With several GPUs or machines: torchrun --nproc-per-node GPUS -m portrait train ...
    """
    from portrait.services.synthesis import train_file
    from portrait.services.tracks import assignments

    train_file(
        track, video, output, method=method, minutes=minutes, size=size, width=width, device=device,
        losses=assignments("--loss", loss or []), vgg=vgg, held_out=held_out,
    )  # fmt: skip


@app.command(
    epilog="Examples: portrait synthesize talk.weights.safetensors new.track --video talk.mp4 -o out.mp4   |   "
    "portrait synthesize --onnx talk.onnx new.track --video talk.mp4 -o out.mp4"
)
def synthesize(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="[WEIGHTS] TRACK",
            help="The file that 'portrait train' wrote, and an edited or mixed track of the same person.",
        ),
    ],
    video: Annotated[Path, typer.Option(metavar="TARGET", help="The video that is changed.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="VIDEO", help="The new video.")],
    onnx: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="In place of WEIGHTS: what 'portrait export WEIGHTS -o FILE' wrote."),
    ] = None,
    sound: Sound = None,
    device: Device = "auto",
) -> None:
    """Make the video again with the track's performance, at its own size, with its sound.

    Where that size is odd the last row or column is there twice, since H.264 needs even ones.
    """
    files = [onnx, *inputs] if onnx else inputs
    if len(files) != 2:
        raise typer.BadParameter("expected WEIGHTS and TRACK, or --onnx FILE and TRACK")
    from portrait.services.synthesis import synthesize_file

    synthesize_file(*files, video, output, sound=sound, device=device)


@app.command(epilog="Example: portrait reenact --source actor.mp4 --target talk.mp4 -o out.mp4 --minutes 20")
def reenact(
    source: Annotated[Path, typer.Option(metavar="VIDEO|TRACK", help="Whose performance.")],
    target: Annotated[Path, typer.Option(metavar="VIDEO", help="Whose video.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="VIDEO", help="The new video.")],
    take: Take = "expression,pose,gaze",
    absolute: Absolute = False,
    smooth: Smooth = 0.0,
    method: Method = "deep-video-portraits",
    minutes: Minutes = 10.0,
    size: Size = 128,
    width: Width = 32,
    detector: Detector = "mediapipe",
    quality: Quality = "balanced",
    comparison: Annotated[
        Path | None, typer.Option(metavar="VIDEO", help="Also driver | target | maps | result.")
    ] = None,
    report: Annotated[Path | None, typer.Option(metavar="HTML", help="Also a report in one file.")] = None,
    sound: Sound = "source",
    device: Device = "auto",
) -> None:
    """All in one: fit both, mix, train, synthesize. Keeps its work in OUTPUT.work and re-uses what is there."""
    from portrait.services.pipeline import reenact_files

    reenact_files(
        source, target, output, take=take, absolute=absolute, smooth=smooth, minutes=minutes, size=size, width=width,
        detector=detector, comparison=comparison, report=report, sound=sound, device=device, method=method,
        quality=quality,
    )  # fmt: skip


@app.command(
    epilog="Examples: portrait live --source 0 --weights talk.weights.safetensors   |   "
    "portrait live --source actor.mp4 --weights talk.weights.safetensors --no-window --frames 200 --record out.mp4"
)
def live(
    source: Annotated[str, typer.Option(metavar="CAMERA|VIDEO", help="A camera's number, or a video at its own rate.")],
    weights: Annotated[Path, typer.Option(metavar="WEIGHTS", help="File that 'portrait train' or 'export' wrote.")],
    target_track: Annotated[
        Path | None, typer.Option(metavar="TRACK", help="Trained on; default: looked for beside WEIGHTS.")
    ] = None,
    frames: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many frames, those before the first picture included.")
    ] = None,
    window: Annotated[bool, typer.Option("--window/--no-window", help="Show driver and result.")] = True,
    record: Annotated[Path | None, typer.Option(metavar="VIDEO", help="Also write what is made.")] = None,
    detector: Detector = "mediapipe",
    device: Device = "auto",
) -> None:
    """Drive a trained person by a camera. Takes the newest frame each time and drops what it can't keep up with.

    For the first 1.5 seconds with a face nothing is made: the driver's identity is solved over them.
    """
    from portrait.services.live import live as run

    run(
        source, weights, target_track=target_track, frames=frames, window=window, record=record,
        detector=detector, device=device,
    )  # fmt: skip


@app.command(
    epilog="Examples: portrait export talk.track --frame 40 -o face.glb   |   "
    "portrait export talk.weights.safetensors -o talk.onnx"
)
def export(
    input: Annotated[Path, typer.Argument(metavar="TRACK|WEIGHTS")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="face.obj, face.ply, face.glb; or network.onnx.")
    ],
    frame: Annotated[int, typer.Option(help="Which frame, from 0.")] = 0,
    texture: Annotated[int, typer.Option(help="Texture's height and width; 0 colours the vertices instead.")] = 1024,
) -> None:
    """Write one frame's mesh, landmarks and camera beside it as JSON; or a trained network as ONNX.

    obj and ply are in millimetres with the frame's expression. glb is in metres (as glTF has it, by its node's scale):
    a face at rest, ARKit's expression shapes as morph targets, and the frame's as their default weights.
    """
    from portrait.services.exporting import export_file

    export_file(input, output, frame=frame, texture_size=texture)


@app.command(epilog="Examples: portrait demo -o demo   |   portrait demo --source actor.mp4 --target talk.mp4 -o demo")
def demo(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where everything goes.")] = Path(
        "demo"
    ),
    source: Annotated[Path | None, typer.Option(metavar="VIDEO", help="Default: a scripted performance.")] = None,
    target: Annotated[Path | None, typer.Option(metavar="VIDEO", help="Default: a clip that is installed.")] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Training time; default: what is left of about 7 minutes for everything.")
    ] = None,
    size: Size = 128,
    width: Width = 32,
    device: Device = "auto",
) -> None:
    """The whole job on a clip that is already here: result.mp4, comparison.mp4 and report.html."""
    from portrait.services.pipeline import run_demo

    run_demo(output, source=source, target=target, minutes=minutes, size=size, width=width, device=device)


@app.command()
def doctor() -> None:
    """What works on this machine, and the next command for what doesn't."""
    from portrait.services.doctor import examine

    raise typer.Exit(0 if examine() else 2)


@app.command()
def info(path: Annotated[Path, typer.Argument(metavar="VIDEO|IMAGE|TRACK|WEIGHTS|MODEL|ONNX|GLB")]) -> None:
    """What a file is: size, frames, what it was made of and how."""
    from portrait.services.describing import describe

    describe(path)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; the exit code."""
    try:
        code = app(arguments, prog_name="portrait", standalone_mode=False)
        if code == 130:
            raise KeyboardInterrupt
        return code if isinstance(code, int) else 0
    except KeyboardInterrupt:
        code = _complain(f"interrupted; {_what_next(sys.argv[1:] if arguments is None else arguments)}", 130)
        if arguments is None:
            # Python would end itself by the signal instead where it broke code that a library had compiled
            os._exit(code)
        return code
    except Exception as error:
        line = explain(error)
        if line is None:
            raise
        return _complain(line, 2)


def _what_next(arguments: list[str]) -> str:
    """What the same command does when it is run again after an interruption."""
    if arguments[:1] == ["recognize"]:
        arguments = [" ".join(arguments[:2])]
    goes_on = bool(arguments) and arguments[0] in GOES_ON
    return "run the same command again to go on" if goes_on else "the same command begins from the start"


def explain(error: Exception) -> str | None:
    """One line for an error that is the input's fault, or the machine's; None for one that is ours."""
    import errno

    if type(error).__name__ == "PortraitError":  # facemodel isn't imported for this
        return " ".join(str(error).split())
    if hasattr(error, "format_message"):  # wrong use of the command line
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error.format_message())
            return "no command given (see above)"
        return f"{' '.join(error.format_message().split())} (see 'portrait --help')"
    full = getattr(error, "errno", None) == errno.ENOSPC or "No space left on device" in str(error)
    if full:
        name = getattr(error, "filename", None)
        return f"the disk is full{f' ({name})' if name else ''}; free some space and run the same command again"
    if isinstance(error, PermissionError | FileNotFoundError | IsADirectoryError | NotADirectoryError):
        return f"'{error.filename}': {error.strerror}"
    return None


def _complain(line: str, code: int) -> int:
    sys.stdout.flush()
    print(f"error: {line}" if code == 2 else line, file=sys.stderr, flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
