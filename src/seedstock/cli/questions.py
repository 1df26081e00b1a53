"""Commands that train small runs to answer a question about a recipe: sweep and ablate."""

from __future__ import annotations

import argparse
from typing import Any

from seedstock.cli import options as shared


def add(commands: Any) -> None:
    """Adds these commands to the parser."""
    text = "train a ladder of small models, and fit the law by which the loss falls with size and tokens"
    sweep = shared.recipe(commands.add_parser("sweep", help=text, description=text))
    sweep.add_argument("--sizes", default="0.5M,1M,2M,4M", metavar="N,…", help="parameters of each (0.5M,1M,2M,4M)")
    sweep.add_argument("--ratios", default="5,10,20,40", metavar="R,…", help="tokens a parameter of each (5,10,20,40)")
    sweep.add_argument(
        "--flops", default="", metavar="C,…", help="compute budgets in place of ratios (isoFLOP profiles)"
    )
    sweep.set_defaults(run=_sweep)
    text = "train proxies that differ in a key or several, and tell whether their losses differ"
    ablate = shared.recipe(commands.add_parser("ablate", help=text, description=text))
    ablate.add_argument(
        "--vary", action="append", default=[], metavar="KEY=A,B", help="values of a key; the first is the baseline"
    )
    ablate.add_argument("--seeds", type=int, default=3, metavar="N", help="runs of each variant (3)")
    ablate.add_argument("--size", metavar="N", help="parameters of each proxy (the recipe's own sizes)")
    ablate.add_argument("--tokens", metavar="N", help="tokens of each proxy (the recipe's own horizon)")
    ablate.set_defaults(run=_ablate)


def _sweep(options: argparse.Namespace) -> None:
    from seedstock import sweeps

    result = sweeps.sweep(
        shared.load_recipe(options),
        sizes=[count(one, "--sizes") for one in options.sizes.split(",")],
        ratios=[] if options.flops else [_number(one, "--ratios") for one in options.ratios.split(",")],
        budgets=[_number(one, "--flops") for one in options.flops.split(",")] if options.flops else [],
        runs=options.runs,
        reporter=shared.reporter(options),
    )
    shared.show(options, result, lambda: swept(result))


def _ablate(options: argparse.Namespace) -> int:
    from seedstock import ablations

    result = ablations.ablate(
        shared.recipe_path(options.recipe),
        options.vary,
        overrides=options.overrides,
        name=options.name,
        seeds=options.seeds,
        size=options.size and count(options.size, "--size"),
        tokens=options.tokens and count(options.tokens, "--tokens"),
        runs=options.runs,
        reporter=shared.reporter(options),
    )
    shared.show(options, result, lambda: ablations.told(result))
    return 0


def count(text: str, where: str) -> int:
    """A number of parameters or tokens: ``4M``. Raises RecipeError for what is none."""
    from pydantic import TypeAdapter, ValidationError

    from seedstock.config import Count
    from seedstock.errors import RecipeError

    try:
        found: int = TypeAdapter(Count).validate_python(text.strip())
    except ValidationError as error:
        raise RecipeError(f"{text!r} is no count", where=where, fix="write 4M, 500k or 1200000") from error
    if found < 1:
        raise RecipeError(f"{text!r} is no count", where=where, fix="give 1 or more")
    return found


def _number(text: str, where: str) -> float:
    from seedstock.errors import RecipeError

    try:
        found = float(text)
    except ValueError:
        found = float("nan")
    if not 0 < found < float("inf"):
        raise RecipeError(f"{text!r} is no number above zero", where=where, fix="write 20 or 1e15")
    return found


def swept(result: dict[str, Any]) -> Any:
    """A ladder and its law, as people read them."""
    from rich.console import Group
    from rich.text import Text

    from seedstock.planning.plan import quantity
    from seedstock.planning.scaling import Law
    from seedstock.views import table

    shown = table("ladder", "run", "parameters>", "tokens>", "FLOPs>", f"{result['name']}>")
    for row in result["runs"]:
        flops = f"{6 * row['parameters'] * row['tokens']:.2g}"
        shown.add_row(row["run"], quantity(row["parameters"]), quantity(row["tokens"]), flops, f"{row['loss']:.4f}")
    law = Law.of(result["law"])
    lines = ["", "L(N, D) = E + A / N^alpha + B / D^beta, with 95 % intervals of resampled runs:"]
    lines += [
        f"  {name:<6}{getattr(law, name):.4g}  ({low:.4g} to {high:.4g})"
        for name, (low, high) in law.intervals().items()
    ]
    state = "converged" if law.converged else "did NOT converge: take more runs, further apart"
    lines.append(f"the fit {state}; {law.agreeing:.0%} of its starts agree, slope left {law.gradient:.1e}")
    for name in law.unknown():
        more = {"alpha": "sizes", "beta": "numbers of tokens"}[name]
        lines.append(f"{name} is hardly known from these runs: take {more} further apart, and more of them")
    if result["profiles"] and result["profiles"]["exponent"] is not None:
        exponent, interval = result["profiles"]["exponent"], result["profiles"]["interval"]
        spread = f" ({interval[0]:.3f} to {interval[1]:.3f})" if interval else ""
        lines.append(f"isoFLOP profiles: the best size grows as compute^{exponent:.3f}{spread}")
    lines.append("`seedstock plan RECIPE` now foresees the loss of other sizes on the same data")
    return Group(shown, Text("\n".join(lines)))
