"""Identity-invariant motion; see docs/methods/invariant-motion.md."""

from neural_render.methods.base import METHODS

METHODS.add("invariant-motion", "neural_render.methods.invariant_motion.method:InvariantMotion")
