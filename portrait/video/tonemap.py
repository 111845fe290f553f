"""HDR video as SDR: 16-bit BT.2020 pictures in HLG or PQ enter, 8-bit sRGB ones leave. Called by the readers.

The way of a pixel: the transfer function of ITU-R BT.2100 to light on a display of `PEAK` nits; BT.2020's primaries to
BT.709's; the roll-off of ITU-R BT.2390 (5.4.1), which brings `PEAK` nits to SDR's white and leaves what is
well below `WHITE`, the reference white of ITU-R BT.2408, as it is; sRGB's code for that. The
roll-off takes the largest channel, and the others in proportion, so that hues stay.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch

from geometry.color import linear_to_srgb, srgb_to_linear, to_uint8

PEAK = 1000.0  # nits: the display that HLG is graded on by BT.2100, and most PQ
WHITE = 203.0  # nits: HDR reference white, BT.2408
STEPS = 4096  # of the tables
HLG, PQ = "HLG", "PQ"
TRANSFERS = {18: HLG, 16: PQ}  # by the codes of ITU-T H.273, which FFmpeg and HEIF use
BT2020_PRIMARIES = 9  # likewise
SHARES = np.array([0.2627, 0.6780, 0.0593])  # of luminance, BT.2020
TO_BT709 = np.array(
    [[1.660491, -0.587641, -0.072850], [-0.124550, 1.132900, -0.008349], [-0.018151, -0.100579, 1.118730]]
)  # linear RGB of BT.2020 to BT.709, ITU-R BT.2087


def pq_to_nits(signal: np.ndarray) -> np.ndarray:
    """EOTF of SMPTE ST 2084: signal, 0 to 1, to nits."""
    power = np.maximum(signal, 0) ** (1 / 78.84375)
    return 10000 * (np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)) ** (1 / 0.1593017578125)


def nits_to_pq(nits: np.ndarray) -> np.ndarray:
    """The inverse of `pq_to_nits`."""
    power = (np.maximum(nits, 0) / 10000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


def hlg_to_scene(signal: np.ndarray) -> np.ndarray:
    """Inverse OETF of BT.2100's HLG: signal to scene light, both 0 to 1."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)


def rolled_off(nits: np.ndarray) -> np.ndarray:
    """Nits up to `PEAK` to SDR's light, 0 to 1: as it is below a knee, then the Hermite spline of BT.2390."""
    peak = nits_to_pq(PEAK)
    most = nits_to_pq(WHITE) / peak
    knee = 1.5 * most - 0.5
    e = np.clip(nits_to_pq(nits) / peak, 0, 1)
    t = np.clip((e - knee) / (1 - knee), 0, 1)
    spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * most
    return pq_to_nits(np.where(e < knee, e, spline) * peak) / WHITE


@cache
def _tables(transfer: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Light by signal, gain of HLG's OOTF or 1 by the root of scene luminance, SDR's light by the root of nits."""
    grid = np.linspace(0, 1, STEPS)
    light = hlg_to_scene(grid) if transfer == HLG else pq_to_nits(grid) / PEAK
    gain = np.maximum(grid**2, 1e-6) ** 0.2 if transfer == HLG else np.ones(STEPS)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(grid > 0, rolled_off(PEAK * grid**2) / (PEAK * grid**2) * PEAK, PEAK / WHITE)
    return light.astype(np.float32), gain.astype(np.float32), ratio.astype(np.float32)


@cache
def _encoding() -> np.ndarray:
    """8-bit sRGB by the root of linear light."""
    return to_uint8(linear_to_srgb(torch.linspace(0, 1, STEPS, dtype=torch.float64) ** 2)).numpy()


def to_sdr(picture: np.ndarray, transfer: str) -> np.ndarray:
    """(H, W, 3) uint16 full-range RGB with BT.2020's primaries in ``transfer``, HLG or PQ; as (H, W, 3) uint8 sRGB."""
    from portrait.video.kernels import tone_map

    out = np.empty(picture.shape, np.uint8)
    tone_map(
        np.ascontiguousarray(picture), *_tables(transfer), _encoding(),
        SHARES.astype(np.float32), TO_BT709.astype(np.float32), out,
    )  # fmt: skip
    return out


def wide_to_srgb(picture: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint16 full-range RGB of SDR with BT.2020's primaries, as (H, W, 3) uint8 sRGB."""
    from portrait.video.kernels import change_primaries

    out = np.empty(picture.shape, np.uint8)
    linear = srgb_to_linear(torch.linspace(0, 1, STEPS, dtype=torch.float64)).float().numpy()
    change_primaries(np.ascontiguousarray(picture), linear, _encoding(), TO_BT709.astype(np.float32), out)
    return out
