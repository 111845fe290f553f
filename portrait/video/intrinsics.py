"""What is known of the camera: the focal length as given, as a field of view, as found."""

from __future__ import annotations

import math

from facemodel import PortraitError, Track
from fitting.tracking.start import focal_from_frame


def check_focal_or_fov(focal: float | None, fov: float | None) -> None:
    """Raises PortraitError unless at most one of them is given, and can be true.

    focal: px. fov: horizontal field of view, degrees.
    """
    if focal is not None and fov is not None:
        raise PortraitError("focal length: got --focal-px and --fov, which say the same thing; give one of them")
    if focal is not None and not 0 < focal < math.inf:
        raise PortraitError(f"--focal-px: expected a length in pixels above 0, got {focal:g}")
    if fov is not None and not 0 < fov < 180:
        raise PortraitError(f"--fov: expected degrees between 0 and 180, got {fov:g}")


def focal_from_fov(fov: float, width: int) -> float:
    """Focal length in px of a picture ``width`` px wide that shows ``fov`` degrees from its left to its right edge.

    The picture is the upright one (rotation metadata applied) with its pixels as stored.
    """
    return 0.5 * width / math.tan(math.radians(fov) / 2)


def fov_from_focal(focal: float, width: int) -> float:
    """The inverse of `focal_from_fov`, in degrees."""
    return math.degrees(2 * math.atan(0.5 * width / focal))


def camera_facts(track: Track, given: bool) -> dict:
    """What a track says of its camera: lengths in px of the original frame, the field of view in degrees.

    given: whether the focal length was known, rather than solved for about a first guess, ``prior_px``.
    """
    focal = float(track.parameters.focal.flatten()[0])
    return {
        "focal_px": focal,
        "focal": "given" if given else "solved",
        "prior_px": None if given else focal_from_frame(track.width, track.height),
        "fov_deg": fov_from_focal(focal, track.width),
        "principal_point": [track.width / 2, track.height / 2],
    }


def describe_camera(track: Track) -> str:
    """``focal 912.4 px (solved, first guess 869.1), 38.5 degrees wide, principal point (360, 240)``."""
    focal, facts = float(track.parameters.focal.flatten()[0]), track.facts.get("camera", {})
    origin = f" ({facts['focal']})" if "focal" in facts else ""  # a mixed track doesn't say
    if facts.get("prior_px"):
        origin = f" ({facts['focal']}, first guess {facts['prior_px']:.1f})"
    return (
        f"focal {focal:.1f} px{origin}, {fov_from_focal(focal, track.width):.1f} degrees wide, "
        f"principal point ({track.width / 2:g}, {track.height / 2:g})"
    )
