"""``portrait model convert``: a track in another face model's coefficients."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import facemodel
from facemodel import PortraitError
from facemodel.bridge.pairs import pair
from facemodel.export.flame_parameters import check_flame, write_flame_parameters
from fitting.conversion import Conversion, convert_track
from foundation.progress import Report, ignore
from portrait.services.checks import check_output
from portrait.tracks import check_new_folder, load_track


@dataclass(frozen=True)
class Converted:
    """A track of another model."""

    path: Path
    conversion: Conversion
    source: str  # names of the models
    target: str
    npz: Path | None = None

    def lines(self) -> list[str]:
        """What there is to say of it."""
        c = self.conversion
        out = [
            f"{self.path}: {len(c.track)} frames of model '{self.source}' in '{self.target}', by {c.points:,} points",
            f"  motion      {_words(c.motion)}: how far the face moves otherwise",
            f"  surface     {_words(c.surface)}: the same with what the person's shape lacks in '{self.target}'",
        ]
        return (
            out if self.npz is None else [*out, f"{self.npz}: FLAME parameters, as VHAP and GaussianAvatars have them"]
        )


def _words(residual) -> str:
    return f"median {residual.median:.2f} mm, 95% below {residual.most:.2f} mm"


def convert_file(
    path: Path, to: str, output: Path, *, model: str | None = None, npz: Path | None = None, report: Report = ignore
) -> Converted:
    """Writes the track in another model's coefficients.

    Args:
        to: the other model, by name or file.
        model: that of the track; None is the default one.
        npz: where FLAME parameters go, of a FLAME model. Then its own expressions alone are used.

    Raises:
        PortraitError: a model isn't there, isn't the track's, isn't registered to the default one, or isn't FLAME.
    """
    check_new_folder(output, path)
    track = load_track(path)
    source = facemodel.load(model)
    if track.fingerprint != source.fingerprint:
        given = "the default model" if model is None else f"'{source.name}' ({source.fingerprint})"
        raise PortraitError(
            f"track '{path}': of model '{track.model}' ({track.fingerprint}), not of {given}; give its own by --model"
        )
    target = facemodel.load(to)
    if npz is not None:
        if npz.suffix.lower() != ".npz":
            raise PortraitError(f"npz '{npz}': expected a name ending in .npz")
        check_output(npz, path)
        check_flame(target)
    conversion = convert_track(
        track, source, target, pair(source, target, facemodel.load()), own=npz is not None, report=report
    )
    if npz is not None:
        write_flame_parameters(npz, conversion.track, target)
    return Converted(conversion.track.save(output), conversion, source.name, target.name, npz)
