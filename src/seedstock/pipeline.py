"""The roof: which stages a recipe has, in which order, and what each is handed. It does nothing itself."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from seedstock.errors import DataError
from seedstock.ledger.ids import digest, project_key
from seedstock.progress import Reporter, Silent
from seedstock.runs import Run

STAGES = ("corpus", "tokenizer", "shards", "training", "evaluation", "release")


def run(recipe: Any, *, runs: Path | str = "runs", reporter: Reporter | None = None, until: str = "release") -> Run:
    """Every stage of a recipe up to ``until`` (one of STAGES), each skipped where it is up to date; returns the run.

    Raises SeedstockError (see docs/cli.md for the kinds); what was complete is kept, and the same call goes on.
    """
    reporter = reporter or Silent()
    opened = Run.begin(recipe, runs)
    return _stages(opened, reporter, until)


def resume(run: Run, *, reporter: Reporter | None = None) -> Run:
    """Goes on with a run where it was cut off, with its own recipe."""
    return _stages(run, reporter or Silent(), STAGES[-1])


def _stages(run: Run, reporter: Reporter, until: str) -> Run:
    work: dict[str, Callable[[Run, Reporter], bool]] = {
        "corpus": corpus,
        "tokenizer": tokenizer,
        "shards": shards,
        "training": train,
        "evaluation": evaluate,
        "release": release,
    }
    with _working(run, reporter):
        done = [work[stage](run, reporter) for stage in STAGES[: STAGES.index(until) + 1]]
        if not any(done):
            reporter.say(f"{run.folder}: everything up to {until} is up to date")
    return run


def again(run: Run, stage: str, *, reporter: Reporter | None = None) -> Run:
    """Does the evaluation or the release of a run once more."""
    reporter = reporter or Silent()
    with _working(run, reporter):
        {"evaluation": evaluate, "release": release}[stage](run, reporter, again=True)
    return run


@contextlib.contextmanager
def _working(run: Run, reporter: Reporter) -> Iterator[None]:
    """Holds the run's lock and writes its events; a run that ends without an error is closed."""
    from seedstock.provenance.close import close

    with run.lock():
        _events(run, reporter)
        try:
            yield
        finally:
            _events(None, reporter)
        close(run.folder, run.chain)


def _events(run: Run | None, reporter: Reporter) -> None:
    """Sends the reporter's events to a run's ``events.jsonl``, or nowhere."""
    if hasattr(reporter, "path"):
        reporter.path = run.folder / "events.jsonl" if run else None


def corpus(run: Run, reporter: Reporter) -> bool:
    """Builds the corpus; returns whether there was anything to do."""
    from seedstock.corpus import build, report

    recipe = run.recipe
    done = run.chain.last("stage") is not None
    inputs = build.inputs_of(recipe.sources, recipe.corpus, recipe.seed, project_key())
    if done and run.store.has(build.STAGE, inputs):
        return run.record_stage("corpus", run.store.folder(build.STAGE, inputs))
    if done and run.steps_done:
        # The model has begun to learn from the corpus on record: what a source holds by now belongs to another run.
        if digest(inputs)[:32] != run.stage_folder("corpus").name:
            reporter.say("   the sources changed since this run began; it goes on with the corpus it has")
        return False
    with reporter.stage("corpus"):
        folder = build.build(
            recipe.sources, recipe.corpus, seed=recipe.seed, key=project_key(), store=run.store, reporter=reporter
        )
        run.record_stage("corpus", folder)
        reporter.say(report.table(run.corpus.summary))
        reporter.say(f"   more: {folder / 'report.html'}")
    return True


def tokenizer(run: Run, reporter: Reporter) -> bool:
    """Trains the tokenizer; returns whether there was anything to do."""
    from seedstock.inputs.tokenizers import train as tokenizers

    recipe = run.recipe
    inputs = tokenizers.inputs_of(recipe.tokenizer, run.corpus, seed=recipe.seed)
    if run.store.has(tokenizers.STAGE, inputs):
        return run.record_stage("tokenizer", run.store.folder(tokenizers.STAGE, inputs))
    with reporter.stage("tokenizer"):
        folder = tokenizers.train(recipe.tokenizer, run.corpus, seed=recipe.seed, store=run.store, reporter=reporter)
        run.record_stage("tokenizer", folder)
        report = run.tokenizer_report
        reporter.say(f"   {run.tokenizer.vocab_size:,} tokens, {report['bytes_per_token']['all']:.2f} bytes a token")
    return True


