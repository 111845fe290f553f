"""What several methods with a face model need."""
