"""Skin painted into a model's UV atlas: what absorbs light in it, and what lies on it."""

from synthetic.skin.atlas import SkinAtlas
from synthetic.skin.paint import hair_tone, paint

__all__ = ["SkinAtlas", "hair_tone", "paint"]
