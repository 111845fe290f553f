"""How alike two faces are by a pretrained embedding, for benchmarks and tests; see `fitting.landmarks.embedding`."""

from __future__ import annotations

import numpy as np

from fitting.landmarks.embedding import FaceEmbedding

__all__ = ["FaceEmbedding", "similarity"]


def similarity(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cosine of embeddings (..., 128)."""
    return (a * b).sum(-1) / (np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1))
