"""``portrait uv``, ``uv-train``, ``synthesize-dataset``: declarations only, as in ``portrait.cli``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()

Device = Annotated[str, typer.Option(help="cpu, cuda, or auto: cuda where there is one.")]


@app.command(
    epilog="Examples: portrait synthesize-dataset -o synthetic --identities 3000 --pictures 20   |   "
    "portrait synthesize-dataset -o faces --identities 50 --yaws 0,45,90 --size 256 --no-lights"
)
def synthesize_dataset(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="A folder a person inside.")],
    identities: Annotated[int, typer.Option(help="People.")] = 1000,
    pictures: Annotated[int, typer.Option(help="Pictures of each.")] = 12,
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
        int | None, typer.Option(help="Square pictures of so many px; default SphereFace's crop, 112 x 96.")
    ] = None,
    processes: Annotated[int | None, typer.Option(help="Default: one a core.")] = None,
) -> None:
    """Draw pictures of people who don't exist, in docs/recognition.md's layout. Run again, it goes on where it was.

    A person's shape, colours, moles, freckles, brows and stubble stay; pose, light, expression and camera change.
    """
    from .jobs.dataset import synthesize_dataset as run

    run(
        output, identities=identities, pictures=pictures, seed=seed, max_yaw=max_yaw, yaws=yaws, lights=lights,
        expressions=expressions, test=test, size=size, processes=processes,
    )  # fmt: skip
