"""``portrait uv``, ``uv-train``, ``synthesize-dataset``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from portrait.commands.options import (
    Argument,
    Detector,
    Device,
    File,
    Model,
    Output,
    Rasterizer,
    degrees,
    numbers,
    path,
    whole_pair,
)
from portrait.commands.running import run

app = typer.Typer()


@app.command(
    epilog="Examples: portrait synthesize-dataset -o synthetic --identities 3000 --pictures 20   |   "
    "portrait synthesize-dataset -o faces --identities 50 --yaws 0,45,90 --size 256 --no-lights   |   "
    "portrait synthesize-dataset -o corpus --clips 8 --identities 240 --performances 64 --size 128"
)
def synthesize_dataset(
    output: Annotated[Path, Output("FOLDER", "A folder a person inside.")],
    identities: Annotated[int | None, typer.Option(help="People; default 1000, of whom clips are wanted 100.")] = None,
    pictures: Annotated[int, typer.Option(help="Pictures of each.")] = 12,
    clips: Annotated[int | None, typer.Option(help="Clips of each, in place of pictures: see docs/corpus.md.")] = None,
    seed: Annotated[int, typer.Option(help="Another seed is other people.")] = 0,
    max_yaw: Annotated[float, typer.Option(metavar="DEGREES", help="Heads turn at most so far to either side.")] = 90.0,
    yaws: Annotated[
        str | None, typer.Option(metavar="A,B,...", help="Or these yaws, one after the other; degrees.")
    ] = None,
    lights: Annotated[bool, typer.Option("--lights/--no-lights", help="A light a picture, or even light.")] = True,
    expressions: Annotated[
        bool, typer.Option("--expressions/--no-expressions", help="An expression a picture, or none.")
    ] = True,
    test: Annotated[float, typer.Option(metavar="SHARE", help="Share of the people in the split 'test'.")] = 0.1,
    size: Annotated[
        int | None,
        typer.Option(help="Square pictures of so many px; default SphereFace's crop, 112 x 96; of clips 128."),
    ] = None,
    performances: Annotated[
        int | None,
        typer.Option(help="For clips: how many there are to be done; default as many as clips of each person."),
    ] = None,
    frames: Annotated[int, typer.Option(help="For clips: frames of each.")] = 48,
    fps: Annotated[float, typer.Option(help="For clips: frames a second.")] = 12.5,
    form: Annotated[str, typer.Option(metavar="mp4|frames", help="For clips: a video each, or a folder.")] = "mp4",
    tracks: Annotated[
        list[Path] | None,
        typer.Option(
            "--track", metavar="TRACK", help="For clips: real ones that every second performance is from.", parser=path
        ),
    ] = None,
    pair: Annotated[
        list[str] | None, typer.Option(metavar="PERSON:PERFORMANCE", help="For clips: this one too.")
    ] = None,
    shard: Annotated[str | None, typer.Option(metavar="K/N", help="For clips: only the K-th of N parts.")] = None,
    processes: Annotated[int | None, typer.Option(help="Default: one a core.")] = None,
    model: Model = None,
    rasterizer: Rasterizer = "auto",
) -> None:
    """Draw pictures of people who don't exist, in docs/recognition.md's layout. Run again, it goes on where it was.

    A person's shape, colours, moles, freckles, brows and stubble stay; pose, light, expression and camera change.
    With --clips it draws clips, in which anybody can do what anybody else did; light and camera stay with a person.
    """
    turned = degrees("--yaws", yaws)
    wanted = tuple(whole_pair("--pair", text, ":") for text in pair or ())
    part = whole_pair("--shard", "1/1" if shard is None else shard, "/")

    from portrait.services.clips_dataset import ClipOptions, synthesize_clips
    from portrait.services.dataset import DatasetOptions
    from portrait.services.dataset import synthesize_dataset as service
    from portrait.services.setup import Setup

    setup = Setup(model, "cpu", rasterizer)
    of_clips = ClipOptions(
        identities=100 if identities is None else identities, clips=1 if clips is None else clips,
        performances=performances, frames=frames, fps=fps, seed=seed, test=test, size=128 if size is None else size,
        form=form, tracks=tuple(tracks or ()), pairs=wanted, shard=(part[0] - 1, part[1]), processes=processes,
    )  # fmt: skip
    if clips is not None:
        run(synthesize_clips, output, of_clips, setup=setup)
        return
    if form != "mp4" or tracks or pair or shard is not None:
        raise typer.BadParameter("--form, --track, --pair, --shard: are for clips; add --clips, or leave them out")
    of_clips.check_numbers()  # what says something of clips alone
    options = DatasetOptions(
        1000 if identities is None else identities, pictures, seed, max_yaw, turned, lights, expressions, test, size,
        processes,
    )  # fmt: skip
    run(service, output, options, setup=setup)


@app.command(
    epilog="Examples: portrait uv photo.jpg -o face --complete mirror --frontalize   |   "
    "portrait uv talk.track --video talk.mp4 -o face --merge --delight --complete uv.weights.safetensors --yaw 45"
)
def uv(
    input: Annotated[Path, Argument("IMAGE|TRACK", "A picture, which is fitted; or a track.")],
    output: Annotated[Path, Output("FOLDER", "Where everything goes.")],
    video: Annotated[Path | None, File("VIDEO", "The clip that the track is of.")] = None,
    frame: Annotated[
        int | None, typer.Option(help="Which frame of it, from 0; default: a confident, frontal one.")
    ] = None,
    merge: Annotated[bool, typer.Option("--merge", help="Join all frames into one texture.")] = False,
    delight: Annotated[bool, typer.Option("--delight", help="Divide the fitted light out.")] = False,
    complete: Annotated[
        str | None,
        typer.Option(
            metavar="WEIGHTS|mirror",
            help="Fill what isn't seen: by weights that 'portrait uv-train' wrote, or from the mirrored side.",
        ),
    ] = None,
    size: Annotated[int, typer.Option(help="Texels a side: 128, 256, 512, 1024.")] = 512,
    frontalize: Annotated[
        bool, typer.Option("--frontalize", help="Also the face from the front: frontal.png.")
    ] = False,
    yaw: Annotated[list[float] | None, typer.Option(metavar="DEGREES", help="Also the face turned so far.")] = None,
    model: Model = None,
    detector: Detector = "mediapipe",
    rasterizer: Rasterizer = "auto",
    device: Device = "auto",
) -> None:
    """Unwrap a face: its texture with masks, a textured mesh (glb, obj), a turntable, the face at any yaw."""
    from portrait.services.setup import Setup
    from portrait.services.uv import TextureOptions, texture_file

    options = TextureOptions(frame, merge, delight, complete, size, tuple(yaw or ()), frontalize, detector)
    run(texture_file, input, output, options, video=video, setup=Setup(model, device, rasterizer))


@app.command(
    epilog="Examples: portrait uv-train clips/ -o uv.weights.safetensors --minutes 120   |   "
    "portrait uv-train --synthetic 2000 -o uv.weights.safetensors --size 128"
)
def uv_train(
    output: Annotated[Path, Output("WEIGHTS", "File for the weights.")],
    folder: Annotated[Path | None, Argument("FOLDER", "Clips and images, one person a file; sub-folders too.")] = None,
    synthetic: Annotated[int, typer.Option(metavar="N", help="Also N people who don't exist.")] = 0,
    minutes: Annotated[float, typer.Option(help="Training time in all; an interrupted one goes on.")] = 30.0,
    size: Annotated[int, typer.Option(help="Texels a side that the network sees: 64, 128, 256, 512.")] = 128,
    width: Annotated[int, typer.Option(help="Channels of the network's first layer: its capacity and cost.")] = 32,
    loss: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=WEIGHT", help="l1, global, local (adversarial) or identity; 0 leaves one out."),
    ] = None,
    identity: Annotated[Path | None, File("WEIGHTS", "Of 'portrait recognize train', for the loss identity.")] = None,
    seed: Annotated[int, typer.Option(help="Of everything drawn by chance.")] = 0,
    model: Model = None,
    rasterizer: Rasterizer = "auto",
    device: Device = "auto",
) -> None:
    """Train the network that completes textures (UV-GAN). Keeps its work in OUTPUT.work and goes on from there.

    Textures come from all frames of each clip; holes from turning the head, as its own shape hides its far side.
    """
    losses = numbers("--loss", loss)

    from portrait.services.setup import Setup
    from portrait.services.uv_training import UVTrainingOptions, train_uv

    options = UVTrainingOptions(folder, synthetic, minutes, size, width, losses, identity, seed)
    run(train_uv, output, options, setup=Setup(model, device, rasterizer))
