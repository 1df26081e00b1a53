"""Proxies of one recipe that differ in a key or several: what each choice does to the held-out loss, and how surely."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from seedstock import recipe as recipes
from seedstock.errors import RecipeError
from seedstock.ledger.files import write_json
from seedstock.ledger.ids import digest
from seedstock.planning.paired import by_documents, over_seeds
from seedstock.progress import Reporter, Silent
from seedstock.runs import lock, sections
from seedstock.small_runs import QUIET, SmallRuns

SUFFIX = ".ablate"
HORIZON = ("training.steps", "training.tokens", "training.time")
MOST = 1000


def ablate(
    path: Path | str,
    vary: Sequence[str],
    *,
    overrides: Sequence[str] = (),
    name: str | None = None,
    seeds: int = 3,
    size: int | None = None,
    tokens: int | None = None,
    runs: Path | str = "runs",
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Trains every combination of the values in ``vary`` (``KEY=a,b``) with ``seeds`` seeds, on equally many tokens.

    The first value of each key is the baseline that the others are held against. ``size`` parameters and ``tokens``
    make proxies of the recipe; without, its own sizes and horizon hold. Each proxy is a run of its own beside the
    recipe's; a search that was cut off goes on where it was. The report is written to ``NAME.ablate/report.json``.

    Raises RecipeError before anything is trained where a variant is no recipe.
    """
    reporter, runs = reporter or Silent(), Path(runs)
    if seeds < 1:
        raise RecipeError(f"{seeds} seeds train nothing", where="--seeds", fix="give 1 or more, 3 to tell noise")
    base = recipes.load(path, list(overrides), name=name)
    keys, combinations = variants(vary)
    if size is not None and (own := {"model", "model.size"} & set(keys)):
        what = f"{min(own)} is varied, and --size gives every proxy its size"
        raise RecipeError(what, where="--size", fix="leave --size out, and write sizes among the values")
    horizon = {} if set(keys) & set(HORIZON) else {"tokens": tokens or _tokens(base, size)}
    made: list[tuple[dict[str, Any], list[Any]]] = []
    for values in combinations:
        given = [*overrides, *(f"{key}={json.dumps(value)}" for key, value in values.items())]
        recipe = recipes.load(path, given, name=name)
        made.append((values, [_proxy(recipe, values, base, seed, size, horizon) for seed in range(seeds)]))
    question = f"{base.name}{SUFFIX}"
    with lock(runs, question):
        small = SmallRuns(runs, question, reporter)
        total, rows = seeds * len(made), []
        for seed in range(seeds):  # all variants of a seed first: a search that is cut off can be read
            for number, (values, proxies) in enumerate(made):
                title = f"{seed * len(made) + number + 1} of {total}, {shown(values)}, seed {proxies[seed].seed}"
                rows.append((number, seed, small.row(proxies[seed], title)))
        result = {"recipe": base.name, "name": rows[0][2]["name"], "seeds": seeds, "keys": keys, **horizon}
        result["variants"] = list(_compared(made, rows, small))
        write_json(runs / question / "report.json", result)
    return result


