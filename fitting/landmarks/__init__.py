"""Landmark schemes, and detectors that find them in pictures."""
