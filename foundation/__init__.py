"""What every package stands on: the error that means "your input", files that appear whole, registries of names."""
