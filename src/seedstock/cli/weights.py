"""Commands on a trained model: text from it, and the ecosystem's formats."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from seedstock.cli import options as shared


def add(commands: Any) -> None:
    """Adds these commands to the parser."""
    text = "write text with a run's model"
    generate = shared.run(commands.add_parser("generate", help=text, description=text))
    generate.add_argument("--prompt", default="", help="what the text begins with")
    generate.add_argument("--tokens", type=int, default=120, help="how many tokens to write (120)")
    generate.add_argument("--temperature", type=float, default=0.8, help="0 takes the likeliest token (0.8)")
    generate.add_argument("--top-k", type=int, default=50, help="choose among the k likeliest tokens; 0: all (50)")
    generate.add_argument("--seed", type=int, default=1, help="the same seed gives the same text (1)")
    generate.add_argument("--step", type=int, help="a checkpoint's step (the newest)")
    generate.add_argument("--tag", help="how a model of the objective tags begins: good (as it does), bad or none")
    generate.add_argument("--trace", action="store_true", help="name the training documents nearest to the text")
    generate.set_defaults(run=_generate)
    text = "write the model in the ecosystem's format, with a parity proof; or the shards, with their ledger"
    export = shared.run(commands.add_parser("export", help=text, description=text))
    export.add_argument("folder", type=Path, metavar="DIR", help="a folder that does not exist yet")
    export.add_argument(
        "--to",
        choices=["hf", "word2vec", "megatron"],
        default="hf",
        help="hf: the model (transformers; word vectors in their own format); word2vec: word vectors as text; "
        "megatron: the shards (.bin, .idx)",
    )
    export.add_argument("--step", type=int, help="a checkpoint's step (the newest)")
    export.set_defaults(run=_export)
    text = "write the mean of several checkpoints' weights in the ecosystem's format"
    average = shared.run(commands.add_parser("average", help=text, description=text))
    average.add_argument("folder", type=Path, metavar="DIR", help="a folder that does not exist yet")
    average.add_argument("--steps", type=int, nargs="+", required=True, metavar="STEP", help="the checkpoints' steps")
    average.set_defaults(run=_average)
    text = "check that a model folder of the ecosystem can be read here, with a parity proof"
    imported = shared.common(commands.add_parser("import", help=text, description=text))
    imported.add_argument(
        "folder", metavar="DIR", help="a folder that transformers wrote, or hf:OWNER/NAME[@REVISION] of the hub"
    )
    imported.set_defaults(run=_import)


def _generate(options: argparse.Namespace) -> None:
    from seedstock import answers, views, weights

    run = shared.open_run(options)
    passage = weights.generate(
        run,
        options.prompt,
        tokens=options.tokens,
        temperature=options.temperature,
        top_k=options.top_k or None,
        seed=options.seed,
        step=options.step,
        **({} if options.tag is None else {"tag": None if options.tag == "none" else options.tag}),
    )
    near = answers.nearest(run, passage) if options.trace else []
    shared.show(options, {"text": passage, "nearest": near}, lambda: views.passage(passage, near))


def _export(options: argparse.Namespace) -> None:
    from seedstock import views, weights

    if options.to == "megatron":
        ledger = weights.export_shards(shared.open_run(options), options.folder, reporter=shared.reporter(options))
        shared.show(options, ledger, lambda: views.exported(ledger))
        return
    if options.to == "word2vec":
        report = weights.export_words(shared.open_run(options), options.folder, step=options.step)
        shared.show(options, report, lambda: views.parity(report))
        return
    report = weights.export(shared.open_run(options), options.folder, step=options.step)
    shared.show(options, report, lambda: views.parity(report))


def _average(options: argparse.Namespace) -> None:
    from seedstock import views, weights

    report = weights.average(shared.open_run(options), options.folder, options.steps)
    shared.show(options, report, lambda: views.parity(report))


def _import(options: argparse.Namespace) -> None:
    from seedstock import views, weights

    report = weights.import_folder(options.folder)
    shared.show(options, report, lambda: views.parity(report))
