"""What hides a face, or shades it."""
