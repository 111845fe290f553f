"""Between models: the default model registered to another one, and what is carried over to it."""
