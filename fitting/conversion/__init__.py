"""Performances in another model's coefficients."""

from fitting.conversion.track import Conversion, ConversionPolicy, convert_track

__all__ = ["Conversion", "ConversionPolicy", "convert_track"]
