"""Self-supervised disentangling: the embedded face of a person is the same from other frames."""

from __future__ import annotations

import torch

from benchmarks.methods_people import Bench
from neural_render.methods.disentangling.method import Disentangling, networks_of
from neural_render.methods.weights import Weights


def within_over_between(first: torch.Tensor, second: torch.Tensor) -> float:
    """Mean absolute difference of faces (P, ...) of the same person over that of different people, once each of both.

    first, second: each person's face, from different pictures.
    """
    away = (first[:, None] - second[None]).abs().flatten(2).mean(2)
    same = torch.eye(len(away), dtype=torch.bool)
    return float(away[same].mean() / away[~same].mean())


def claims(weights: Weights, bench: Bench) -> dict[str, float]:
    """Of faces embedded from two performances of each unseen person."""
    networks, size, corpus = networks_of(weights), weights.header.size, bench.corpus
    one, other = corpus.performances[0], corpus.performances[len(corpus.performances) // 2]
    first, second = (
        torch.cat([Disentangling().embedded(networks, corpus.clips[person, done], size) for person in corpus.people])
        for done in (one, other)
    )
    return {"embedded_within_over_between": within_over_between(first, second)}
