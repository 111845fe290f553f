"""MarioNETte (Ha et al., AAAI 2020): a driver's landmarks attend to a few pictures of anybody."""

from neural_render.methods.base import METHODS

METHODS.add("marionette", "neural_render.methods.marionette.method:MarioNETte")
