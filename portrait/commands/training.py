"""``portrait train``, ``adapt``, ``synthesize``, ``reenact``, ``demo``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from portrait.commands.options import (
    Absolute,
    Argument,
    Beyond,
    Detector,
    Device,
    File,
    Method,
    MethodOption,
    Minutes,
    Model,
    Output,
    Quality,
    Rasterizer,
    Size,
    Smooth,
    Sound,
    Take,
    Width,
    assignments,
    numbers,
    words,
)
from portrait.commands.progress import say
from portrait.commands.running import run

app = typer.Typer()


def method_values(options: list[str] | None, **given) -> dict[str, object]:
    """A method's own options: those typed as NAME=VALUE, and those that have an option of their own and were given."""
    return assignments("--option", options) | {name: value for name, value in given.items() if value not in (None, {})}


@app.command(
    epilog="Examples: portrait train talk.track talk.mp4 -o talk.weights.safetensors --minutes 30 --size 256   |   "
    "portrait train a.mp4 b.mp4 c.mp4 -o people.safetensors --method NAME --option NAME=VALUE   |   "
    "portrait train --corpus people/ --corpus clips/:0.3 -o people.safetensors --method NAME"
)
def train(
    output: Annotated[Path, Output("WEIGHTS", "File for the weights.")],
    inputs: Annotated[
        list[Path] | None,
        Argument("TRACK VIDEO|CLIP...", "A track and the video it was fitted to; or clips, fitted where needed."),
    ] = None,
    corpus: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH[:WEIGHT]", help="A corpus of many people, and how much of it: docs/corpus.md."),
    ] = None,
    method: Method = "deep-video-portraits",
    minutes: Minutes = 10.0,
    size: Size = None,
    width: Width = None,
    loss: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=WEIGHT", help="l1, adversarial, feature-matching or perceptual; 0 leaves one out."),
    ] = None,
    vgg: Annotated[Path | None, File("FILE", "VGG-16's weights for perceptual; default torchvision's cache.")] = None,
    held_out: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="Keep so many of the frames out and stop when they get no better."),
    ] = None,
    option: MethodOption = None,
    model: Model = None,
    detector: Detector = "mediapipe",
    rasterizer: Rasterizer = "auto",
    device: Device = "auto",
) -> None:
    """Train the network that shows this person, or for methods that learn from many, these. It goes on after a stop.

    With several GPUs or machines: torchrun --nproc-per-node GPUS -m portrait train ...
    """
    values = method_values(
        option, minutes=minutes, size=size, width=width, losses=numbers("--loss", loss),
        vgg=None if vgg is None else str(vgg), held_out=held_out,
    )  # fmt: skip

    from portrait.services.fitting import FitOptions
    from portrait.services.setup import Setup
    from portrait.services.training import MethodOptions
    from portrait.services.training import train as service

    run(
        service, inputs or [], output, MethodOptions(method, values), corpora=corpus or [],
        fit=FitOptions(detector), setup=Setup(model, device, rasterizer),
    )  # fmt: skip


@app.command(
    epilog="Examples: portrait adapt people.safetensors ada.mp4 -o ada.safetensors --minutes 20   |   "
    "portrait adapt latent.safetensors photo.jpg -o ada.safetensors"
)
def adapt(
    weights: Annotated[Path, Argument("WEIGHTS", "What 'portrait train' made of many people.")],
    inputs: Annotated[list[Path], Argument("CLIP|PHOTO...", "Of one person, or a track and its video.")],
    output: Annotated[Path, Output("WEIGHTS", "File for the person's weights.")],
    minutes: Annotated[
        float | None, typer.Option(metavar="MINUTES", help="How long it learns; default: as long as the method needs.")
    ] = None,
    option: MethodOption = None,
    model: Model = None,
    detector: Detector = "mediapipe",
    rasterizer: Rasterizer = "auto",
    device: Device = "auto",
) -> None:
    """Make weights of many people those of one, for the methods that do. It goes on after a stop."""
    values = method_values(option, minutes=minutes)

    from portrait.services.fitting import FitOptions
    from portrait.services.setup import Setup
    from portrait.services.training import adapt as service

    run(service, weights, inputs, output, values, fit=FitOptions(detector), setup=Setup(model, device, rasterizer))


@app.command(
    epilog="Examples: portrait synthesize talk.weights.safetensors new.track --video talk.mp4 -o out.mp4   |   "
    "portrait synthesize --onnx talk.onnx new.track --video talk.mp4 -o out.mp4"
)
def synthesize(
    inputs: Annotated[
        list[Path],
        Argument(
            "[WEIGHTS] TRACK",
            "The file that 'portrait train' wrote, and an edited or mixed track of the same person; for methods that "
            "look at the driver's pictures a video.",
        ),
    ],
    video: Annotated[Path, File("TARGET", "The video that is changed.")],
    output: Annotated[Path, Output("VIDEO", "The new video.")],
    onnx: Annotated[
        Path | None, File("FILE", "In place of WEIGHTS: what 'portrait export WEIGHTS -o FILE' wrote.")
    ] = None,
    method: Annotated[
        str | None, typer.Option(metavar="NAME", help="In place of WEIGHTS: a method that works without any.")
    ] = None,
    sound: Sound = None,
    source: Annotated[Path | None, File("VIDEO", "The driver's video; default: looked for beside the track.")] = None,
    model: Model = None,
    rasterizer: Rasterizer = "auto",
    device: Device = "auto",
) -> None:
    """Make the video again with the track's performance, at its own size, with its sound.

    Where that size is odd the last row or column is there twice, since H.264 needs even ones.
    """
    files = [onnx, *inputs] if onnx or method is not None else inputs
    if len(files) != 2:
        raise typer.BadParameter("expected WEIGHTS and TRACK, or --onnx FILE and TRACK")

    from portrait.services.setup import Setup
    from portrait.services.synthesis import synthesize as service

    run(
        service, *files, video, output, method=method, sound=sound, source=source,
        setup=Setup(model, device, rasterizer),
    )  # fmt: skip


