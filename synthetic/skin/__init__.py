"""Skin painted into a model's UV atlas: what absorbs light in it, and what lies on it."""

from synthetic.skin.atlas import SkinAtlas
from synthetic.skin.paint import paint

__all__ = ["SkinAtlas", "paint"]
