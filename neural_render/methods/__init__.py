"""Methods of reenactment, a file or folder each."""
