"""A ladder of small runs of one recipe, the law that they follow, and what it foresees for a larger run."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from seedstock.errors import DataError, RecipeError, SeedstockError
from seedstock.ledger.files import read_json, write_json
from seedstock.ledger.ids import digest
from seedstock.planning.continuing import Base, worth
from seedstock.planning.scaling import NAMES, Law, fit
from seedstock.progress import Reporter, Silent
from seedstock.runs import Run, lock, sections
from seedstock.small_runs import QUIET, SmallRuns, parameters, unique

SAME = ("sources", "corpus", "tokenizer", "mixture", "input", "objective")
"""Sections of a recipe that a law holds for; its model and training are what the law is about."""
LAW = "law.json"
SUFFIX = ".sweep"
PROXIES = (".sweep-", ".ablate-", ".mixture-")
"""In the names of small runs that nobody needs to be told the future of."""


def ladder(
    recipe: Any, sizes: Sequence[int], ratios: Sequence[float], budgets: Sequence[float] = ()
) -> list[tuple[str, Any]]:
    """The recipes of a ladder, cheapest first, each with a name: every size with every number of tokens a parameter,
    or with the tokens that each of ``budgets`` FLOPs pays for.

    What the recipe leaves open the size dial sets for each of them.
    """
    from seedstock.planning.shapes import SIZES

    if "size" not in type(recipe.model).model_fields:
        raise RecipeError(f"a {recipe.model.kind} has no size dial", where="model", fix="sweep a decoder or an encoder")
    found = []
    for size in dict.fromkeys(sizes):
        model = recipe.model.model_copy(update={"size": size, **dict.fromkeys(SIZES)})
        for what, tokens in _lengths(size, ratios, budgets):
            name = f"{recipe.name}{SUFFIX}-{_short(size)}-{what}"
            length: dict[str, Any] = {"steps": None, "time": None, "tokens": tokens}
            training = recipe.training.model_copy(update=QUIET | length)
            made = recipe.model_copy(update={"name": name, "model": model, "training": training})
            found.append((size * tokens, name, made))
    return [(name, made) for _, name, made in sorted(found, key=lambda one: one[:2])]


def _lengths(size: int, ratios: Sequence[float], budgets: Sequence[float]) -> Iterator[tuple[str, int]]:
    for budget in dict.fromkeys(budgets):
        yield f"{budget:.3g}".replace("+", ""), max(1, round(budget / (6 * size)))
    for ratio in dict.fromkeys(ratios) if not budgets else ():
        yield f"{ratio:g}x", max(1, round(size * ratio))


def _short(count: float) -> str:
    for unit, name in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if count >= unit:
            return f"{count / unit:g}{name}"
    return f"{count:g}"


def sweep(
    recipe: Any,
    *,
    sizes: Sequence[int],
    ratios: Sequence[float] = (5, 10, 20, 40),
    budgets: Sequence[float] = (),
    runs: Path | str = "runs",
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Trains the ladder, each rung a run of its own beside the recipe's, fits the law, and writes it to
    ``NAME.sweep/law.json``; a sweep that was cut off goes on where it was.

    The loss is that of the held-out split: bits per byte, or the objective's own. Raises DataError where nothing is
    held out, or the rungs are too few for a law (then their table is written all the same).
    """
    from seedstock.planning.plan import vocabulary
    from seedstock.planning.size import resolve

    reporter, runs = reporter or Silent(), Path(runs)
    if not sizes or any(size < 1 for size in sizes) or any(one <= 0 for one in (*ratios, *budgets)):
        raise RecipeError("a ladder needs sizes and lengths above zero", where="--sizes", fix="write --sizes 1M,2M,4M")
    rungs, question = ladder(recipe, sizes, ratios, budgets), f"{recipe.name}{SUFFIX}"
    vocab_size = vocabulary(recipe.tokenizer) if recipe.input.tokenized else 0
    for _, made in rungs:
        resolve(made.model, made.training, vocab_size)  # a size that no shape has is said before anything is trained
    with lock(runs, question):
        small = SmallRuns(runs, question, reporter)
        rows = [small.row(made, f"{i + 1} of {len(rungs)}, {name}") for i, (name, made) in enumerate(rungs)]
        write_json(runs / question / "runs.json", rows)
        result = {"recipe": recipe.name, "identity": identity(recipe), "name": rows[0]["name"], "runs": rows}
        law = fit(*(_column(rows, key) for key in ("parameters", "tokens", "loss")), seed=recipe.seed)
        result |= {"law": law.record(), "intervals": law.intervals(), "profiles": _profiles(rows, recipe.seed)}
        write_json(runs / question / LAW, result)
    return result


def _column(rows: list[dict[str, Any]], key: str) -> list[float]:
    return [float(row[key]) for row in rows]


