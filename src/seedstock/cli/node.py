"""The command that tries a machine before a long run: check-node."""

from __future__ import annotations

import argparse
from typing import Any

from seedstock.cli import options as shared


def add(commands: Any) -> None:
    """Adds the command to the parser."""
    text = "try this machine: disk, links, devices, gradients, a killed process, going on with half the processes"
    command = shared.common(commands.add_parser("check-node", help=text, description=text))
    command.add_argument("--processes", type=int, metavar="N", help="how many (one for each GPU; 2 without any)")
    command.add_argument("--quick", action="store_true", help="move less data: under a minute on processors")
    command.set_defaults(run=_check)


def _check(options: argparse.Namespace) -> int:
    from seedstock import environment

    environment.require("torch")
    from seedstock.training.node.check import check

    result = check(options.runs, processes=options.processes, quick=options.quick, reporter=shared.reporter(options))
    failed = [item["name"] for item in result["items"] if not item["passed"]]
    verdict = f"failed: {', '.join(failed)}" if failed else "every item passed"
    told = f"{result['processes']} processes on {result['device']}, {result['seconds']:.0f} s: {verdict}"
    shared.show(options, result, told)
    return 1 if failed else 0
