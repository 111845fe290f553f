"""FReeNet: the converter keeps the target's face shape."""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.claims.landmarks import crossings, error, shape_error
from neural_render.corpus import Faces
from neural_render.corpus.gathering import spread
from neural_render.methods.common.contours import Contours
from neural_render.methods.common.head_frame import HeadFrame
from neural_render.methods.freenet.converter import LandmarkConverter
from neural_render.methods.freenet.method import FReeNet, fitted
from neural_render.methods.weights import Weights, load_network


def claims(weights: Weights, unseen: Faces) -> dict[str, float]:
    """Errors against the true pair of landmarks that were converted, over those of the driver's as they are."""
    h, contours = weights.header, Contours.of(weights.header.scheme)
    converter = load_network(LandmarkConverter(HeadFrame.of(contours).shape, h.points), weights, "converter")
    points = torch.from_numpy(contours.pick(unseen.landmarks))
    found: dict[str, list[float]] = {"copied": [], "converted": [], "copied_in_place": [], "converted_in_place": []}
    for driver, true, target in crossings(unseen):
        own = torch.from_numpy(unseen.landmarks[target[spread(len(target), FReeNet.references)]])
        for name, made in (("copied", points[driver]), ("converted", fitted(converter, contours, points[driver], own))):
            found[name].append(shape_error(made, points[true]))
            found[f"{name}_in_place"].append(error(made, points[true]))
    mean = {name: float(np.mean(values)) for name, values in found.items()}
    return {
        "freenet.converted_over_copied": mean["converted"] / mean["copied"],
        "freenet.converted_over_copied_in_place": mean["converted_in_place"] / mean["copied_in_place"],
    }
