"""ReenactGAN (Wu et al., ECCV 2018): anybody's boundary, made the target's, and a picture of the target with it."""

from neural_render.methods.base import METHODS

METHODS.add("reenactgan", "neural_render.methods.reenactgan.method:ReenactGAN")
