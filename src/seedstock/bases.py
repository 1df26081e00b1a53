"""Models that a run could continue: what is known of them, and what a scaling law says of that beside starting anew."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from seedstock.config import Count, Fraction
from seedstock.errors import DataError, RecipeError
from seedstock.ledger.files import read_json
from seedstock.planning.continuing import PUBLISHED, Base, Question
from seedstock.planning.plan import Plan, duration, quantity
from seedstock.planning.scaling import Law
from seedstock.runs import Run

WHERE = "--base"


def find(asked: str, runs: Path | str, *, flops: float, tokens: str | None = None, own: str | None = None) -> Base:
    """What ``--base`` names: ``run:NAME`` or ``run:NAME@step``, a folder with safetensors, or a number of parameters.

    ``tokens`` is what it has read, where no run says so, ``flops`` what a token takes for each parameter, where its
    shape is not known; ``own`` is the ``sweeps.identity`` of the recipe that is planned.
    Raises SeedstockError where it is none of them, RecipeError where nobody says what it has read.
    """
    if asked.startswith("run:"):
        return of_run(asked, runs, own=own)
    count = _parameters(Path(asked)) if Path(asked).is_dir() else _number(asked, WHERE, "30M, run:NAME or a folder")
    if tokens is None:
        what = f"what {asked} has read is not known"
        raise RecipeError(what, where="--base-tokens", fix="give it in tokens: --base-tokens 300G")
    return Base(asked, count, _number(tokens, "--base-tokens", "300G"), flops * count)


def of_run(asked: str, runs: Path | str, *, own: str | None = None) -> Base:
    """A run's checkpoint as a base, with what the runs that it began from have read. Raises SeedstockError where there
    is none."""
    from seedstock.planning import flops
    from seedstock.planning.parameters import Shape, total
    from seedstock.sweeps import identity

    name, _, step = asked.removeprefix("run:").partition("@")
    if not name or (step and not step.isdigit()):
        raise RecipeError(f"{asked!r} names no run", where=WHERE, fix="write run:NAME or run:NAME@step")
    run = Run.open(runs, name)
    there = run.checkpoints
    if not there or (step and int(step) not in there):
        listed = f"checkpoints there: {', '.join(map(str, there))}" if there else f"`seedstock resume {name}` trains it"
        raise DataError(f"run {name} has no such checkpoint", where=run.folder, fix=listed)
    chosen = int(step) if step else (run.result or {"step": there[-1]})["step"]
    read = float(read_json(run.folder / "checkpoints" / f"step-{chosen:08d}" / "state.json")["tokens"])
    read += sum(of_run(name, runs).tokens for name in set(run.recipe.training.begun.values()))
    shape = Shape.of(run.recipe.model)
    sections = (run.chain.last("run") or {}).get("sections")
    same = own is not None and own == identity(run.recipe, sections)
    record = {"run": name, "step": chosen, "tokens": int(read)}
    return Base(asked, total(shape, run.vocab_size), read, flops.training(shape, run.vocab_size), same, record)


def worths(asked: str | None, base: Base) -> tuple[float, ...]:
    """The shares that a token of the base may be worth: as asked, 1 of the same data, else from 0 to 1."""
    if asked is None:
        return (1.0,) if base.same else (0.0, 1.0)
    try:
        found = TypeAdapter(Fraction).validate_python(asked)
    except ValidationError as error:
        what = f"{asked!r} is no share of a token"
        raise RecipeError(what, where="--base-worth", fix="write 30 %, from 0 to 100 %") from error
    return (float(found),)


def compare(
    plan: Plan, base: Base, law: tuple[str, dict[str, Any]] | None, *, unique: float | None, shares: Sequence[float]
) -> dict[str, Any]:
    """``planning.continuing`` for a recipe that is planned, with times and costs at the plan's speed and price.

    ``law`` is that of a sweep (``sweeps.law_of``); without one, published constants stand in: of other text, in nats.
    """
    constants = Law.of(law[1]["law"]) if law else Law.known(PUBLISHED)
    count = sum(plan.parameters.values())
    asked = Question(constants, count, plan.flops_a_token, base, unique)
    found = asked.compare(plan.tokens, shares)
    for one in [found["scratch"], *found["continued"]]:
        if law is None:
            one["interval"] = None
        one |= {"flops": found["flops"], "seconds": plan.seconds, "dollars": plan.dollars}
    return found | {
        "base": {"name": base.name, "parameters": base.parameters, "tokens": base.tokens, "same": base.same},
        "law": law[0] if law else "published",
        "name": law[1]["name"] if law else "nats a token",
        "converged": constants.converged,
        "unknown": constants.unknown() if law else [],
    }


def table(found: dict[str, Any], plan: Plan) -> str:
    """The comparison for people."""
    base, scratch, unit = found["base"], found["scratch"], found["name"]
    by = found["law"] if found["law"] != "published" else "Chinchilla's runs (Besiroglu et al. 2024): other text"
    lines = [f"from scratch or from {base['name']}, by the law of {by}", ""]
    cost = f", {plan.dollars:,.2f} dollars" if plan.dollars else ""
    lines.append(
        f"{'scratch':<12}{quantity(scratch['parameters'])} parameters, {quantity(scratch['tokens'])} tokens,"
        f" {found['flops']:.3g} FLOPs, {duration(plan.seconds)}{cost}: {_loss(scratch, unit)}"
    )
    best = found["best"]
    lines.append(f"{'':<12}the best size for as much: {quantity(best['parameters'])}, {best['loss']:.4f} {unit}")
    for one in found["continued"]:
        each = f"each worth {one['worth']:.0%} of one of yours"
        lines.append(
            f"{'continuing':<12}{quantity(base['parameters'])} parameters, {quantity(one['tokens'])} tokens after "
            f"{quantity(base['tokens'])}, {each}, for as much: {_loss(one, unit)}"
        )
        lines.append(f"{'':<12}{_reached(one, found, plan)}; {_overtaken(one['overtaken'])}")
    lines.append(f"{'break-even':<12}{_needed(found['worth_needed'])}")
    lines += ["", f"{'FLOPs':<12}{'scratch, best size':<28}continuing"]
    for row in found["budgets"]:
        own = f"{row['best']:.4f} ({quantity(row['size'])})"
        theirs = " to ".join(f"{loss:.4f}" for loss in dict.fromkeys(row["continued"]))
        lines.append(f"{row['flops']:<12.3g}{own:<28}{theirs}  {_AHEAD[row['ahead']]}")
    if found["unknown"] or not found["converged"]:
        what = f"hardly determines {' and '.join(found['unknown'])}" if found["unknown"] else "did not converge"
        lines += ["", f"The sweep {what}: do not rely on it"]
    return "\n".join(lines)


_AHEAD = {"continuing": "continuing is ahead", "scratch": "scratch is ahead", "open": "open"}


def _loss(one: dict[str, Any], unit: str) -> str:
    within = f" ({one['interval'][0]:.4f} to {one['interval'][1]:.4f})" if one["interval"] else ""
    return f"{one['loss']:.4f} {unit}{within}"


def _reached(one: dict[str, Any], found: dict[str, Any], plan: Plan) -> str:
    enough = one["reaches_scratch"]
    if enough is None:
        return "never comes to where scratch ends"
    if enough == 0:
        return "is where scratch ends before its first step"
    share = enough / found["flops"]
    paid = f", {plan.dollars * share:,.2f} dollars" if plan.dollars else ""
    return (
        f"is where scratch ends after {enough:.3g} FLOPs ({share:.3g} of them, {duration(plan.seconds * share)}{paid})"
    )


def _needed(worth: float | None) -> str:
    if worth is None:
        return "continuing is behind this recipe, whatever the base's tokens are worth"
    if worth == 0:
        return "continuing is not behind this recipe, even if the base's tokens are worth nothing"
    return f"continuing is ahead of this recipe where a token of the base is worth {worth:.2%} of one of yours, or more"


def _overtaken(flops: float | None) -> str:
    if flops is None:
        return "no model from scratch of the best size overtakes it within a million times the budget"
    if flops == 0:
        return "a model from scratch of the best size is ahead at any budget"
    return f"from {flops:.3g} FLOPs on a model from scratch of the best size is ahead"


def _number(text: str, where: str, like: str) -> int:
    try:
        found = int(TypeAdapter(Count).validate_python(text))
    except ValidationError:
        found = 0
    if found < 1:
        raise RecipeError(
            f"{text!r} is no number above zero, and nothing that is there", where=where, fix=f"write {like}"
        )
    return found


def _parameters(folder: Path) -> int:
    """The elements of all tensors of a folder's safetensors, of which the headers alone are read."""
    from safetensors import SafetensorError, safe_open

    count, files = 0, sorted(folder.glob("*.safetensors"))
    if not files:
        raise DataError("there are no safetensors", where=folder, fix="name a folder with a model, or its parameters")
    for path in files:
        try:
            with safe_open(path, framework="np") as tensors:
                count += sum(math.prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise DataError(f"not a safetensors file: {error}", where=path, fix="fetch it again") from error
    return count
