"""The command line. Parsing imports nothing heavy: each command loads what it needs when it runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from seedstock.cli import classifiers, finetune, inspect, mixture, node, questions, stages, tokenizer, weights
from seedstock.errors import SeedstockError

ABOUT = "Grows base models, with the evidence of where every part came from."
EPILOG = "Start with `seedstock demo`: raw files to an accountable base model in a few minutes."


def parser() -> argparse.ArgumentParser:
    """The parser of every command."""
    from seedstock import __version__

    top = argparse.ArgumentParser(
        prog="seedstock",
        description="Grows base models, with the evidence of where every part came from.",
        epilog=EPILOG,
    )
    top.add_argument("--version", action="version", version=f"seedstock {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True, title="commands")
    for group in (stages, inspect, weights, finetune, classifiers, tokenizer, mixture, questions, node):
        group.add(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code (see docs/cli.md)."""
    if sys.platform == "win32":
        print(
            "Seedstock needs a POSIX system: on Windows, install WSL (`wsl --install`) and run it there.",
            file=sys.stderr,
        )
        return 1
    options = parser().parse_args(arguments)
    try:
        return options.run(options) or 0
    except SeedstockError as error:
        return _tell(error, options)
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        print("\nstopped; what was complete is kept: start the same command again to go on", file=sys.stderr)
        return 130


def _tell(error: SeedstockError, options: argparse.Namespace) -> int:
    if getattr(options, "json", False):
        import json

        print(json.dumps({"error": error.what, "where": error.where, "fix": error.fix}, ensure_ascii=False))
    else:
        print(f"seedstock: {error}", file=sys.stderr)
    return error.code
