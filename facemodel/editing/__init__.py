"""Tracks changed: mixing, edits by name, curves, smoothing, expressions counted from rest."""
