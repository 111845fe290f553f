"""People who don't exist, with all that is true of them: for training, benchmarks and tests.

Who: a `Person` (`make_person`). What they do: `synthetic.performance`. Where: light and background,
`synthetic.surroundings`. Through which camera: `CameraEffects`. Put together as single pictures in chosen poses
(`shoot`, of `Shot`) or as clips whose every parameter is drawn (`make_scene`). Everything follows from a seed.
"""

from synthetic.camera_effects import CameraEffects
from synthetic.chance import uniform
from synthetic.clips import Scene, make_scene
from synthetic.person import Person, make_person
from synthetic.skin import SkinAtlas
from synthetic.stills import RandomShots, Shot, frame_shot, shoot

__all__ = [
    "CameraEffects",
    "Person",
    "RandomShots",
    "Scene",
    "Shot",
    "SkinAtlas",
    "frame_shot",
    "make_person",
    "make_scene",
    "shoot",
    "uniform",
]
