"""``portrait recognize``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from portrait.commands.options import Argument, Device, Model, Output, Rasterizer
from portrait.commands.running import run as call

app = typer.Typer(
    name="recognize",
    help="Train face embeddings, test them on verification protocols, compare them.\n\n"
    "An experiment is one TOML file: docs/recognition.md shows one, and the layouts of data sets.",
    rich_markup_mode="rich",
    no_args_is_help=True,
)

Settings = Annotated[Path, Argument("SETTINGS", "The experiment's TOML file.")]


@app.command(
    epilog="Examples: portrait recognize align lfw -o lfw-aligned   |   "
    "portrait recognize align lfw -o lfw-frontal --frontalize uv.weights.safetensors"
)
def align(
    folder: Annotated[Path, Argument("FOLDER", "Pictures in folders, as the data set comes.")],
    output: Annotated[Path, Output("FOLDER2", "The same folders, with crops.")],
    frontalize: Annotated[
        str | None,
        typer.Option(
            metavar="WEIGHTS|mirror",
            help="Turn faces to the front first; what isn't seen is filled as 'portrait uv --complete' does. Slower.",
        ),
    ] = None,
    model: Model = None,
    rasterizer: Rasterizer = "auto",
) -> None:
    """Crop every face as SphereFace has it, 112 x 96 by five points; yaw.csv beside them."""
    from portrait.services.alignment import align_folder
    from portrait.services.setup import Setup

    call(align_folder, folder, output, frontalize=frontalize, setup=Setup(model, "cpu", rasterizer))


@app.command(epilog="Example: portrait recognize train experiment.toml -o runs/sphereface")
def train(
    settings: Settings,
    output: Annotated[Path, Output("RUN", "Folder; seed-0, seed-1... inside.")],
    device: Device = "auto",
) -> None:
    """Train the network, once for each seed. Run again after a stop, it goes on where it was."""
    from portrait.services.recognition import train_run

    call(train_run, settings, output, device=device)


@app.command(epilog="Example: portrait recognize evaluate experiment.toml runs/sphereface")
def evaluate(
    settings: Settings,
    run: Annotated[Path, Argument("RUN", "Folder that 'portrait recognize train' wrote.")],
    device: Device = "auto",
) -> None:
    """Test every seed's weights on the settings' protocols: results.csv and results.html in the run's folder."""
    from portrait.services.recognition import evaluate_run

    call(evaluate_run, settings, run, device=device)


@app.command(epilog="Example: portrait recognize compare runs/softmax runs/sphereface -o comparison.html")
def compare(
    runs: Annotated[list[Path], Argument("RUN...", "Two or more tested runs, the base first.")],
    output: Annotated[Path, Output("HTML", "The report; a CSV beside it.")],
) -> None:
    """Set runs side by side: accuracy with confidence over folds, gains in the same folds, ROC curves."""
    from portrait.services.recognition import compare_runs

    call(compare_runs, runs, output)
