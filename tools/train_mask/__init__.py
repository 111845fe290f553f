"""Trains the mask network that ships with the package, on people drawn from the default model behind drawn things."""