def shards(run: Run, reporter: Reporter) -> bool:
    """Writes the shards; returns whether there was anything to do."""
    from seedstock.inputs import write

    inputs = write.inputs_of(run.corpus, run.tokenizer)
    if run.store.has(write.STAGE, inputs):
        return run.record_stage("shards", run.store.folder(write.STAGE, inputs))
    with reporter.stage("shards"):
        folder = write.write(run.corpus, run.tokenizer, store=run.store, reporter=reporter)
        run.record_stage("shards", folder)
        tokens = sum(stratum.tokens for stratum in run.shards.strata("train"))
        reporter.say(f"   {tokens:,} tokens of {len(run.shards.strata('train'))} strata to train on")
    return True


def resolve(run: Run, reporter: Reporter) -> Any:
    """Fills in what the recipe leaves open, now that the vocabulary is known; shows and records every derived value."""
    from seedstock.planning.size import resolve as dial

    recipe = run.recipe
    model, training, derived = dial(recipe.model, recipe.training, run.tokenizer.vocab_size)
    training = training.resolved(model.context)
    resolved = recipe.model_copy(update={"model": model.filled(), "training": training})
    if derived:
        for value in derived:
            reporter.say(f"   {value}")
        run.chain.append("derived", {"values": [{"key": d.key, "value": d.value, "why": d.why} for d in derived]})
    if resolved != recipe:
        run.rewrite(resolved)
    return resolved


def plan(run: Run) -> Any:
    """The data plan of a run: recorded once, and followed ever after."""
    from seedstock.inputs.plan import DataPlan

    if run.chain.last("plan") is None:
        recipe = run.recipe
        made = DataPlan.of(
            run.shards,
            recipe.mixture,
            seed=recipe.seed,
            length=recipe.model.context,
            batch=recipe.training.batch_examples,
        )
        run.chain.append("plan", {"plan": made.to_json(), "fingerprint": made.fingerprint})
    return run.plan


def train(run: Run, reporter: Reporter) -> bool:
    """Trains to the recipe's last step; returns whether there was anything to do."""
    trained = run.chain.last("trained")
    if trained and trained["step"] == run.recipe.training.steps and run.checkpoints[-1:] == [trained["step"]]:
        return False
    with reporter.stage("training"):
        from seedstock import weights
        from seedstock.inputs.loader import Loader
        from seedstock.objectives.base import Spec
        from seedstock.planning.energy import Meter
        from seedstock.training.fit import fit

        recipe = resolve(run, reporter)
        made = plan(run)
        network = weights.build(recipe, run.tokenizer.vocab_size)
        objective = recipe.objective.build()
        expected = objective.expect(Spec(run.tokenizer.vocab_size, recipe.model.context))
        reporter.event("expect", first=expected.first, tolerance=expected.tolerance)
        reporter.say(f"   {sum(p.numel() for p in network.parameters()):,} parameters on {weights.device()}")
        loader = Loader(run.shards, made, prepare=objective.prepare, raw_length=objective.raw_length, seed=recipe.seed)
        with Meter() as meter:
            result = fit(
                network=network,
                objective=objective,
                loader=loader,
                config=recipe.training,
                run_folder=run.folder,
                chain=run.chain,
                reporter=reporter,
                seed=recipe.seed,
                validate=_uncompiled(_validation(run)),
                sample=_uncompiled(lambda network, step: weights.sample(run, network, seed=step)),
                settled=lambda config: _settled(run, config),
            )
            energy = meter.read()
        run.chain.append(
            "trained",
            {
                "step": result.step,
                "examples": result.examples,
                "tokens": result.tokens,
                "seconds": round(result.seconds, 2),
                "tokens_per_second": round(result.tokens_per_second, 1),
                "flops_a_token": result.flops_a_token,
                "peak_flops": result.peak_flops,
                "mfu": round(result.mfu, 4),
                "energy": energy.record(),
            },
        )
        reporter.say(
            f"   step {result.step:,}: {result.tokens:,} tokens, {result.tokens_per_second:,.0f} a second, "
            f"MFU {result.mfu:.0%}"
        )
    return True


