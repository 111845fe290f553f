"""Corpora on disk, one file a layout: see `neural_render.corpora.reading`."""
