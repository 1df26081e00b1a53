"""`seedstock finetune`: the second stage, from a base model to one that does a task."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from seedstock.cli import options as shared


def add(commands: Any) -> None:
    """Adds the command to the parser."""
    text = "train a base model on for a task: classes, text to text, or more text"
    command = commands.add_parser("finetune", help=text, description=text)
    command.add_argument(
        "base", metavar="RUN[@STEP]", help="the base model: a run, and a checkpoint's step (the newest)"
    )
    command.add_argument("--data", required=True, metavar="FILE", help=".csv, .tsv, .jsonl, .parquet; or '{kind: …}'")
    command.add_argument(
        "--test", action="append", default=[], metavar="FILE", help="a test set, of no part in any choice"
    )
    command.add_argument("--text", default="text", metavar="COLUMN", help="the column or key of the text (text)")
    command.add_argument("--label", default="label", metavar="COLUMN", help="the column or key of the class (label)")
    command.add_argument("--target", metavar="COLUMN", help="text-to-text: that of the text to write (the class)")
    command.add_argument(
        "--objective",
        choices=["classify", "text-to-text", "next-token", "own"],
        default="classify",
        help="what is learned; own: what the base was trained to do (classify)",
    )
    command.add_argument("--validation", default="10 %", metavar="SHARE", help="to choose the best step by (10 %%)")
    command.add_argument("--epochs", type=float, metavar="N", help="passes (3, or what 200 steps take; packed 1)")
    command.add_argument("--batch", type=int, default=32, metavar="N", help="texts a step (32)")
    command.add_argument("--learning-rate", type=float, metavar="RATE", help="the peak (by the model's width)")
    command.add_argument("--dropout", type=float, metavar="SHARE", help="0.1")
    command.add_argument("--length", type=int, metavar="TOKENS", help="tokens of a text (the model's context)")
    command.add_argument("--seed", type=int, default=1, help="of order, dropout, split and head (1)")
    command.add_argument("--from", dest="start", choices=["base", "random"], default="base", help="the weights (base)")
    command.add_argument("--baseline", action="store_true", help="also from random weights, and the paired difference")
    command.add_argument("--name", help="the new run's name (RUN-FILE)")
    command.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides", help="set any key of the recipe"
    )
    shared.common(command).set_defaults(run=_finetune)

    text = "name the classes of texts with a fine-tuned run"
    predict = shared.run(commands.add_parser("predict", help=text, description=text))
    predict.add_argument("--text", action="append", help="a text; several may be given (the lines of standard input)")
    predict.add_argument("--step", type=int, help="a checkpoint's step (the chosen one)")
    predict.set_defaults(run=_predict)


def _predict(options: argparse.Namespace) -> None:
    import sys

    from seedstock import judging

    texts = options.text or [line.strip() for line in sys.stdin if line.strip()]
    found = judging.predict(shared.open_run(options), texts, step=options.step)
    result = [{"text": text, **one} for text, one in zip(texts, found, strict=True)]
    shared.show(
        options, result, "\n".join(f"{one['label']} ({one['probability']:.1%})  {one['text']}" for one in result)
    )


def _finetune(options: argparse.Namespace) -> None:
    from pydantic import TypeAdapter

    from seedstock import finetuning, judging
    from seedstock.config import Fraction
    from seedstock.errors import RecipeError
    from seedstock.transfer.finetune.plan import Task

    options.name, name = _base(options), options.name
    base = shared.open_run(options)
    sources = [finetuning.source_of(options.data, "task", options.text)]
    tests = [finetuning.source_of(given, _called(given), options.text) for given in options.test]
    try:
        validation = TypeAdapter(Fraction).validate_python(options.validation)
    except ValueError:
        raise RecipeError("not a share", where=f"--validation {options.validation}", fix="write 10 %") from None
    texts, size = finetuning.count(sources)
    task = Task(
        name=name or f"{base.name}-{_called(options.data)}",
        sources=sources,
        texts=texts,
        tokens=round(size / base.tokenizer_report["bytes_per_token"]["all"]),
        objective=options.objective,
        label=options.label,
        target=options.target,
        test=tests,
        validation=validation,
        seed=options.seed,
        epochs=options.epochs,
        batch=options.batch,
        learning_rate=options.learning_rate,
        dropout=options.dropout,
        length=options.length,
        random=options.start == "random",
    )
    more = {"step": options.step, "overrides": options.overrides, "reporter": shared.reporter(options)}
    run = finetuning.finetune(base, task, **more)
    result = finetuning.summary(run)
    if options.baseline and not task.random:
        other = finetuning.finetune(base, finetuning.fresh(task), **more)
        result |= {"baseline": finetuning.summary(other), "beside": judging.beside(run, other)}
    shared.show(options, result, lambda: finetuning.shown(result))


def _base(options: argparse.Namespace) -> str:
    """The base's name; its step, where one is written after ``@``, goes into the options."""
    name, _, step = options.base.partition("@")
    if step and not step.isdigit():
        from seedstock.errors import RecipeError

        raise RecipeError("a step is a number", where=options.base, fix="write RUN@STEP")
    options.step = int(step) if step else None
    return name


def _called(given: str) -> str:
    """A name for what a file holds."""
    if given.lstrip().startswith("{"):
        return "test"
    return "".join(
        letter if letter.isalnum() or letter in "._-" else "-" for letter in Path(given).name.partition(".")[0]
    )
