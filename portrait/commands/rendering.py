"""``portrait render`` and ``portrait export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from portrait.commands.options import (
    Argument,
    Device,
    File,
    Model,
    Output,
    Rasterizer,
    size_or_path,
    width_and_height,
    words,
)
from portrait.commands.running import run

app = typer.Typer()
MAPS = "diffuse,correspondence,eyes"


@app.command(
    epilog="Examples: portrait render talk.track -o maps.mp4 --maps diffuse,eyes   |   "
    "portrait render talk.track -o overlay.mp4 --overlay talk.mp4   |   portrait render talk.track -o maps/ --size 512"
)
def render(
    track: Annotated[Path, Argument("TRACK")],
    output: Annotated[
        Path, Output(None, "A video, maps side by side (of a photo a .png too); or a folder, one video a map.")
    ],
    maps: Annotated[
        str | None,
        typer.Option(
            help=f"Any of diffuse,correspondence,eyes,normals,depth,mask; default {MAPS}, over a video diffuse."
        ),
    ] = None,
    overlay: Annotated[Path | None, File("VIDEO", "Draw the (first) map over this video.")] = None,
    alpha: Annotated[float, typer.Option(min=0, max=1, help="Strength of the overlay.")] = 0.7,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="WIDTHxHEIGHT", help="Or WIDTH; default the clip's own. A video's odd ones gain a pixel: H.264."
        ),
    ] = None,
    model: Model = None,
    rasterizer: Rasterizer = "auto",
    device: Device = "auto",
) -> None:
    """Draw the face: shading, the conditioning maps, normals, depth; or drawn over the video."""
    usual = MAPS if overlay is None else "diffuse"
    names = words("--maps", usual if maps is None else maps, "diffuse,correspondence,eyes,normals,depth,mask")
    shape = width_and_height("--size", size)

    from portrait.services.rendering import RenderOptions, render_track
    from portrait.services.setup import Setup

    run(
        render_track, track, output, RenderOptions(names, overlay, alpha, shape), setup=Setup(model, device, rasterizer)
    )


@app.command(
    epilog="Examples: portrait export talk.track -o face.glb --animated   |   portrait export talk.track -o face.usdz"
    "   |   portrait export talk.track --video talk.mp4 -o talk_nerf --format nerfstudio   |   "
    "portrait export talk.track --frame 40 -o face.obj   |   portrait export talk.weights.safetensors -o talk.onnx"
)
def export(
    input: Annotated[Path, Argument("TRACK|WEIGHTS")],
    output: Annotated[Path, Output("FILE|FOLDER", "face.glb, face.usdz, ...: the name's end says what; see --format.")],
    animated: Annotated[
        bool, typer.Option("--animated", help="All frames of a format that has single ones too: glb, obj, ply.")
    ] = False,
    format: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="All frames, as NAME has them; a wrong name lists all: docs/export.md."),
    ] = None,
    video: Annotated[Path | None, File("VIDEO", "The clip, for data sets that have its pictures.")] = None,
    frame: Annotated[int | None, typer.Option(help="Which frame, from 0, of a single mesh; default 0.")] = None,
    texture: Annotated[
        str,
        typer.Option(
            metavar="SIZE|PICTURE",
            help="Texture's height and width; 0 colours the vertices; or a picture: 'portrait uv' makes texture.png.",
        ),
    ] = "1024",
    check: Annotated[
        bool, typer.Option("--check", help="Read what was written again, and say how far it is off.")
    ] = False,
    model: Model = None,
    rasterizer: Rasterizer = "auto",
) -> None:
    """Write the clip for other programs: animated meshes, avatars' data sets, curves; or a frame; or a network.

    One frame: face.obj, face.ply, face.glb, with landmarks and camera beside it as JSON. obj and ply are in millimetres
    with the frame's expression; glb is in metres (as glTF has it, by its node's scale): a face at rest, its expression
    shapes as morph targets, and the frame's as their default weights. A trained network: network.onnx.
    """
    pixels = size_or_path("--texture", texture)
    if frame is not None and (animated or format is not None):
        raise typer.BadParameter("--frame: a single mesh has one; leave it out, or --animated and --format")

    from portrait.services.exporting import export_frame, export_network, is_animated
    from portrait.services.setup import Setup

    setup = Setup(model, "cpu", rasterizer)
    if output.suffix.lower() == ".onnx" and format is None:
        run(export_network, input, output, setup=setup)
    elif animated or format is not None or (frame is None and is_animated(output)):
        from portrait.services.animation import AnimationOptions, export_track

        run(export_track, input, output, AnimationOptions(format, pixels, video, check), setup=setup)
    elif video is not None or check:
        raise typer.BadParameter("--video, --check: are for all frames; add --animated or --format, or leave them out")
    else:
        run(export_frame, input, output, frame=frame or 0, texture=pixels, setup=setup)
