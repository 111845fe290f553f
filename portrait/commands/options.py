"""Options that several commands have, and what is typed in them as values."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from foundation.errors import PortraitError


def path(text: str) -> Path:
    """A path; an empty one, of a shell's variable that isn't set, would be the current folder.

    Names of bytes that are no text, as file systems may hold them, are refused: tables and labels can't say them.
    """
    if not text.strip():
        raise typer.BadParameter("expected a name, got nothing")
    if not text.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in text):
        raise typer.BadParameter(f"expected a name in UTF-8, got {text!a}; rename the file")
    return Path(text)


def Argument(metavar: str, help: str | None = None):
    """A path among a command's arguments."""
    return typer.Argument(metavar=metavar, help=help, parser=path)


def Output(metavar: str | None, help: str):
    """Where a result goes: ``--output``, ``-o``."""
    return typer.Option("--output", "-o", metavar=metavar, help=help, parser=path)


def File(metavar: str, help: str):
    """Another path."""
    return typer.Option(metavar=metavar, help=help, parser=path)


Device = Annotated[str, typer.Option(help="cpu, cuda, or auto: cuda where there is one.")]
Model = Annotated[
    str | None, typer.Option(metavar="NAME|FILE", help="Face model: default, or another's file; see docs/models.md.")
]
Rasterizer = Annotated[
    str, typer.Option(metavar="NAME", help="What draws the model: auto, numba, torch or pytorch3d. All draw the same.")
]
Detector = Annotated[str, typer.Option(metavar="NAME", help="Landmarks by mediapipe or face-alignment.")]
Quality = Annotated[str, typer.Option(help="How closely to fit, and for how long: fast, balanced or best.")]
Minutes = Annotated[float, typer.Option(help="Training time in all; an interrupted training goes on with the rest.")]
Size = Annotated[int | None, typer.Option(help="Pixels of the network's images: 64, 128, 256 or 512.")]
Width = Annotated[int | None, typer.Option(help="Channels of the network's first layer: its capacity and cost.")]
Method = Annotated[
    str,
    typer.Option(
        metavar="NAME", help="Method of reenactment: deep-video-portraits, face2face, or another that is installed."
    ),
]
MethodOption = Annotated[
    list[str] | None,
    typer.Option("--option", metavar="NAME=VALUE", help="An option of the method's own; a wrong name lists them."),
]
Take = Annotated[str, typer.Option(help="What to take from the source: any of expression,pose,gaze.")]
Absolute = Annotated[bool, typer.Option("--absolute", help="Copy values, rather than changes against neutral.")]
Beyond = Annotated[bool, typer.Option("--beyond", help="Let the head turn further than it does in either clip.")]
Smooth = Annotated[float, typer.Option(help="Smooth over a window of this many seconds; 0 doesn't.")]
Sound = Annotated[
    str | None,
    typer.Option(
        help="Sound of the output: source, target, none, or a file. A mixed track's source is looked for beside it."
    ),
]


def words(option: str, text: str, such_as: str) -> tuple[str, ...]:
    """``expression,gaze`` as words, each once. Raises PortraitError where there are none."""
    found = tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    if not found:
        raise PortraitError(f"{option}: expected any of {such_as}, got nothing")
    return found


def assignments(option: str, items: list[str] | None) -> dict[str, str]:
    """NAME=VALUE items, as text."""
    pairs = [(item, *item.partition("=")) for item in items or []]
    for item, name, equals, _ in pairs:
        if not equals or not name.strip():
            raise PortraitError(f"{option} '{item}': expected NAME=VALUE")
    return {name.strip(): text.strip() for _, name, _, text in pairs}


def numbers(option: str, items: list[str] | None) -> dict[str, float]:
    """NAME=NUMBER items."""
    found = {name: (text, number(text)) for name, text in assignments(option, items).items()}
    for name, (text, value) in found.items():
        if value is None:
            raise PortraitError(f"{option} '{name}={text}': expected NAME=VALUE, such as jawOpen=0.6")
    return {name: value for name, (_, value) in found.items()}


def angles(option: str, text: str | None) -> tuple[float, float] | None:
    """``YAW,PITCH`` in degrees, as radians."""
    if text is None:
        return None
    found = [number(part) for part in text.split(",")]
    if len(found) != 2 or None in found:
        raise PortraitError(f"{option} '{text}': expected YAW,PITCH in degrees, such as 10,-5")
    return math.radians(found[0]), math.radians(found[1])


def degrees(option: str, text: str | None) -> tuple[float, ...]:
    """``0,45,-90`` as numbers of degrees."""
    found = [number(part) for part in text.split(",")] if text is not None else []
    if None in found:
        raise PortraitError(f"{option} '{text}': expected degrees with commas between, such as 0,45,-90")
    return tuple(found)


def frame_or_auto(option: str, text: str | None) -> int | str | None:
    """A frame's number, "auto", or None."""
    if text is None or text == "auto":
        return text
    if not (text.isascii() and text.isdecimal()):
        raise PortraitError(f"{option} '{text}': expected the number of a frame, such as 12, or auto")
    return int(text[:9])


def size_or_path(option: str, text: str) -> int | Path:
    """``1024`` as a number of pixels; anything that isn't a number as a path."""
    value = number(text)
    if value is None and text.strip().lower() not in ("nan", "inf", "-inf"):
        return path(text)
    if value is None or not text.strip().lstrip("-").isdecimal() or not text.isascii():
        raise PortraitError(f"{option} '{text}': expected a whole number of pixels, or a picture's name")
    return int(value)


def width_and_height(option: str, text: str | None) -> tuple[int, int | None] | None:
    """``640x360``, or ``640``: a width whose height follows from the shape."""
    if text is None:
        return None
    found = [part.strip() for part in text.lower().split("x")]
    if not 1 <= len(found) <= 2 or not all(n.isascii() and n.isdecimal() for n in found):
        raise PortraitError(f"{option} '{text}': expected WIDTHxHEIGHT or WIDTH, from 16 to 8192 pixels")
    return int(found[0][:9]), int(found[1][:9]) if len(found) == 2 else None


def whole_pair(option: str, text: str, between: str) -> tuple[int, int]:
    """``3:12`` as two whole numbers."""
    found = [part.strip() for part in text.split(between)]
    if len(found) != 2 or not all(n.isascii() and n.isdecimal() and len(n) < 10 for n in found):
        raise PortraitError(f"{option} '{text}': expected two whole numbers, such as 3{between}12")
    return int(found[0]), int(found[1])


def number(text: str) -> float | None:
    """A finite number, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
