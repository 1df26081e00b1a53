"""The command that measures a tokenizer."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from seedstock.cli import options as shared


def add(commands: Any) -> None:
    """Adds the command to the parser."""
    text = "bytes a token by language and domain, parity, and what a vocabulary should not have"
    command = commands.add_parser("tokenizer", help=text, description=text)
    command.add_argument("name", metavar="RUN|DIR", help="a run, or a folder with tokenizer.json")
    command.add_argument("files", nargs="*", metavar="TEXTFILE", help="plain text or JSON lines (.jsonl, .gz, .zst)")
    command.add_argument("--parallel", metavar="FILE", help="JSON lines with the same sentences in several languages")
    command.add_argument("--reference", metavar="LANGUAGE", help="the language of parity (English)")
    command.add_argument("--html", metavar="FILE", help="also writes a page")
    shared.common(command)
    command.set_defaults(run=_tokenizer)


def _tokenizer(options: argparse.Namespace) -> None:
    from seedstock.inputs.tokenizers import Tokenizer
    from seedstock.inputs.tokenizers.evaluate import evaluate
    from seedstock.inputs.tokenizers.page import page
    from seedstock.ledger.files import read_json, write_text

    folder = Path(options.name)
    if not (folder / "tokenizer.json").is_file():
        folder = shared.open_run(options).stage_folder("tokenizer")
    parallel = Path(options.parallel) if options.parallel else None
    result = evaluate(Tokenizer(folder), [Path(file) for file in options.files], parallel, options.reference)
    if not options.files and (folder / "report.json").is_file():
        result = read_json(folder / "report.json") | ({"parity": result["parity"]} if parallel else {})
    if options.html:
        write_text(Path(options.html), page(result))
    shared.show(options, result, lambda: _view(result))


def _view(result: dict[str, Any]) -> Any:
    from rich.console import Group
    from rich.text import Text

    from seedstock.views import table

    shown = table("bytes a token", "of", "", "bytes a token>")
    for part in ("language", "domain", "source"):
        for name, ratio in sorted(result["bytes_per_token"].get(f"by_{part}", {}).items()):
            if ratio:
                shown.add_row(part, Text(name), f"{ratio:.2f}")
    if result["bytes_per_token"]["all"]:
        shown.add_row("all", "", f"{result['bytes_per_token']['all']:.2f}", style="bold")
    parts: list[Any] = [Text(f"{result['kind']}, {result['vocab_size']:,} tokens"), *([shown] * bool(shown.row_count))]
    if "parity" in result:
        premium = table(
            f"tokens for the same sentences, relative to {result['parity']['reference']}",
            *("language", "tokens>", "bytes a token>", "sentences>"),
        )
        for name, own in result["parity"]["languages"].items():
            cells = (f"{own['premium']:.2f} ×", f"{own['bytes_per_token']:.2f}", f"{own['sentences']:,}")
            premium.add_row(Text(name), *cells)
        parts.append(premium)
    trip, never, injected = (result.get(key) for key in ("round_trip", "unreachable", "special_injection"))
    if trip and trip["chunks"]:
        parts.append(Text(f"{trip['exact']:,} of {trip['chunks']:,} texts came back as they were"))
        used = result["vocabulary"]["share"]
        parts.append(Text(f"{used:.1%} of the vocabulary used, {result['unknown']['count']:,} tokens unknown"))
    if never:
        parts.append(Text(f"{never['count']:,} tokens that no text gives"))
    if injected:
        parts.append(
            Text(f"{injected['read_as_special']} of {injected['texts']} spelled-out specials read as specials")
        )
    return Group(*parts)
