"""Loss terms, and objectives made of them."""
