"""Faces turned to the front: fitted, unwrapped, completed, drawn."""

from __future__ import annotations

import numpy as np

from facemodel import FaceParameters
from fitting import fit_image
from fitting.landmarks.base import Face
from neural_render.uv_gan.filling import blend_weight
from portrait.services.uv import dressed, single
from portrait.services.uv_outputs import TexturedFace
from recognition.alignment import align_face
from renderer import extend, main_island
from renderer.unwrapping import uv_fragments

TEXELS, PICTURE = 256, 256  # a side, of textures and of drawn faces


class OneFace:
    """A detector that finds the face it was made with: that face has been found already."""

    def __init__(self, face: Face) -> None:
        self.name, self.face, self.scheme = "given", face, face.scheme

    def detect(self, picture: np.ndarray) -> list[Face]:
        return [self.face]

    def refine(self, picture: np.ndarray, centre: np.ndarray, size: float) -> Face:
        return self.face


class Frontalizer:
    """Turns faces. completer: as ``portrait.services.uv.load_completer`` gives it."""

    def __init__(self, model, completer) -> None:
        self.model, self.completer = model, completer
        self.island, self.atlas = main_island(model, TEXELS), uv_fragments(model, (TEXELS, TEXELS)).mask[0]

    def face(self, picture: np.ndarray, parameters: FaceParameters) -> TexturedFace:
        """The face in an (H, W, 3) uint8 picture that ``parameters`` were fitted to, to be drawn from any side."""
        skin = single(self.model, parameters, picture, TEXELS)
        whole = dressed(skin, blend_weight(skin.confidence, self.island), self.island, self.completer)
        return TexturedFace(self.model, parameters, extend(whole.clamp(0, 1), self.atlas), lit=True)

    def crop(self, picture: np.ndarray, found: Face) -> np.ndarray:
        """SphereFace's crop (112, 96, 3) uint8 of a face that was found in a picture, turned to the front."""
        track = fit_image(picture, model=self.model, detector=OneFace(found))
        face = self.face(picture, track.parameters.expanded()[0])
        return align_face(face.at_yaw(0.0, PICTURE), face.landmarks(0.0, PICTURE))
