"""Pictures of many people, and what is known of them: what methods that learn from many are trained on."""

from neural_render.corpus.crops import cropped, face_box
from neural_render.corpus.faces import Faces
from neural_render.corpus.gathering import gather

__all__ = ["Faces", "cropped", "face_box", "gather"]
