"""Latent pose descriptors; see docs/methods/latent-pose.md."""

from neural_render.methods.base import METHODS

METHODS.add("latent-pose", "neural_render.methods.latent_pose.method:LatentPose")
