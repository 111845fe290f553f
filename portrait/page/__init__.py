"""The editor page: one HTML file with a head, its curves and its video. Its scripts are in ``src``."""
