"""``portrait model``: other people's face models; declarations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from portrait.commands.options import Argument, File, Model, Output, Rasterizer
from portrait.commands.progress import say
from portrait.commands.running import run

app = typer.Typer(
    name="model",
    help="Import other people's face models, say what one is, list what is known, draw a sheet of one.\n\n"
    "docs/models.md says which there are and where to get them.",
    rich_markup_mode="rich",
    no_args_is_help=True,
)

Source = Annotated[str | None, typer.Argument(metavar="[NAME|FILE]", help="Default: the model that ships with it.")]


@app.command(
    "import",
    epilog="Examples: portrait model import flame2023.pkl -o flame.model --with landmark_embedding.npy "
    "--with FLAME_masks.pkl --with head_template.obj --with l_eyelid.npy --with r_eyelid.npy   |   "
    "portrait model import ICT-FaceKit -o ict.model",
)
def import_(
    source: Annotated[Path, Argument("FILE|FOLDER", "A model; its format is found by its content.")],
    output: Annotated[Path, Output("FILE", "Where the imported model goes.")],
    extras: Annotated[
        list[Path] | None,
        typer.Option("--with", metavar="FILE", help="A file that belongs to it and lies apart; again for each."),
    ] = None,
    format: Annotated[
        str | None, typer.Option(metavar="NAME", help="What it has to be; 'portrait model list' has the names.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Import it even if it isn't what a face should be.")] = False,
    own_only: Annotated[
        bool, typer.Option("--own-only", help="Carry nothing over from the default model: what the files have, only.")
    ] = False,
) -> None:
    """Read a face model of another project and keep it in one file, in millimetres, checked, without pickles.

    What it lacks is carried over from the default model: ARKit's expressions, eyeballs, colours, regions, an atlas,
    landmarks.
    """
    from portrait.services.models import import_file

    run(import_file, source, output, extras=extras or (), format=format, force=force, own_only=own_only)


@app.command(epilog="Examples: portrait model info   |   portrait model info flame.model")
def info(source: Source = None) -> None:
    """What a face model is: counts, what it has and lacks, its terms, which checks it passes."""
    from portrait.services.models import describe_model

    run(describe_model, source)


@app.command("list")
def list_() -> None:
    """The models that are there by name, and the formats that can be read."""
    from portrait.services.models import known_models

    named, formats = run(known_models)
    for title, known in (("models", named), ("formats", formats)):
        say(title)
        for k in known:
            say(f"  {k.name:<14} {k.title}{f'; with {k.extras}' if k.extras else ''}")


@app.command(epilog="Examples: portrait model show -o sheet.png   |   portrait model show ict.model -o ict.png")
def show(
    output: Annotated[Path, Output("PICTURE", "Where the sheet goes: png or jpg.")],
    source: Source = None,
    rasterizer: Rasterizer = "auto",
) -> None:
    """Draw a sheet: the mean from all sides, identity at -2 and +2 std, expressions by name, joints, gaze."""
    from portrait.services.models import draw_sheet

    say(f"{run(draw_sheet, source, output, rasterizer=rasterizer)}: mean, identity, expressions, joints")


@app.command(
    epilog="Examples: portrait model convert talk.track --to flame.model -o flame.track --npz flame.npz   |   "
    "portrait model convert flame.track --model flame.model --to default -o talk.track"
)
def convert(
    track: Annotated[Path, Argument("TRACK", "Folder that 'portrait fit' wrote.")],
    to: Annotated[str, typer.Option(metavar="NAME|FILE", help="The model that it is to be of.")],
    output: Annotated[Path, Output("TRACK2", "Folder for the new track.")],
    model: Model = None,
    npz: Annotated[
        Path | None, File("FILE", "Write FLAME parameters, too, as VHAP and GaussianAvatars exchange them.")
    ] = None,
) -> None:
    """Carry a performance over to another model: the same pose, face and gaze in its coefficients.

    --model is the track's own. With --npz FLAME moves by its own expressions and jaw alone, not by those that it was
    given at import, since other programs don't know them.
    """
    from portrait.services.converting import convert_file

    run(convert_file, track, to, output, model=model, npz=npz)
