"""Face recognition: embeddings, margin and spread losses, verification protocols, experiments."""
