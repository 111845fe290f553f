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
    epilog="Examples: portrait export talk.track --frame 40 -o face.glb   |   "
    "portrait export talk.weights.safetensors -o talk.onnx"
)
def export(
    input: Annotated[Path, Argument("TRACK|WEIGHTS")],
    output: Annotated[Path, Output("FILE", "face.obj, face.ply, face.glb; or network.onnx.")],
    frame: Annotated[int, typer.Option(help="Which frame, from 0.")] = 0,
    texture: Annotated[int, typer.Option(help="Texture's height and width; 0 colours the vertices instead.")] = 1024,
    model: Model = None,
    rasterizer: Rasterizer = "auto",
) -> None:
    """Write one frame's mesh, landmarks and camera beside it as JSON; or a trained network as ONNX.

    obj and ply are in millimetres with the frame's expression. glb is in metres (as glTF has it, by its node's scale):
    a face at rest, its expression shapes as morph targets, and the frame's as their default weights.
    """
    from portrait.services.exporting import export_frame, export_network
    from portrait.services.setup import Setup

    setup = Setup(model, "cpu", rasterizer)
    if output.suffix.lower() == ".onnx":
        run(export_network, input, output, setup=setup)
    else:
        run(export_frame, input, output, frame=frame, texture=texture, setup=setup)
