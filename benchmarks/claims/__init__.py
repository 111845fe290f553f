"""What each paper of reenactment claims, as numbers: a file a method, asked for by ``benchmarks.methods``."""
