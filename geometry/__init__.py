"""Conventions, once each: rotations, the camera, colour, spherical harmonics, surface normals."""
