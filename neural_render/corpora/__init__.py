"""Corpora of many people's clips on disk, in their own layouts."""

from neural_render.corpora.reading import CORPORA, SPLITS, Layout, Tools, layout_of, read_corpus

__all__ = ["CORPORA", "SPLITS", "Layout", "Tools", "layout_of", "read_corpus"]
