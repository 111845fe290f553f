"""Codes that drive X2Face in place of a picture: a head's angles and action units, from driving vectors and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

import facemodel
from neural_render.corpus import Faces
from neural_render.methods.common.head_pose import ANGLES, landmark_angles
from neural_render.methods.common.linear_map import applied, linear_map
from neural_render.methods.x2face.network import X2Face

MOST = 4096  # pictures that the maps are fitted to
CHUNK = 64


@dataclass(frozen=True)
class Codes:
    """Two linear maps with a constant: codes of a vector, and the vector of codes (Wiles et al., Sec. 3.3).

    Codes are a head's yaw, pitch and roll in radians (`landmark_angles`), then action units where they are known. The
    paper trains its maps by gradient descent; these are their least squares, with the constants that its batch
    normalisation stands for.
    """

    to_codes: Tensor  # (128 + 1, C), the constant last
    to_vector: Tensor  # (C + 1, 128)

    @classmethod
    @torch.no_grad()
    def fitted(cls, network: X2Face, faces: Faces, device: torch.device | str = "cpu") -> Codes:
        """Of up to `MOST` pictures, for the names that ``code_names`` gives."""
        model = facemodel.load()
        rows = np.unique(np.linspace(0, len(faces) - 1, min(len(faces), MOST)).round().astype(int))
        codes = landmark_angles(faces.landmarks[rows], faces.scheme, model)
        if faces.units is not None:
            codes = np.concatenate([codes, faces.units[rows]], 1)
        chunks = np.array_split(rows, -(-len(rows) // CHUNK))
        vectors = torch.cat([network.vector(faces.pictures(part).to(device)).float().cpu() for part in chunks]).double()
        codes = torch.from_numpy(codes).double()
        return cls(linear_map(vectors, codes).float(), linear_map(codes, vectors).float())

    def tensors(self) -> dict[str, Tensor]:
        """As a weights file has them."""
        return {"codes.to_codes": self.to_codes, "codes.to_vector": self.to_vector}

    @classmethod
    def of_tensors(cls, tensors: dict[str, Tensor]) -> Codes:
        return cls(tensors["codes.to_codes"], tensors["codes.to_vector"])

    def read(self, vectors: Tensor) -> Tensor:
        """Codes (N, C) of vectors (N, 128)."""
        return applied(self.to_codes.to(vectors), vectors)

    def moved(self, vector: Tensor, codes: Tensor) -> Tensor:
        """A person's vector (1, 128) with the codes (N, C) in place of its own: (N, 128).

        What the codes don't say stays as it was: v - f(read(v)) + f(codes).
        """
        away = (codes - self.read(vector)).to(vector)
        return vector + away @ self.to_vector[:-1].to(vector)


def code_names(faces: Faces) -> tuple[str, ...]:
    """None where the default face model doesn't know the landmarks' scheme."""
    return (*ANGLES, *faces.unit_names) if faces.scheme in facemodel.load().embeddings else ()
