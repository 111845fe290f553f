"""``portrait view`` and ``portrait serve``: declarations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from portrait.commands.options import Argument, Device, File, Model, Output, path
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


@app.command(
    epilog="Examples: portrait serve talk.track talk.mp4   |   "
    "portrait serve talk.track talk.mp4 --weights talk.weights.safetensors --port 8000"
)
def serve(
    track: Annotated[Path, Argument("TRACK", "Folder that 'portrait fit' wrote.")],
    video: Annotated[Path, Argument("VIDEO", "The clip that it is of.")],
    weights: Annotated[Path | None, File("WEIGHTS", "What 'portrait train' wrote: previews of edited frames.")] = None,
    port: Annotated[int, typer.Option(help="On this machine alone; 0 is any that is free.")] = 0,
    open_: Annotated[bool, typer.Option("--open/--no-open", help="Open it in the browser.")] = True,
    model: Model = None,
    device: Device = "auto",
) -> None:
    """The editor page with Python behind it: a frame is fitted again, and previewed with a trained network.

    It listens on this machine alone, at an address that can't be guessed; all else is as in 'portrait view'.
    """
    import contextlib

    from portrait.services.serving import serve_page
    from portrait.services.setup import Setup
    from portrait.services.viewing import open_in_browser

    served = run(serve_page, track, video, weights, port=port, setup=Setup(model, device))
    with served.server as server, contextlib.suppress(KeyboardInterrupt):  # the way to end it
        if open_:
            open_in_browser(server.address)
        server.serve_forever()
