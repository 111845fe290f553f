"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

Device = Annotated[str, typer.Option(help="cpu, cuda, or auto: cuda where there is one.")]
Detector = Annotated[str, typer.Option(help="Landmarks by mediapipe or face-alignment.")]
Quality = Annotated[str, typer.Option(help="How closely to fit, and for how long: fast, balanced or best.")]
Minutes = Annotated[float, typer.Option(help="Training time in all; an interrupted training goes on with the rest.")]
Size = Annotated[int, typer.Option(help="Pixels of the network's images: 128 or 256.")]
Width = Annotated[int, typer.Option(help="Channels of the network's first layer: its capacity and cost.")]
Method = Annotated[str, typer.Option(help="Method of reenactment; another name lists those there are.")]
Take = Annotated[str, typer.Option(help="What to take from the source: any of expression,pose,gaze.")]
Absolute = Annotated[bool, typer.Option("--absolute", help="Copy values, rather than changes against neutral.")]
Smooth = Annotated[float, typer.Option(help="Smooth over a window of this many seconds; 0 doesn't.")]
Sound = Annotated[
    str | None,
    typer.Option(
        help="Sound of the output: source, target, none, or a file. A mixed track's source is looked for beside it."
    ),
]
