"""Commands that answer for a run: trace, doctor, verify, forget."""

from __future__ import annotations

import argparse
from typing import Any

from seedstock.cli import options as shared


def add(commands: Any) -> None:
    """Adds these commands to the parser."""
    text = "what the model saw when, and who is behind a text"
    trace = shared.run(commands.add_parser("trace", help=text, description=text))
    what = trace.add_mutually_exclusive_group(required=True)
    what.add_argument("--step", type=int, metavar="N", help="the documents in one training step")
    what.add_argument("--document", metavar="ID", help="where a document went, and which steps saw it")
    what.add_argument("--url", metavar="U", help="the same, for the documents of a URL or a locator")
    what.add_argument("--text", metavar="TEXT", help="the training documents that hold this text")
    trace.set_defaults(run=_trace)
    text = "is this run healthy, and if not, why"
    doctor = shared.run(commands.add_parser("doctor", help=text, description=text))
    doctor.set_defaults(run=_doctor)
    text = "check every digest and every chain of a run"
    verify = shared.run(commands.add_parser("verify", help=text, description=text))
    verify.add_argument("--head", metavar="HEX", help="a head of the chain, noted earlier, that it must still hold")
    verify.set_defaults(run=_verify)
    text = "erase a document everywhere, and leave a tombstone"
    forget = shared.run(commands.add_parser("forget", help=text, description=text))
    which = forget.add_mutually_exclusive_group(required=True)
    which.add_argument("--document", action="append", metavar="ID", help="a document's id (may be repeated)")
    which.add_argument("--url", metavar="U", help="every document of a URL or a locator")
    forget.add_argument("--reason", required=True, help="why: kept in the tombstone, so name no person")
    forget.set_defaults(run=_forget)


def _trace(options: argparse.Namespace) -> None:
    from seedstock import answers, views

    run = shared.open_run(options)
    if options.step is not None:
        result = answers.step(run, options.step)
    elif options.text is not None:
        result = answers.text(run, options.text)
    else:
        result = answers.documents(run, document=options.document, url=options.url)
    shared.show(options, result, lambda: views.answer(result))


def _doctor(options: argparse.Namespace) -> int:
    from seedstock import answers, views

    findings = answers.doctor(shared.open_run(options))
    shared.show(options, findings, lambda: views.findings(findings))
    return 1 if any(finding["level"] == "problem" for finding in findings) else 0


def _verify(options: argparse.Namespace) -> int:
    from seedstock import answers, views

    result = answers.verify(shared.open_run(options), options.head)
    shared.show(options, result, lambda: views.verified(result))
    return 4 if result["problems"] else 0


def _forget(options: argparse.Namespace) -> None:
    from seedstock import answers, views

    run = shared.open_run(options)
    result = answers.forget(run, documents=options.document, url=options.url, reason=options.reason)
    shared.show(options, result, lambda: views.forgotten(result))
