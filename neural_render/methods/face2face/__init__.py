"""Face2Face (Thies et al., CVPR 2016): the target's own frames, warped, relit and retrieved; nothing is learnt."""

from neural_render.methods.base import METHODS

METHODS.add("face2face", "neural_render.methods.face2face.method:Face2Face")
