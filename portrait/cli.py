"""The command line, put together of `portrait.commands`, and what it makes of errors.

Exit codes: 0 done, 1 some of many clips failed, 2 the input can't be used (one line on stderr says why),
130 interrupted.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from portrait.commands import about, editing, live, rendering, tracking, training, uv, viewing
from portrait.commands.model import app as model
from portrait.commands.recognize import app as recognize

app = typer.Typer(
    name="portrait",
    help="Track a face in video, edit or mix its parameters, and make the video again.\n\n"
    "A first run: [bold]portrait demo[/bold]. Is something missing: [bold]portrait doctor[/bold].",
    epilog="Examples of each command: portrait COMMAND --help",
    rich_markup_mode="rich",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

GOES_ON = (
    "fit", "train", "adapt", "reenact", "demo", "uv-train", "synthesize-dataset", "recognize align", "recognize train",
)  # fmt: skip
"""Commands that keep their work and go on with it when they are run again; the others begin from the start."""

for _part in (tracking, editing, rendering, training, live, about, uv, viewing):
    app.add_typer(_part.app)
app.add_typer(model)
app.add_typer(recognize)


def _say_version(wanted: bool) -> None:
    if wanted:
        from portrait.files import VERSION

        typer.echo(f"video-portraits {VERSION}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say the version and exit.")
    ] = False,
) -> None:
    """What comes before a command."""


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a file's name may be no text at all
    try:
        code = app(arguments, prog_name="portrait", standalone_mode=False)
        if code == 130:
            raise KeyboardInterrupt
        return code if isinstance(code, int) else 0
    except KeyboardInterrupt:
        code = _complain(f"interrupted; {_what_next(sys.argv[1:] if arguments is None else arguments)}", 130)
        if arguments is None:
            # Python would end itself by the signal instead where it broke code that a library had compiled
            os._exit(code)
        return code
    except Exception as error:
        line = explain(error)
        if line is None:
            raise
        return _complain(line, 2)


def _what_next(arguments: list[str]) -> str:
    """What the same command does when it is run again after an interruption."""
    if arguments[:1] == ["recognize"]:
        arguments = [" ".join(arguments[:2])]
    goes_on = bool(arguments) and arguments[0] in GOES_ON
    return "run the same command again to go on" if goes_on else "the same command begins from the start"


def explain(error: Exception) -> str | None:
    """One line for an error that is the input's fault, or the machine's; None for one that is ours."""
    import errno

    if type(error).__name__ == "PortraitError":  # facemodel isn't imported for this
        return " ".join(str(error).split())
    if hasattr(error, "format_message"):  # wrong use of the command line
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error.format_message())
            return "no command given (see above)"
        dash = "; a file whose name begins with a dash is given as ./-NAME" if "No such option" in str(error) else ""
        return f"{' '.join(error.format_message().split())}{dash} (see 'portrait --help')"
    full = getattr(error, "errno", None) == errno.ENOSPC or "No space left on device" in str(error)
    if full:
        name = getattr(error, "filename", None)
        return f"the disk is full{f' ({name})' if name else ''}; free some space and run the same command again"
    if isinstance(error, PermissionError | FileNotFoundError | IsADirectoryError | NotADirectoryError):
        return f"'{error.filename}': {error.strerror}"
    return None


def _complain(line: str, code: int) -> int:
    sys.stdout.flush()
    print(f"error: {line}" if code == 2 else line, file=sys.stderr, flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