def _settled(run: Run, training: Any) -> None:
    """Freezes what was measured, so that a resume or a rerun repeats it."""
    recipe = run.recipe.model_copy(update={"training": training})
    if recipe != run.recipe:
        run.rewrite(recipe)


def _uncompiled(function: Any) -> Any:
    """Runs it without compilation: the shapes of an evaluation come once, and each would cost a compilation."""
    if function is None:
        return None
    import torch

    def call(network: Any, step: int) -> Any:
        with torch.compiler.set_stance("force_eager"):
            return function(network, step)

    return call


def _validation(run: Run) -> Callable[[Any, int], dict[str, Any]] | None:
    """Bits per byte on a sample of the held-out split, for the training loop; None where nothing is held out."""
    if not run.shards.strata("held_out"):
        return None
    from seedstock.evaluation.bits_per_byte import score

    recipe = run.recipe

    def validate(network: Any, step: int) -> dict[str, Any]:
        found = score(
            network,
            run.shards,
            run.tokenizer,
            context=recipe.evaluation.context or recipe.model.context,
            limit=recipe.evaluation.validation_limit,
            batch_tokens=recipe.evaluation.batch_tokens,
        )
        return {key: found.summary()[key] for key in ("bits_per_byte", "standard_error", "nats_per_token")}

    return validate


def evaluate(run: Run, reporter: Reporter, *, again: bool = False) -> bool:
    """Scores the newest checkpoint beside the floors and draws the curve; returns whether there was anything to do."""
    from seedstock.runs import sections

    trained = run.chain.last("trained")
    if trained is None:
        raise DataError("this run is not trained yet", where=run.folder, fix=f"`seedstock resume {run.name}` goes on")
    asked = {"step": trained["step"], "config": sections(run.recipe)["evaluation"]}
    done = run.chain.last("evaluation")
    if done and done["asked"] == asked and not again:
        return False
    with reporter.stage("evaluation"):
        from seedstock import weights
        from seedstock.evaluation.curve import curve
        from seedstock.evaluation.floors import floors
        from seedstock.evaluation.scores import evaluate as score
        from seedstock.evaluation.windows import sample
        from seedstock.ledger.files import write_json

        config, folder = run.recipe.evaluation, run.folder / "evaluation"
        characters = run.recipe.tokenizer.kind == "characters"
        network, step = weights.load(run)
        only = sample(run.shards, config.limit)
        known = floors(run.corpus, config, only=only, characters=characters, reporter=reporter)
        write_json(folder / "floors.json", known)
        scores = score(
            network,
            run.tokenizer,
            run.shards,
            config,
            context=run.recipe.model.context,
            floors=known,
            folder=folder,
            characters=characters,
            reporter=reporter,
        )
        report = run.tokenizer_report
        curve(
            run.folder / "events.jsonl",
            folder / "curve.png",
            floors=known,
            bytes_per_token=report["bytes_per_token"]["all"],
            name=run.name,
        )
        run.chain.append("evaluation", {"asked": asked, "step": step, "held_out": scores["held_out"]})
        from seedstock import views

        reporter.say(views.scores(scores))
        reporter.say(f"   picture: {folder / 'curve.png'}")
    return True


def release(run: Run, reporter: Reporter, *, again: bool = False) -> bool:
    """Writes the release folder: the base model, its papers and its evidence; returns whether there was need."""
    from seedstock.runs import sections

    evaluation = run.chain.last("evaluation")
    asked = {"evaluation": evaluation, "config": sections(run.recipe)["release"]}
    done = run.chain.last("released")
    if done and done["asked"] == digest(asked) and not again:
        return False
    with reporter.stage("release"):
        from seedstock import weights
        from seedstock.release.write import write

        export = (lambda folder: weights.export(run, folder)) if run.recipe.model.export_class else None
        folder = write(run.folder, model_export=export, chain=run.chain, reporter=reporter)
        run.chain.append("released", {"asked": digest(asked)})
        reporter.say(f"   {folder}")
    return True
