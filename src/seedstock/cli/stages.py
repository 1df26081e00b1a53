"""Commands that make something: run and its stages, resume, demo; and what can be said of a recipe before it runs."""

from __future__ import annotations

import argparse
from typing import Any

from seedstock.cli import corpus
from seedstock.cli import options as shared


def add(commands: Any) -> None:
    """Adds these commands to the parser."""
    for name, until, text in (
        ("run", "release", "do every stage; each is skipped where it is up to date"),
        ("corpus", "corpus", "build the corpus: read, filter, deduplicate, split, redact"),
        ("tokenize", "shards", "train the tokenizer and write training-ready shards"),
        ("train", "training", "train the model"),
    ):
        command = shared.recipe(commands.add_parser(name, help=text, description=text))
        command.add_argument(
            "--engine", choices=("local", "ray", "slurm"), help="where the corpus is read and measured (corpus.engine)"
        )
        if until in ("training", "release"):
            shared.processes(command)
        command.set_defaults(run=_run, until=until)
        if name == "corpus":
            corpus.extend(command, _run)
    for name, text in (
        ("resume", "go on with a run where it was cut off"),
        ("evaluate", "score a run's newest checkpoint"),
        ("release", "write the base model and its papers"),
    ):
        command = shared.run(commands.add_parser(name, help=text, description=text))
        if name == "resume":
            command.add_argument(
                "--from", type=int, dest="step", metavar="STEP", help="go back to this checkpoint first (0: start over)"
            )
            shared.processes(command)
        command.set_defaults(run={"resume": _resume, "evaluate": _evaluate, "release": _release}[name])
    demo = shared.common(commands.add_parser("demo", help="from raw files to a base model in a few minutes"))
    demo.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides", help="set a key")
    demo.set_defaults(run=_demo, name=None, recipe="quickstart")
    plan = shared.recipe(commands.add_parser("plan", help="parameters, FLOPs, memory, time and energy, before a run"))
    plan.add_argument("--hardware", metavar="NAME", help="a100, h100, h200, … (this machine, measured)")
    plan.add_argument("--devices", type=int, default=1, metavar="N", help="how many of it (1)")
    plan.add_argument("--price", type=float, metavar="DOLLARS", help="what an hour of one device costs")
    plan.add_argument("--memory", metavar="SIZE", help="what one device has in its place: 24 GiB")
    plan.add_argument("--sweep", metavar="NAME", help="foresee the loss by this sweep (the newest of the same data)")
    plan.add_argument("--base", metavar="MODEL", help="continuing it beside starting anew: run:NAME, a folder, or 300M")
    plan.add_argument("--base-tokens", metavar="N", help="what the base has read, where no run says so: 300G")
    plan.add_argument("--base-worth", metavar="SHARE", help="what of a token of yours each of them is worth: 30 %%")
    plan.set_defaults(run=_plan)
    schema = commands.add_parser("schema", help="print the JSON schema of a recipe")
    schema.add_argument("--json", action="store_true", help="as every command has it: this one always prints JSON")
    schema.set_defaults(run=_schema)


def _run(options: argparse.Namespace) -> None:
    from seedstock import pipeline

    if getattr(options, "processes", None):
        options.overrides.append(f"training.processes={options.processes}")
    if getattr(options, "profile", False):
        options.overrides.append("training.profile=true")
    if options.engine:
        options.overrides.append(f"corpus.engine={options.engine}")
    recipe = shared.load_recipe(options)
    run = pipeline.run(recipe, runs=options.runs, reporter=shared.reporter(options), until=options.until)
    shared.show(options, run.summary())


def _resume(options: argparse.Namespace) -> None:
    from seedstock import pipeline

    run = pipeline.resume(
        shared.open_run(options),
        reporter=shared.reporter(options),
        step=options.step,
        processes=options.processes,
        profile=options.profile,
    )
    shared.show(options, run.summary())


def _evaluate(options: argparse.Namespace) -> None:
    from seedstock import pipeline

    run = pipeline.again(shared.open_run(options), "evaluation", reporter=shared.reporter(options))
    shared.show(options, run.summary())


def _release(options: argparse.Namespace) -> None:
    from seedstock import pipeline

    run = pipeline.again(shared.open_run(options), "release", reporter=shared.reporter(options))
    shared.show(options, run.summary())


def _demo(options: argparse.Namespace) -> None:
    from seedstock.cli import demo

    shared.show(options, demo.run(options))


def _plan(options: argparse.Namespace) -> None:
    from dataclasses import replace

    from seedstock import bases, mixtures, sweeps, views
    from seedstock.errors import RecipeError
    from seedstock.planning.plan import plan

    recipe = shared.load_recipe(options)
    hardware = _with_memory(_hardware(options.hardware), options.memory)
    result = plan(recipe, hardware=hardware, devices=options.devices, dollars_an_hour=_price(options.price))
    own, found = sweeps.identity(recipe), mixtures.shards_of(recipe, options.runs)
    unique = None if found is None else sum(stratum.tokens for stratum in found.strata("train"))
    foreseen = sweeps.predict(
        own,
        options.runs,
        parameters=sum(result.parameters.values()),
        tokens=result.tokens,
        unique=unique,
        name=options.sweep,
    )
    result = replace(result, predicted=foreseen)
    rows = mixtures.realised(recipe, options.runs)
    record, text = {**result.record(), "mixture": rows}, result.table()
    if options.base is not None:
        each = result.flops_a_token / sum(result.parameters.values())
        base = bases.find(options.base, options.runs, flops=each, tokens=options.base_tokens, own=own)
        law, shares = sweeps.law_of(own, options.runs, options.sweep), bases.worths(options.base_worth, base)
        record["base"] = bases.compare(result, base, law, unique=unique, shares=shares)
        text += "\n\n" + bases.table(record["base"], result)
    elif options.base_tokens or options.base_worth:
        raise RecipeError("they say something of a base", where="--base-tokens, --base-worth", fix="name it: --base")
    shared.show(options, record, lambda: views.plan(text, rows, recipe.mixture))


def _hardware(name: str | None) -> Any:
    from seedstock.errors import RecipeError
    from seedstock.machine import hardware
    from seedstock.planning.hardware import DEVICES

    if name is None:
        return hardware()
    if name.lower() not in DEVICES:
        raise RecipeError("unknown hardware", where=f"--hardware {name}", fix=f"known: {', '.join(DEVICES)}")
    return DEVICES[name.lower()]


def _with_memory(hardware: Any, asked: str | None) -> Any:
    from dataclasses import replace

    from pydantic import TypeAdapter, ValidationError

    from seedstock.config import Bytes
    from seedstock.errors import RecipeError

    if asked is None:
        return hardware
    try:
        size = TypeAdapter(Bytes).validate_python(asked)
    except ValidationError as error:
        raise RecipeError(f"{asked!r} is no size of a memory", where="--memory", fix="write 24 GiB") from error
    if size <= 0:
        raise RecipeError(f"{asked!r} holds nothing", where="--memory", fix="write 24 GiB")
    return replace(hardware, memory=size)


def _price(asked: float | None) -> float | None:
    from seedstock.errors import RecipeError

    if asked is not None and not 0 <= asked < float("inf"):
        raise RecipeError(f"{asked} is no price", where="--price", fix="give dollars for an hour of one device")
    return asked


def _schema(options: argparse.Namespace) -> None:
    import json

    from seedstock import recipe

    print(json.dumps(recipe.model().model_json_schema(), indent=1))
