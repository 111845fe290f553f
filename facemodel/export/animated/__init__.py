"""A whole clip for other programs, a format a file. See `facemodel.export.animated.base`."""
