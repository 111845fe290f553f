"""Deep Video Portraits (Kim et al., SIGGRAPH 2018)."""
