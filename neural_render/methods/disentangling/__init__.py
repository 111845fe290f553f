"""Self-supervised disentangling of identity and pose (after Zeng et al., AAAI 2020)."""

from neural_render.methods.base import METHODS

METHODS.add("disentangling", "neural_render.methods.disentangling.method:Disentangling")
