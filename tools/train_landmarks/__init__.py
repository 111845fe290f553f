"""Trains the landmark network that ships with the package, on people drawn from the default model."""
