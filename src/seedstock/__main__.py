"""``python -m seedstock`` is the command line."""

import sys

from seedstock.cli import main

if __name__ == "__main__":
    sys.exit(main())
