"""Expressions as they are drawn: fits find too little of brows and lids."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from facemodel.parameters import FaceParameters

GAINS = {"browInnerUp": 2.5, "browOuterUp": 3.5, "browDown": 2.5, "eyeBlink": 1.4}
"""How many times as active as in the track some shapes are rendered, by the beginnings of their ARKit names.

Of a brow that moves the fit finds a third to a twelfth, as its priors hold it back (``benchmarks.warping``). Maps that
are rendered of what was found differ by less than a pixel then, which a network is slow to see; these move as faces do.
Part of what Deep Video Portraits' conditions are, as its ``CONDITIONS`` counts them.
"""


def gained(parameters: FaceParameters, model, gains: Mapping[str, float] = GAINS) -> FaceParameters:
    """Parameters whose expression is as active as maps show it, see ``GAINS``; as they are without ARKit's names."""
    factors = torch.ones(model.count("expression"))
    for name, index in model.arkit.items():
        factors[index] = next((gain for shape, gain in gains.items() if name.startswith(shape)), 1.0)
    return parameters.replace(expression=parameters.expression * factors.to(parameters.expression))
