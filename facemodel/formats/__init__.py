"""Files of face models, a format a file."""
