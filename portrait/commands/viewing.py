"""``portrait view``: declarations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from portrait.commands.options import File, Model, Output, path
from portrait.commands.running import run

app = typer.Typer()


@app.command(
    epilog="Examples: portrait view talk.track   |   portrait view talk.track --video talk.mp4 -o look.html   |   "
    "portrait view new.track --against talk.track   |   portrait view --model flame.model"
)
def view(
    track: Annotated[
        Path | None,
        typer.Argument(metavar="[TRACK]", help="Folder that 'portrait fit' wrote; none: the model.", parser=path),
    ] = None,
    output: Annotated[
        Path | None, Output("PAGE", "An .html file; none: a temporary one, opened in the browser.")
    ] = None,
    video: Annotated[Path | None, File("VIDEO", "The track's clip, to be shown behind or beside the head.")] = None,
    against: Annotated[Path | None, File("TRACK2", "Another track, side by side with the first.")] = None,
    texture: Annotated[Path | None, File("PICTURE", "texture.png of 'portrait uv', in place of the albedo.")] = None,
    model: Model = None,
) -> None:
    """Look at a track and edit it: one page that needs no server and no network.

    The head from any side or over the video, sliders for everything, curves to draw and pull. What is edited is saved
    as JSON, which 'portrait edit TRACK --edits FILE' applies, and as ARKit curves. Without a track: the model.
    """
    from portrait.services.setup import Setup
    from portrait.services.viewing import ViewOptions, view_page

    run(view_page, track, output, ViewOptions(video, against, texture), setup=Setup(model, "cpu"))