def variants(vary: Sequence[str]) -> tuple[list[str], list[dict[str, Any]]]:
    """The keys, and every combination of their values, the baseline first. Raises RecipeError for what is none."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    found: dict[str, list[Any]] = {}
    for text in vary:
        key, equals, values = text.partition("=")
        try:
            listed = list(YAML(typ="safe", pure=True).load(f"[{values}]") or [])
        except (YAMLError, ValueError) as error:
            raise RecipeError("the values are not valid YAML", where=f"--vary {text}", fix="quote text") from error
        if not equals or not key or len(listed) < 2 or any(listed.count(one) > 1 for one in listed):
            what = "a key and two different values or more are needed"
            raise RecipeError(what, where=f"--vary {text}", fix="write --vary training.optimizer.kind=adamw,muon")
        if key in found or key in ("name", "seed"):
            why = "it is varied twice" if key in found else "--seeds says how many seeds"
            raise RecipeError(f"{key} cannot be varied here: {why}", where=f"--vary {text}", fix="leave one out")
        found[key] = listed
    if not found:
        raise RecipeError("nothing is varied", where="--vary", fix="write --vary corpus.policy=none,gopher-c4")
    count = int(np.prod([len(values) for values in found.values()]))
    if count > MOST:
        raise RecipeError(f"{count:,} combinations are too many", where="--vary", fix=f"at most {MOST}")
    return [*found], [dict(zip(found, values, strict=True)) for values in product(*found.values())]


def _tokens(base: Any, size: int | None) -> int:
    """The horizon of a recipe, in tokens."""
    if base.training.time is not None:
        what = "a horizon in time gives faster variants more tokens"
        raise RecipeError(what, where="training.time", fix="give --tokens, or training.tokens in the recipe")
    model, training = _settled(base, _sized(base.model, size))
    return int(training.resolved(model.context).reads(model.context))


def _settled(recipe: Any, model: Any) -> tuple[Any, Any]:
    """The model and training with what the size dial gives."""
    from seedstock.planning.plan import vocabulary
    from seedstock.planning.size import resolve

    return resolve(model, recipe.training, vocabulary(recipe.tokenizer) if recipe.input.tokenized else 0)[:2]


def _sized(model: Any, size: int | None, varied: Collection[str] = ()) -> Any:
    """With the sizes that the dial gives ``size`` parameters, but those that are varied."""
    from seedstock.planning.shapes import SIZES

    opened = dict.fromkeys(name for name in SIZES if f"model.{name}" not in varied)
    return model if size is None else model.model_copy(update={"size": size, **opened})


def _proxy(recipe: Any, values: dict[str, Any], base: Any, seed: int, size: int | None, horizon: dict[str, int]) -> Any:
    update: dict[str, Any] = dict(QUIET)
    if horizon:
        update |= {"steps": None, "time": None, **horizon}
    made = recipe.model_copy(
        update={
            "seed": base.seed + seed,
            "model": _sized(recipe.model, size, values),
            "training": recipe.training.model_copy(update=update),
        }
    )
    # Named by what it is: two ablations of a recipe share the proxies that are the same, the baseline above all. What
    # the dial makes of it tells a default that is written out, which stays, from one that the dial may set.
    settled = dict(zip(("model", "training"), _settled(made, made.model), strict=True))
    label = digest([sections(made), sections(made.model_copy(update=settled))])[:12]
    return made.model_copy(update={"name": f"{base.name}{SUFFIX}-{label}"})


def _compared(
    made: list[tuple[dict[str, Any], list[Any]]], rows: list[tuple[int, int, dict[str, Any]]], small: SmallRuns
) -> Iterator[dict[str, Any]]:
    by = {(number, seed): row for number, seed, row in rows}
    seeds = range(len(made[0][1]))
    baseline = [by[0, seed]["loss"] for seed in seeds]
    for number, (values, _) in enumerate(made):
        losses = [by[number, seed]["loss"] for seed in seeds]
        found = {
            "values": values,
            "runs": [by[number, seed]["run"] for seed in seeds],
            "losses": losses,
            "mean": float(np.mean(losses)),
            "tokens": by[number, 0]["tokens"],
            "parameters": by[number, 0]["parameters"],
        }
        if number:
            pairs = [(small.documents(by[0, s]["run"]), small.documents(by[number, s]["run"])) for s in seeds]
            found |= _difference(baseline, losses, pairs)
        yield found


def _difference(baseline: list[float], losses: list[float], pairs: list[Any]) -> dict[str, Any]:
    documents = by_documents(pairs)
    # Where variants keep other documents, only those that both were scored on compare like with like.
    same = documents["pairs"] if documents else [b - a for a, b in zip(baseline, losses, strict=True)]
    seeds = over_seeds([0.0] * len(same), same)
    intervals = [one for one in (seeds["interval"], documents and documents["interval"]) if one]
    clear = bool(intervals) and all(low > 0 or high < 0 for low, high in intervals)
    verdict = "no clear difference"
    if clear and len({low > 0 for low, _ in intervals}) == 1:
        verdict = "worse" if seeds["difference"] > 0 else "better"
    return {"difference": seeds["difference"], "over_seeds": seeds, "by_documents": documents, "verdict": verdict}


def _apart(one: dict[str, Any], baseline: dict[str, Any]) -> bool:
    """Whether the difference is not that of the means."""
    return abs(one["difference"] - (one["mean"] - baseline["mean"])) > 1e-6


def shown(values: dict[str, Any]) -> str:
    """``training.ema=0.99, model.shape=plain``."""
    return ", ".join(f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in values.items())


def told(result: dict[str, Any]) -> Any:
    """The report as people read it."""
    from rich.console import Group
    from rich.text import Text

    from seedstock.views import table

    title = f"{result['name']} on held-out text, {result['seeds']} seed{'s' * (result['seeds'] != 1)} (lower is better)"
    made = table(title, "variant", "mean>", "difference>", "95 % over seeds>", "95 % by document>", "")
    for one in result["variants"]:
        if "difference" not in one:
            made.add_row(shown(one["values"]), f"{one['mean']:.4f}", "", "", "", "baseline")
            continue
        seeds, documents = one["over_seeds"]["interval"], (one["by_documents"] or {}).get("interval")
        cells = (
            f"{low:+.4f} to {high:+.4f}" if found else "–"
            for found in (seeds, documents)
            for low, high in [found or (0, 0)]
        )
        made.add_row(shown(one["values"]), f"{one['mean']:.4f}", f"{one['difference']:+.4f}", *cells, one["verdict"])
    notes = []
    if any("difference" in one and _apart(one, result["variants"][0]) for one in result["variants"]):
        notes.append("The variants were scored on other documents: differences are over those that both have.")
    if result["seeds"] < 2:
        notes.append("One seed tells nothing of the noise between runs: give --seeds 3.")
    if len({one["parameters"] for one in result["variants"]}) > 1:
        notes.append("The variants differ in parameters: the difference is of that too.")
    return Group(made, Text("\n".join(notes)))
