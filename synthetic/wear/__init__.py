"""What a head wears and grows: hair and glasses, as meshes that move with it."""

from synthetic.wear.glasses import make_glasses
from synthetic.wear.hair import STYLES, make_hair
from synthetic.wear.solid import Solid, draw_with

__all__ = ["STYLES", "Solid", "draw_with", "make_glasses", "make_hair"]