def _profiles(rows: list[dict[str, Any]], seed: int) -> dict[str, Any] | None:
    from seedstock.planning.isoflop import profiles

    flops = [6 * row["parameters"] * row["tokens"] for row in rows]
    try:
        return profiles(_column(rows, "parameters"), flops, _column(rows, "loss"), seed=seed).record()
    except DataError:  # a ladder by tokens a parameter has no equal budgets
        return None


# What a law says of other runs.


def identity(recipe: Any, asked: dict[str, str] | None = None) -> str:
    """What a law holds for: the data, the tokenizer and the objective, the kind and shape of the model; ``asked`` are
    the digests of sections as the recipe had them before it was resolved."""
    found = asked or sections(recipe)
    return digest([*(found[name] for name in SAME), recipe.model.kind, getattr(recipe.model, "shape", None)])


def law_of(own: str, runs: Path | str, name: str | None = None) -> tuple[str, dict[str, Any]] | None:
    """The sweep with this ``identity`` in the folder of runs, by name or the newest; None without.

    Raises SeedstockError where a named one is not there, or is of something else.
    """
    runs = Path(runs)
    if name is not None:
        path = runs / f"{name.removesuffix(SUFFIX)}{SUFFIX}" / LAW
        if not path.is_file():
            raise SeedstockError("there is no such sweep", where=path, fix="`seedstock sweep RECIPE` makes one")
        found = read_json(path)
        if found["identity"] != own:
            raise SeedstockError(
                "that sweep is of other data, another tokenizer, objective or kind of model than this recipe",
                where=path,
                fix="sweep this recipe",
            )
        return path.parent.name, found
    there = sorted(runs.glob(f"*{SUFFIX}/{LAW}"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in there:
        with contextlib.suppress(ValueError, KeyError):
            found = read_json(path)
            if found["identity"] == own:
                return path.parent.name, found
    return None


def predict(
    own: str,
    runs: Path | str,
    *,
    parameters: float,
    tokens: float,
    unique: float | None,
    name: str | None = None,
    base: Base | None = None,
) -> dict[str, Any] | None:
    """What the law of a sweep with this ``identity`` foresees for a run of these sizes; None where there is none.

    Of a run that continues a ``base`` of the same data it is the loss of one longer run. Of other data it is between
    that of a base whose tokens are worth as much as the run's own and that of one whose tokens are worth nothing: the
    geometric mean of the two, in an interval that has both (``planning.continuing``).
    """
    held = law_of(own, runs, name)
    if held is None:
        return None
    sweep_name, found = held
    law = Law.of(found["law"])
    read = tokens + (base.tokens if base is not None and base.same else 0.0)
    said = law.predict(parameters, read, unique)
    if base is not None:
        said["base"] = {**(base.record or {"name": base.name}), "tokens": int(base.tokens), "same": base.same}
        if not base.same:
            most = law.predict(parameters, tokens, unique, base.tokens)
            said |= {
                "loss": (said["loss"] * most["loss"]) ** 0.5,
                "interval": [most["interval"][0], said["interval"][1]],
                "constants": {one: getattr(law, one) for one in NAMES},
            }
    return {
        **said,
        "name": found["name"],
        "sweep": sweep_name,
        "law": digest(json.dumps(found["law"], sort_keys=True)),
        "converged": law.converged,
        "unknown": law.unknown(),
        "parameters": int(parameters),
        "tokens": int(tokens),
        "unique": unique and int(unique),
        "times_the_largest": parameters * tokens / max(row["parameters"] * row["tokens"] for row in found["runs"]),
    }


def foreseen(run: Run) -> dict[str, Any] | None:
    """What a sweep of the same data foresees for a run whose recipe is resolved; None for small runs like its own."""
    from seedstock.bases import of_run

    if any(mark in run.name for mark in PROXIES):
        return None
    training, asked = run.recipe.training, (run.chain.last("run") or {}).get("sections")
    if training.steps is None or not asked or isinstance(training.start, dict):  # no law knows what a part is worth
        return None
    tokens = training.reads(run.recipe.model.context)
    own = identity(run.recipe, asked)
    try:
        base = of_run(training.start, run.runs, own=own) if isinstance(training.start, str) else None
    except SeedstockError:  # what it began from itself may be gone: nothing is foreseen, and training goes on
        return None
    return predict(own, run.runs, parameters=parameters(run), tokens=tokens, unique=unique(run), base=base)


def held_against(predicted: dict[str, Any], measured: float) -> dict[str, Any]:
    """Whether a prediction came true: the loss that was measured, how far off it was, and whether it was within; of a
    run that continued a base of other data also what a token of the base was ``worth``."""
    low, high = predicted["interval"]
    more: dict[str, Any] = {}
    if "constants" in predicted:
        law, base = Law.known(predicted["constants"]), predicted["base"]["tokens"]
        own = (predicted["parameters"], predicted["tokens"])
        more["worth"] = worth(law, *own, base=base, unique=predicted["unique"], loss=measured)
    return {
        **predicted,
        "measured": measured,
        "off": predicted["loss"] / measured - 1,
        "within": low <= measured <= high,
        **more,
    }
