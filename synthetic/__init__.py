"""People who don't exist: drawn from the morphable model, with skin of their own, under light of our choosing."""

from synthetic.person import Person, SkinChart, make_person
from synthetic.scene import RandomScenes, Shot, shoot

__all__ = ["Person", "RandomScenes", "Shot", "SkinChart", "make_person", "shoot"]
