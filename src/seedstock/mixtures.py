"""What the roof does for mixtures: what one comes to, and small runs from which a better one is proposed."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seedstock.errors import DataError, RecipeError, SeedstockError
from seedstock.ledger import manifest
from seedstock.ledger.ids import digest, project_key
from seedstock.progress import Reporter, Silent
from seedstock.runs import lock

STEPS, SIZE = 200, 1_000_000


def realised(recipe: Any, runs: Path | str) -> list[dict[str, Any]] | None:
    """What the recipe's mixture comes to by group (keys: ``inputs.realised``), from shards that are there already.

    None where they are not built. Windows are of the model's context: an objective that moves on by another length
    gives other numbers of windows, in the same proportion.
    """
    from seedstock.inputs.plan import DataPlan
    from seedstock.inputs.realised import realised as rows
    from seedstock.planning.size import resolve

    found = shards_of(recipe, Path(runs))
    if found is None:
        return None
    model, training, _ = resolve(recipe.model, recipe.training, found.vocab_size)
    training = training.resolved(model.context)
    made = DataPlan.of(
        found,
        recipe.mixture,
        seed=recipe.seed,
        length=[(start, length) for start, _, length in training.course(model.context)],
        batch=training.batches(),
        steps=training.steps,
    )
    if training.steps is None:  # a horizon in time: one pass, as far as the caps allow
        examples = sum(-(-(tokens - 1) // model.context) for tokens in made.strata.values())
    else:
        last = training.steps - 1
        examples = sum(made.examples(last)) if made.gives(last) else training.examples(training.steps)
    if made.capacity is not None:
        examples = min(examples, made.capacity)
    return rows(made, found.strata("train"), recipe.mixture.by, examples)


def shards_of(recipe: Any, runs: Path) -> Any:
    """The shards of a recipe, where the store has them."""
    from seedstock.corpus import build
    from seedstock.corpus.reader import Corpus
    from seedstock.inputs import write
    from seedstock.inputs.shards import Shards
    from seedstock.inputs.tokenizers import Tokenizer
    from seedstock.inputs.tokenizers import train as tokenizers
    from seedstock.ledger.store import Store
    from seedstock.pipeline import with_specials
    from seedstock.scorers import with_runs

    store = Store(runs)
    if not (store.path / write.STAGE).is_dir():
        return None
    try:
        config, _ = with_runs(recipe.corpus, runs, recipe.name)
        inputs = build.inputs_of(recipe.sources, config, recipe.seed, project_key(), runs)
    except SeedstockError:  # a recipe can be planned where its sources are not
        return None
    if not store.has(build.STAGE, inputs):
        return None
    corpus = Corpus(store.folder(build.STAGE, inputs))
    inputs = tokenizers.inputs_of(with_specials(recipe), corpus, seed=recipe.seed)
    if not store.has(tokenizers.STAGE, inputs):
        return None
    made = Tokenizer(store.folder(tokenizers.STAGE, inputs))
    inputs = write.inputs_of(corpus, made, scores=recipe.objective.scores())
    return Shards(store.folder(write.STAGE, inputs)) if store.has(write.STAGE, inputs) else None


def propose(
    recipe: Any,
    *,
    runs: Path | str = "runs",
    proxies: int = 24,
    steps: int = STEPS,
    size: int = SIZE,
    part: str = "domain",
    verify: int = 0,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Trains ``proxies`` small models of ``size`` parameters on mixtures around the natural one, and proposes weights.

    The target is the held-out loss (bits per byte) averaged over the groups of ``part``. Each result is a line of
    ``NAME.mixture/results.jsonl`` in the folder of runs, so that a search that was cut off goes on where it was; a
    proxy's own run is removed once it is there. ``verify`` trains natural and proposed mixture with that many other
    seeds, which draw other held-out documents too, and tells the difference.

    Raises RecipeError where the recipe's objective does not predict the next token, DataError where there is one group
    only or nothing is held out.
    """
    from seedstock.planning import regmix

    reporter, runs = reporter or Silent(), Path(runs)
    if proxies < regmix.LEAST:
        raise RecipeError(
            f"{proxies} proxies are too few to fit", where="--proxies", fix=f"give {regmix.LEAST} or more"
        )
    with lock(runs, f"{recipe.name}.mixture"):
        search = _Search(recipe, runs, steps, size, part, reporter)
        natural, ceilings = search.natural()
        proposal, mixtures, losses = regmix.search(
            lambda number, weights: search.losses(f"proxy {number + 1} of {proxies}", weights),
            natural,
            proxies=proxies,
            seed=recipe.seed,
            ceilings=ceilings,
        )
        result: dict[str, Any] = {
            "groups": sorted(natural),
            "target": f"held-out bits per byte, mean over {part} ({', '.join(sorted(losses[0]))})",
            "proxies": [
                {"weights": weights, "losses": loss, "mean": regmix.mean(loss)}
                for weights, loss in zip(mixtures, losses, strict=True)
            ],
            "fit": {"r2": proposal.fit.r2, "error": proposal.fit.error, "explains": proposal.fit.explains},
            "natural": {"weights": mixtures[0], "measured": regmix.mean(losses[0]), "expected": proposal.natural},
            "proposed": None,
        }
        if proposal.weights is not None:
            result["proposed"] = {
                "weights": proposal.weights,
                "expected": proposal.expected,
                "interval": proposal.interval,
                "clear": proposal.clear,
            }
            if verify:
                result["verified"] = search.verify(mixtures[0], proposal.weights, verify)
        return result


