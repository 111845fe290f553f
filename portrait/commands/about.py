"""``portrait doctor`` and ``portrait info``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from portrait.commands.options import Argument
from portrait.commands.progress import say
from portrait.commands.running import run

WIDE = 140  # columns of a table, where the terminal has fewer

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


@app.command()
def methods() -> None:
    """All methods of reenactment: what each needs, what it takes expression and identity to be, how well it did.

    A method learns a person from a clip, many people from a corpus, or nothing.
    """
    from rich.console import Console
    from rich.table import Table

    from portrait.services.catalogue import COLUMNS, catalogue

    found, table = run(catalogue), Table(*COLUMNS, show_lines=True)
    table.columns[0].no_wrap = True  # a name is typed as it stands
    for entry in found.entries:
        table.add_row(*entry.cells())
    console = Console()
    console.print(table) if console.width >= WIDE else Console(width=WIDE).print(table)
    if found.note:
        say(found.note)
