"""FReeNet (Zhang et al., CVPR 2020): a driver's landmarks fitted to the target's face, and a picture with those."""

from neural_render.methods.base import METHODS

METHODS.add("freenet", "neural_render.methods.freenet.method:FReeNet")
