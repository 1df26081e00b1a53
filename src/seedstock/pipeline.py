"""The roof: which stages a recipe has, in which order, and what each is handed. It does nothing itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from seedstock.errors import DataError
from seedstock.ledger.ids import digest, project_key
from seedstock.progress import Reporter, Silent
from seedstock.runs import Run

STAGES = ("corpus", "tokenizer", "shards", "training", "evaluation", "release")


def run(
    recipe: Any, *, runs: Path | str = "runs", reporter: Reporter | None = None, until: str = "release"
) -> Run:
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
    from seedstock.provenance.close import close, is_closed

    work: dict[str, Callable[[Run, Reporter], Any]] = {
        "corpus": corpus,
        "tokenizer": tokenizer,
        "shards": shards,
        "training": train,
        "evaluation": evaluate,
        "release": release,
    }
    with run.lock():
        attach_events(run, reporter)
        done = [work[stage](run, reporter) for stage in STAGES[: STAGES.index(until) + 1]]
        if not any(done):
            reporter.say(f"{run.folder}: everything up to {until} is up to date")
        if any(done) or not is_closed(run.chain):
            attach_events(None, reporter)
            close(run.folder, run.chain)
    return run


def attach_events(run: Run | None, reporter: Reporter) -> None:
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
        folder = tokenizers.train(
            recipe.tokenizer, run.corpus, seed=recipe.seed, store=run.store, reporter=reporter
        )
        run.record_stage("tokenizer", folder)
        report = run.tokenizer.report
        reporter.say(f"   {run.tokenizer.vocab_size:,} tokens, {report['bytes_per_token']:.2f} bytes a token")
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
