"""Who imports whom, and how much there is: the project's order of packages, checked and printed."""
