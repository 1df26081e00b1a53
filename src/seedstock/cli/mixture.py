"""The command that proposes a mixture from small runs."""

from __future__ import annotations

import argparse
from typing import Any

from seedstock.cli import options as shared


def add(commands: Any) -> None:
    """Adds the command to the parser."""
    text = "train small models on different mixtures of a recipe, and propose weights from their held-out losses"
    command = shared.recipe(commands.add_parser("mixture", help=text, description=text))
    command.add_argument("--proxies", type=int, default=24, metavar="N", help="how many small models (24)")
    command.add_argument("--steps", type=int, default=200, metavar="N", help="training steps of each (200)")
    command.add_argument("--size", default="1M", metavar="N", help="parameters of each (1M)")
    command.add_argument(
        "--part",
        default="domain",
        choices=("source", "domain", "language"),
        help="the held-out loss is averaged over the groups of this (domain)",
    )
    command.add_argument(
        "--verify",
        type=int,
        default=0,
        metavar="N",
        help="train natural and proposed mixture with N other seeds too (0)",
    )
    command.set_defaults(run=_mixture)


def _mixture(options: argparse.Namespace) -> None:
    from pydantic import TypeAdapter, ValidationError

    from seedstock import mixtures
    from seedstock.config import Count
    from seedstock.errors import RecipeError

    try:
        size = TypeAdapter(Count).validate_python(options.size)
    except ValidationError as error:
        raise RecipeError(f"{options.size!r} is no number of parameters", where="--size", fix="write 1M") from error
    result = mixtures.propose(
        shared.load_recipe(options),
        runs=options.runs,
        proxies=options.proxies,
        steps=options.steps,
        size=size,
        part=options.part,
        verify=options.verify,
        reporter=shared.reporter(options),
    )
    shared.show(options, result, lambda: told(result))


def told(result: dict[str, Any]) -> str:
    """The proposal as people read it, with a fragment of a recipe to paste."""
    fit, natural, proposed = result["fit"], result["natural"], result["proposed"]
    lines = [
        f"target: {result['target']}",
        f"{len(result['proxies'])} proxies from {min(one['mean'] for one in result['proxies']):.4f} to "
        f"{max(one['mean'] for one in result['proxies']):.4f}; natural mixture {natural['measured']:.4f}",
        f"fit: R² {fit['r2']:.2f} on proxies left out one by one, error {fit['error']:.4f}",
    ]
    if proposed is None:
        why = (
            "no mixture within the caps"
            if fit["explains"]
            else "the fit explains nothing: more proxies, or longer ones"
        )
        return "\n".join([*lines, f"{why}. Stay with the natural mixture."])
    low, high = proposed["interval"]
    lines.append(
        f"proposed: {proposed['expected']:.4f} expected, about 95 % between {low:.4f} and {high:.4f}; "
        f"natural {natural['expected']:.4f} expected"
    )
    if not proposed["clear"]:
        lines.append("The gain is within the error of the fit: it may be nothing.")
    for pair in result.get("verified", []):
        change = pair["proposed"] - pair["natural"]
        lines.append(
            f"seed {pair['seed']}: natural {pair['natural']:.4f}, proposed {pair['proposed']:.4f} ({change:+.4f})"
        )
    lines += ["", "mixture:", "  weights:"]
    width = max(len(_quoted(name)) for name in proposed["weights"])
    for name, weight in proposed["weights"].items():
        was = f"natural: {natural['weights'][name] * 100:.2f} %"
        lines.append(f"    {_quoted(name) + ':':{width + 1}} {weight * 100:.2f} %  # {was}")
    return "\n".join(lines)


def _quoted(name: str) -> str:
    """A key of YAML; JSON's strings are YAML's."""
    import json

    return json.dumps(name, ensure_ascii=False)
