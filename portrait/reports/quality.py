"""How well a track is determined, in a few lines: for ``portrait info`` and the report."""

from __future__ import annotations

import torch

from facemodel import Track

DEFAULT_PRIORS = {"identity": 1.0, "reflectance": 1.0, "expression": 0.45}  # of tracks that don't tell theirs
WIDE = 0.9  # of the prior's standard deviation: the picture said next to nothing of an unknown that stays as wide


def undetermined(track: Track) -> dict[str, float]:
    """Shares of the identity's, reflectance's and expression's coefficients that the clip did not determine.

    An expression's is over all frames with a face; shapes that follow the gaze are no unknowns, and left out.
    Empty for a track without `Track.spread`.
    """
    priors, out = {**DEFAULT_PRIORS, **track.facts.get("priors", {})}, {}
    for name in ("identity", "reflectance", "expression"):
        if name not in track.spread:
            continue
        stds = track.spread[name]
        wide = stds > WIDE * torch.as_tensor(priors[name])  # a number, or one for each coefficient
        solved = stds.isfinite() & (stds > 0)
        out[name] = float(wide[solved].float().mean()) if solved.any() else 1.0
    return out


def hidden_parts(track: Track) -> str:
    """``mouth in 12, nose in 3 of 90 frames``; empty where all is seen, or nothing is known of it."""
    counts = {part.replace("_", " "): int(track.hidden(part).sum()) for part in track.visibility}
    told = [f"{part} in {count}" for part, count in counts.items() if count]
    return ", ".join(told) + (f" of {len(track)} frames" if told else "")


def quality_lines(track: Track) -> dict[str, str]:
    """Texts by topic; topics that the track doesn't know of are left out."""
    tracked = track.confidence[track.tracked].float()
    lines = {"confidence": f"{float(tracked.mean()) if len(tracked) else 0:.2f} on average where there is a face"}
    if "converged" in track.energies:
        converged = torch.nan_to_num(track.energies["converged"][track.tracked])
        lines["converged"] = f"{float(converged.mean()) if len(converged) else 0:.0%} of the frames with a face"
    if hidden := hidden_parts(track):
        lines["hidden"] = f"{hidden}; as at rest there"
    if shares := undetermined(track):
        text = ", ".join(f"{share:.0%} of {name}" for name, share in shares.items())
        lines["open"] = f"{text}: coefficients whose spread is more than {WIDE:.0%} of the prior's"
    prior = track.facts.get("priors", {}).get("focal")
    if prior and "focal" in track.spread and float(track.spread["focal"]) > WIDE * prior:
        lines["focal"] = "not determined by these pictures; it's about what is usual"
    return lines
