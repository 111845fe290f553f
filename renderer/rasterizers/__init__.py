"""Rasterisers behind one contract, and the one place where one is chosen."""
