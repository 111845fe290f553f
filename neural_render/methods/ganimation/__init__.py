"""GANimation; see docs/methods/ganimation.md."""

from neural_render.methods.base import METHODS

METHODS.add("ganimation", "neural_render.methods.ganimation.method:GANimation")
