"""What benchmark scripts share: the folder of the data sets, and ``--help`` where there is no option."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path


def data_pack() -> Path:
    """The folder that SEEDSTOCK_DATA names; the process ends with a message where it names none."""
    named = os.environ.get("SEEDSTOCK_DATA", "")
    if not named or not Path(named).is_dir():
        sys.exit(f"SEEDSTOCK_DATA is {named!r}, which is no folder; set it to that of the data sets")
    return Path(named)


def no_options(doc: str | None) -> None:
    """Answers ``--help`` with the script's own words, and refuses arguments that it does not know."""
    argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
