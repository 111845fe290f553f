"""X2Face (Wiles et al., ECCV 2018): pictures warped to an embedded face, which a driving vector warps to a pose."""

from neural_render.methods.base import METHODS

METHODS.add("x2face", "neural_render.methods.x2face.method:X2FaceMethod")
