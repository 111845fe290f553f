"""What the solver sees of a frame."""
