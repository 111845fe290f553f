"""Methods of reenactment, a file or folder each; see `neural_render.methods.base` for what one is."""
