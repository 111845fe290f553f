"""``portrait doctor`` and ``portrait info``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from portrait.commands.options import Argument
from portrait.commands.running import run

app = typer.Typer()


@app.command()
def doctor() -> None:
    """What works on this machine, what there is to choose from, and the next command for what doesn't work."""
    from portrait.services.doctor import examine

    raise typer.Exit(0 if run(examine).well else 2)


@app.command()
def info(path: Annotated[Path, Argument("VIDEO|IMAGE|TRACK|WEIGHTS|MODEL|ONNX|GLB")]) -> None:
    """What a file is: size, frames, what it was made of and how."""
    from portrait.services.describing import describe

    run(describe, path)