class _Search:
    """Small runs of one recipe that differ in their weights alone."""

    def __init__(self, recipe: Any, runs: Path, steps: int, size: int, part: str, reporter: Reporter) -> None:
        from seedstock.planning.shapes import SIZES

        self.recipe, self.runs, self.part, self.reporter = recipe, runs, part, reporter
        self.results = runs / f"{recipe.name}.mixture" / "results.jsonl"
        none = dict.fromkeys(("tokens", "time", "validate_every", "sample_every"))
        plain: dict[str, Any] = {"steps": steps, "checkpoint_every": steps, "compile": False, "callbacks": [], **none}
        self.training = recipe.training.model_copy(update=plain)
        self.model = recipe.model.model_copy(update={"size": size, **dict.fromkeys(SIZES)})
        self.root = ""

    def small(self, weights: Mapping[str, float], seed: int | None = None) -> Any:
        """The recipe of one proxy: the recipe's own corpus, tokenizer and shards, or those of another seed."""
        plain = {"weights": dict(weights), "budgets": {}, "schedule": (), "max_repeats": None, "repeats": {}}
        return self.recipe.model_copy(
            update={
                "name": f"{self.recipe.name}.mixture-{digest([dict(weights), seed])[:12]}",
                "mixture": self.recipe.mixture.model_copy(update=plain),
                "seed": self.recipe.seed if seed is None else seed,
                "model": self.model,
                "training": self.training,
            }
        )

    def natural(self) -> tuple[dict[str, float], dict[str, float]]:
        """The natural mixture by group, and the largest share that the caps allow each in the recipe's own run."""
        from seedstock import pipeline
        from seedstock.inputs.config import MixtureConfig
        from seedstock.inputs.mixture import group_of, weights

        first = self.small({})
        self._remove(first.name)
        run = pipeline.run(first, runs=self.runs, reporter=self.reporter, until="shards")
        self.root, shards = manifest.read(run.stage_folder("shards")).root, run.shards
        self._remove(first.name)
        strata, by = shards.strata("train"), self.recipe.mixture.by
        shares = weights(strata, MixtureConfig(by=by))
        found: dict[str, float] = {}
        for one in strata:
            name = "/".join(group_of(one, by))
            found[name] = found.get(name, 0.0) + shares[one.stratum]
        if len(found) < 2:
            raise DataError(
                f"there is one group only: {', '.join(found)}", where="mixture.by", fix="group by what there is more of"
            )
        if not shards.strata("held_out"):
            raise DataError(
                "nothing is held out to score proxies on", where="corpus.held_out", fix="hold out 1 % or more"
            )
        ceilings: dict[str, float] = {}
        rows = realised(self.recipe.model_copy(update={"mixture": MixtureConfig(by=by, max_repeats=None)}), self.runs)
        total = sum(row["tokens"] for row in rows or ())
        caps = self.recipe.mixture
        for row in rows or ():
            if caps.max_repeats is not None and total:
                ceilings[row["group"]] = min(1.0, caps.max_repeats * row["stored"] / total)
        return found, ceilings

    def losses(self, title: str, weights: Mapping[str, float], seed: int | None = None) -> dict[str, float]:
        """The held-out loss by group of a proxy with these weights, trained now or on record."""
        small = self.small(weights, seed)
        record = {name: getattr(small, name).model_dump(mode="json") for name in ("model", "training", "mixture")}
        chosen = ("precision", "micro_batch", "threads")  # measured on this machine; they change no more than rounding
        record["training"] = {key: value for key, value in record["training"].items() if key not in chosen}
        key = digest([self.root, self.part, self.recipe.seed if seed is None else seed, record])
        if key in (known := self._known()):
            self.reporter.say(f"   {title}: on record")
            return known[key]
        began = time.monotonic()
        found = self._train(small)
        line: dict[str, Any] = {"key": key, "weights": dict(weights), "seed": seed, "losses": found}
        line["seconds"] = round(time.monotonic() - began, 1)
        self.results.parent.mkdir(parents=True, exist_ok=True)
        with self.results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
        mean = sum(found.values()) / len(found)
        self.reporter.say(f"   {title}: {mean:.4f} bits per byte, {line['seconds']:.0f} s")
        return found

    def _known(self) -> dict[str, dict[str, float]]:
        """What is on record; a line that was cut off is none."""
        found = {}
        if self.results.exists():
            for line in self.results.read_text(encoding="utf-8").splitlines():
                with contextlib.suppress(ValueError, KeyError):
                    record = json.loads(line)
                    found[record["key"]] = record["losses"]
        return found

    def _train(self, small: Any) -> dict[str, float]:
        from seedstock import pipeline, weights
        from seedstock.evaluation.bits_per_byte import score

        self._remove(small.name)
        run = pipeline.run(small, runs=self.runs, reporter=Silent(), until="training")
        nets, objective, _ = weights.load_nets(run)
        if not objective.predicts_next:
            raise RecipeError(
                "the objective does not predict the next token, so that proxies have no bits per byte",
                where="objective",
                fix="search with the causal objective on the same corpus",
            )
        settled = run.recipe.training  # what was measured for the first proxy holds for the others
        kept = {name: getattr(settled, name) for name in ("precision", "micro_batch", "threads")}
        self.training = self.training.model_copy(update=kept)
        found = score(
            nets["network"],
            run.shards,
            run.tokenizer,
            context=run.recipe.model.context,
            limit=run.recipe.evaluation.limit,
        ).by()[self.part]
        losses = {name: own["bits_per_byte"] for name, own in found.items() if own["bits_per_byte"] is not None}
        self._remove(run.name)
        return losses

    def _remove(self, name: str) -> None:
        """Takes a proxy's run away, as it may lie there from a search that was cut off."""
        shutil.rmtree(self.runs / name, ignore_errors=True)
        (self.runs / f".{name}.lock").unlink(missing_ok=True)

    def verify(self, natural: Mapping[str, float], proposed: Mapping[str, float], count: int) -> list[dict[str, float]]:
        """Natural and proposed mixture with other seeds: the mean loss of each, pair by pair."""
        found = []
        for number in range(count):
            seed = self.recipe.seed + 1 + number
            pair = {
                name: self.losses(f"{name} mixture, seed {seed}", weights, seed)
                for name, weights in (("natural", natural), ("proposed", proposed))
            }
            found.append({"seed": seed, **{name: sum(own.values()) / len(own) for name, own in pair.items()}})
        return found
