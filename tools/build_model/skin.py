"""Colour of skin from what is in it: melanin in the epidermis, blood in the dermis.

Two layers. The epidermis only absorbs (light crosses it twice); the dermis under it scatters and absorbs, its diffuse
reflectance after the dipole approximation of diffusion theory. Absorption of melanin, blood and bare tissue and the
scattering follow the fits that skin models use (Jacques 1998 and 2013; Prahl's haemoglobin tables). The spectrum under
D65 becomes linear sRGB by the CIE 1931 observer in its Gaussian fit (Wyman et al. 2013).
"""

from __future__ import annotations

import numpy as np

WAVELENGTHS = np.arange(400.0, 701.0, 10.0)  # nm
# Molar extinction, 1/(cm M), of oxygenated and deoxygenated haemoglobin at WAVELENGTHS (S. Prahl's compilation).
OXYGENATED = np.array([
    266232, 466840, 480360, 246072, 102580, 62816, 44480, 33209, 26629, 23684, 20933, 20035, 24202, 39957, 53236, 43016,
    32613, 44496, 50104, 14401, 3200, 1506, 942, 610, 442, 368, 320, 294, 278, 276, 290,
])  # fmt: skip
DEOXYGENATED = np.array([
    223296, 303956, 407560, 528600, 413280, 103292, 23389, 16156, 14550, 16684, 20862, 25774, 31590, 39036, 46592,
    53412, 53788, 45072, 37020, 28324, 14677, 9444, 6510, 5149, 4345, 3750, 3227, 2795, 2408, 2052, 1794,
])  # fmt: skip
D65 = np.array([
    82.75, 91.49, 93.43, 86.68, 104.86, 117.01, 117.81, 114.86, 115.92, 108.81, 109.35, 107.80, 104.79, 107.69, 104.41,
    104.05, 100.0, 96.33, 95.79, 88.69, 90.01, 89.60, 87.70, 83.29, 83.70, 80.03, 80.21, 82.28, 78.28, 69.72, 71.61,
])  # fmt: skip
XYZ_TO_SRGB = np.array([
    [3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]
])  # fmt: skip
EPIDERMIS = 0.006  # cm thick
PIGMENT = 519.0  # 1/cm at 500 nm, of pure melanosomes
PIGMENT_SLOPE = -2.0  # flatter than the -3 of single melanosomes: fits the moderate saturation of measured dark skin
SURFACE = 0.018  # what the rough surface throws back in all directions, unchanged in colour
SATURATION = 0.75  # of the blood with oxygen
BLOOD = 150.0 / 64500.0 * 2.303  # (g/l) / (g/mol) of haemoglobin in blood, and log10 to ln


def skin_color(melanin: np.ndarray, blood: np.ndarray) -> np.ndarray:
    """Linear sRGB (..., 3) of skin with these volume fractions: melanin 0.01 to 0.5, blood 0.005 to 0.3."""
    table, melanins, bloods = _table()
    i = np.interp(np.log(np.clip(melanin, melanins[0], melanins[-1])), np.log(melanins), np.arange(len(melanins)))
    j = np.interp(np.log(np.clip(blood, bloods[0], bloods[-1])), np.log(bloods), np.arange(len(bloods)))
    i0, j0 = np.minimum(i.astype(int), len(melanins) - 2), np.minimum(j.astype(int), len(bloods) - 2)
    s, t = (i - i0)[..., None], (j - j0)[..., None]
    low = table[i0, j0] * (1 - t) + table[i0, j0 + 1] * t
    high = table[i0 + 1, j0] * (1 - t) + table[i0 + 1, j0 + 1] * t
    return low * (1 - s) + high * s


_cache: list = []


def _table():
    if not _cache:
        melanins, bloods = np.geomspace(0.004, 0.7, 40), np.geomspace(0.003, 0.5, 40)
        spectrum = reflectance_spectrum(melanins[:, None, None], bloods[None, :, None])
        _cache.extend([to_linear_srgb(spectrum), melanins, bloods])
    return _cache


def reflectance_spectrum(melanin: np.ndarray, blood: np.ndarray) -> np.ndarray:
    """Diffuse reflectance (..., 31) at WAVELENGTHS; the fractions broadcast against the last dimension."""
    nm = WAVELENGTHS
    tissue = 0.244 + 85.3 * np.exp(-(nm - 154) / 66.2)  # 1/cm
    pigment = PIGMENT * (nm / 500.0) ** PIGMENT_SLOPE
    epidermis = melanin * pigment + (1 - melanin) * tissue
    haemoglobin = BLOOD * (SATURATION * OXYGENATED + (1 - SATURATION) * DEOXYGENATED)
    dermis = blood * haemoglobin + (1 - blood) * tissue
    scattering = 46.0 * (nm / 500.0) ** -1.421  # 1/cm
    albedo = scattering / (scattering + dermis)
    root = np.sqrt(3 * (1 - albedo))
    below = albedo / 2 * (1 + np.exp(-4 / 3 * 2.9 * root)) * np.exp(-root)
    return SURFACE + (1 - SURFACE) * below * np.exp(-2 * EPIDERMIS * epidermis)


def to_linear_srgb(spectrum: np.ndarray) -> np.ndarray:
    """Linear sRGB (..., 3) of reflectances (..., 31) under D65; a perfect white gives (1, 1, 1)."""
    x = 1.056 * _lobe(599.8, 37.9, 31.0) + 0.362 * _lobe(442.0, 16.0, 26.7) - 0.065 * _lobe(501.1, 20.4, 26.2)
    y = 0.821 * _lobe(568.8, 46.9, 40.5) + 0.286 * _lobe(530.9, 16.3, 31.1)
    z = 1.217 * _lobe(437.0, 11.8, 36.0) + 0.681 * _lobe(459.0, 26.0, 13.8)
    observer = np.stack([x, y, z]) * D65
    to_rgb = XYZ_TO_SRGB @ (observer / observer[1].sum())
    return np.clip(spectrum @ to_rgb.T / to_rgb.sum(1), 0.0, 1.0)


def _lobe(middle: float, left: float, right: float) -> np.ndarray:
    width = np.where(middle > WAVELENGTHS, left, right)
    return np.exp(-0.5 * ((WAVELENGTHS - middle) / width) ** 2)