@app.command(
    epilog="Examples: portrait reenact --source actor.mp4 --target talk.mp4 -o out.mp4 --minutes 20   |   "
    "portrait reenact --weights people.safetensors --source actor.mp4 --target photo.jpg -o out.mp4   |   "
    "portrait reenact --weights people.safetensors --set AU12=3 --target photo.jpg -o smile.png"
)
def reenact(
    target: Annotated[Path, File("VIDEO|IMAGE", "Whose video; of methods of many people a photograph is enough.")],
    output: Annotated[Path, Output("VIDEO|PNG", "The new video; of a driver's photograph a picture.")],
    source: Annotated[Path | None, File("VIDEO|IMAGE|TRACK", "Whose performance.")] = None,
    action_units: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="AU12=3",
            help="In place of a source: action units, 0 to 5, of methods that are driven by them.",
        ),
    ] = None,
    scale: Annotated[
        int | None, typer.Option(metavar="STEPS", help="With --set: so many strengths, from none to those given.")
    ] = None,
    take: Take = "expression,pose,gaze",
    absolute: Absolute = False,
    beyond: Beyond = False,
    smooth: Smooth = 0.0,
    method: Method = "deep-video-portraits",
    minutes: Minutes = 10.0,
    size: Size = None,
    width: Width = None,
    option: MethodOption = None,
    weights: Annotated[Path | None, File("WEIGHTS", "Trained ones, in place of a training on the target.")] = None,
    model: Model = None,
    detector: Detector = "mediapipe",
    quality: Quality = "balanced",
    comparison: Annotated[Path | None, File("VIDEO", "Also driver | target | maps | Face2Face | result.")] = None,
    report: Annotated[Path | None, File("HTML", "Also a report in one file.")] = None,
    sound: Sound = "source",
    rasterizer: Rasterizer = "auto",
    device: Device = "auto",
) -> None:
    """All in one: fit both, mix, train, synthesize. Keeps its work in OUTPUT.work and re-uses what is there."""
    parts = words("--take", take, "expression,pose,gaze")
    values = method_values(option, minutes=minutes, size=size, width=width)
    units = numbers("--set", action_units)
    if units and (source is not None or weights is None):
        raise typer.BadParameter("--set: expected --weights, and no --source")
    if source is None and not units:
        raise typer.BadParameter("expected --source, or --set with --weights")
    if scale is not None and not units:
        raise typer.BadParameter("--scale: expected --set with it")

    from portrait.services.editing import MixOptions
    from portrait.services.fitting import FitOptions
    from portrait.services.pipeline import ReenactOptions
    from portrait.services.pipeline import reenact as service
    from portrait.services.setup import Setup
    from portrait.services.training import MethodOptions

    if units:
        from portrait.services.unit_editing import edit_units

        run(edit_units, weights, target, output, units, steps=scale, setup=Setup(model, device, rasterizer))
        return
    options = ReenactOptions(
        MixOptions(parts, absolute, smooth=smooth, beyond=beyond), FitOptions(detector, quality=quality),
        MethodOptions(method, values), weights, sound=sound, comparison=comparison, page=report,
    )  # fmt: skip
    run(service, source, target, output, options, setup=Setup(model, device, rasterizer))


@app.command(epilog="Examples: portrait demo -o demo   |   portrait demo --source actor.mp4 --target talk.mp4 -o demo")
def demo(
    output: Annotated[Path, Output("FOLDER", "Where everything goes.")] = Path("demo"),
    source: Annotated[Path | None, File("VIDEO", "Default: a scripted performance.")] = None,
    target: Annotated[Path | None, File("VIDEO", "Default: a clip that is installed.")] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Training time; default: what is left of about 7 minutes for everything.")
    ] = None,
    size: Size = None,
    width: Width = None,
    model: Model = None,
    rasterizer: Rasterizer = "auto",
    device: Device = "auto",
) -> None:
    """The whole job on a clip that is already here: result.mp4, comparison.mp4 and report.html."""
    values = method_values(None, size=size, width=width)

    from portrait.services.pipeline import ReenactOptions
    from portrait.services.pipeline import demo as service
    from portrait.services.setup import Setup
    from portrait.services.training import MethodOptions

    began, options = time.perf_counter(), ReenactOptions(method=MethodOptions(values=values))
    done = run(
        service, output, source=source, target=target, minutes=minutes, options=options,
        setup=Setup(model, device, rasterizer),
    )  # fmt: skip
    say(f"\nDone in {(time.perf_counter() - began) / 60:.1f} minutes. Look at:")
    for path, what in ((done.video, "the new video"), (done.comparison, "driver | target | in between | result"),
                       (done.page, "curves, overlays, timings, warnings")):  # fmt: skip
        say(f"  {path}   {what}")
