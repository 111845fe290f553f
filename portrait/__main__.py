"""``python -m portrait``: the command line."""

import sys

from portrait.cli import main

if __name__ == "__main__":
    sys.exit(main())
