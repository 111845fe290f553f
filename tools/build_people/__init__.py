"""Measures how people differ, in the default model's coefficients, by a model that was learnt from scans."""
