"""Meshes for other programs, a format a file."""
