"""The roof: which stages a recipe has, in which order, and what each is handed. It does nothing itself."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from seedstock import environment, learning
from seedstock.errors import DataError, IntegrityError, RecipeError, SeedstockError
from seedstock.ledger import manifest
from seedstock.ledger.ids import digest, project_key
from seedstock.progress import Reporter, Silent
from seedstock.runs import Run, lock, sections

STAGES = ("corpus", "tokenizer", "shards", "training", "evaluation", "release")


def run(recipe: Any, *, runs: Path | str = "runs", reporter: Reporter | None = None, until: str = "release") -> Run:
    """Every stage of a recipe up to ``until`` (one of STAGES), each skipped where it is up to date; returns the run.

    Raises SeedstockError (see docs/cli.md for the kinds); what was complete is kept, and the same call goes on.
    """
    if learning.follows():
        learning.follow()
    with _dismissing(), lock(Path(runs), recipe.name):
        return _stages(Run.begin(recipe, runs), reporter or Silent(), STAGES[: STAGES.index(until) + 1])


def resume(
    run: Run,
    *,
    reporter: Reporter | None = None,
    step: int | None = None,
    processes: int | None = None,
    profile: bool = False,
) -> Run:
    """Goes on with a run where it was cut off, with its own recipe; ``processes`` may be more or fewer than before;
    ``profile`` has a few of the steps to come profiled.

    ``step`` takes it back to the checkpoint of that step first (0: to the beginning), which removes the later ones.
    """
    if learning.follows():
        learning.follow()
    with _dismissing(), run.lock():
        run.check_recipe()
        how: dict[str, Any] = {"profile": True} if profile else {}
        how |= {} if processes is None else {"processes": processes}
        training = run.recipe.training.model_copy(update=how)
        if training != run.recipe.training:
            run.rewrite(run.recipe.model_copy(update={"training": training}))
        if step is not None:
            rewind(run, step)
        return _stages(run, reporter or Silent(), STAGES)


def again(run: Run, stage: str, *, reporter: Reporter | None = None) -> Run:
    """Does the evaluation or the release of a run once more."""
    with run.lock():
        run.check_recipe()
        return _stages(run, reporter or Silent(), (stage,), again=True)


@contextlib.contextmanager
def _dismissing() -> Iterator[None]:
    """However the stages end, processes that wait for the training do not wait for ever."""
    try:
        yield
    finally:
        learning.dismiss()


def _stages(run: Run, reporter: Reporter, stages: Sequence[str], **options: bool) -> Run:
    from seedstock.provenance.close import close

    work: dict[str, Callable[..., bool]] = {
        "corpus": corpus,
        "tokenizer": tokenizer,
        "shards": shards,
        "training": train,
        "evaluation": evaluate,
        "release": release,
    }
    done = [work[stage](run, reporter, **options) for stage in stages]
    if not any(done):
        reporter.say(f"{run.folder}: everything up to {stages[-1]} is up to date")
    close(run.folder, run.chain)
    return run


@contextlib.contextmanager
def _stage(run: Run, reporter: Reporter, name: str) -> Iterator[None]:
    """A stage at work: the run counts as open from here on, and events go to its file."""
    from seedstock.provenance.close import is_closed

    if is_closed(run.chain):
        run.chain.append("opened", {"stage": name})
    if hasattr(reporter, "path"):
        reporter.path = run.folder / "events.jsonl"
    try:
        with reporter.stage(name):
            yield
    finally:
        if hasattr(reporter, "path"):
            reporter.path = None


def rewind(run: Run, step: int) -> None:
    """Takes a run back to one of its checkpoints: the later ones are removed, and that is on record."""
    if step and step not in run.checkpoints:
        there = ", ".join(map(str, run.checkpoints)) or "none"
        raise DataError(
            f"there is no checkpoint of step {step}", where=run.folder, fix=f"checkpoints there: 0, {there}"
        )
    run.chain.append("rewound", {"step": step, "from": run.steps_done})
    for later in run.checkpoints:
        if later > step:
            shutil.rmtree(run.folder / "checkpoints" / f"step-{later:08d}")


def _begun(run: Run) -> bool:
    """Whether the model has begun to learn: from then on the stages before are those on record, come what may."""
    if not run.steps_done:
        return False
    for stage in ("corpus", *["tokenizer"] * run.recipe.input.tokenized, "shards"):
        if not manifest.is_sealed(run.stage_folder(stage)):
            raise IntegrityError(
                f"the {stage} that this run learned from is gone",
                where=run.stage_folder(stage),
                fix="restore it from a copy; a new one would not be what the weights were trained on",
            )
    return True


def corpus(run: Run, reporter: Reporter) -> bool:
    """Builds the corpus; returns whether there was anything to do."""
    from seedstock.corpus import build, report
    from seedstock.scorers import with_runs

    recipe = run.recipe
    if _begun(run):
        with contextlib.suppress(SeedstockError):  # sources may be gone by now
            config, _ = with_runs(recipe.corpus, run.runs, run.name)
            inputs = build.inputs_of(recipe.sources, config, recipe.seed, project_key(), run.runs)
            if run.store.folder(build.STAGE, inputs) != run.stage_folder("corpus"):
                reporter.say("   the sources changed since this run began; it keeps the corpus that it has")
        return False
    config, judges = with_runs(recipe.corpus, run.runs, run.name)
    inputs = build.inputs_of(recipe.sources, config, recipe.seed, project_key(), run.runs)
    if run.store.has(build.STAGE, inputs):
        _record_parents(run, "corpus", judges)
        return run.record_stage("corpus", run.store.folder(build.STAGE, inputs))
    with _stage(run, reporter, "corpus"):
        folder = build.build(
            recipe.sources, config, seed=recipe.seed, key=project_key(), store=run.store, reporter=reporter
        )
        _record_parents(run, "corpus", judges)
        run.record_stage("corpus", folder)
        reporter.say(report.table(run.corpus.summary))
        if made := run.corpus.summary.get("token_files"):
            reporter.say(
                f"   {made['documents']:,} documents came as {made['tokens']:,} token ids: nothing that needs a text"
                f" was done; {made['coarse']:,} of them are parts of files whose documents are not known"
            )
        reporter.say(f"   more: {folder / 'report.html'}")
    return True


def _record_parents(run: Run, stage: str, runs: dict[str, Any]) -> None:
    """Notes the checkpoints of other runs that a stage asks or learns from, where that is news."""
    body = {"stage": stage, "runs": runs}
    known = [record for record in run.chain.of("parents") if record.get("stage", "training") == stage]
    if runs and (not known or known[-1]["runs"] != runs):
        run.chain.append("parents", body)


def tokenizer(run: Run, reporter: Reporter) -> bool:
    """Trains the tokenizer where the input has tokens; returns whether there was anything to do."""
    from seedstock.inputs.tokenizers import train as tokenizers

    if not run.recipe.input.tokenized or _begun(run):
        return False
    seed, config = run.recipe.seed, with_specials(run.recipe)
    inputs = tokenizers.inputs_of(config, run.corpus, seed=seed)
    if run.store.has(tokenizers.STAGE, inputs):
        return run.record_stage("tokenizer", run.store.folder(tokenizers.STAGE, inputs))
    with _stage(run, reporter, "tokenizer"):
        folder = tokenizers.train(config, run.corpus, seed=seed, store=run.store, reporter=reporter)
        run.record_stage("tokenizer", folder)
        each = run.tokenizer_report["bytes_per_token"]["all"]  # None where no document has a text
        told = f", {each:.2f} bytes a token" if each is not None else ""
        reporter.say(f"   {run.tokenizer.vocab_size:,} tokens{told}")
    return True


def with_specials(recipe: Any) -> Any:
    """The tokenizer's configuration with the special tokens that the objective and the input need."""
    coded = getattr(recipe.input, "coded", None)
    own = coded.specials() if coded is not None else ()
    names = dict.fromkeys([*recipe.tokenizer.specials, *recipe.objective.specials(), *own])
    return recipe.tokenizer.model_copy(update={"specials": tuple(names)})


def shards(run: Run, reporter: Reporter) -> bool:
    """Writes the shards; returns whether there was anything to do."""
    if run.recipe.input.kind != "tokens":
        return items(run, reporter)
    from seedstock.inputs import write

    if _begun(run):
        return False
    scores = run.recipe.objective.scores()
    pictures = _coded(run)
    inputs = write.inputs_of(run.corpus, run.tokenizer, scores=scores, pictures=pictures)
    if run.store.has(write.STAGE, inputs):
        return run.record_stage("shards", run.store.folder(write.STAGE, inputs))
    with _stage(run, reporter, "shards"):
        options = {"scores": scores, "pictures": pictures}
        folder = write.write(run.corpus, run.tokenizer, store=run.store, reporter=reporter, **options)
        run.record_stage("shards", folder)
        tokens = sum(stratum.tokens for stratum in run.shards.strata("train"))
        reporter.say(f"   {tokens:,} tokens of {len(run.shards.strata('train'))} strata to train on")
    return True


def _coded(run: Run) -> Any:
    """What writes the media of documents as codes, where the recipe asks for that; the run that codes is a parent."""
    config = run.recipe.input.coded
    if config is None:
        return None
    from seedstock import coders
    from seedstock.inputs.episode_tokens import Episodes

    if config.field == "episodes":
        return Episodes(config, run.tokenizer.specials)
    coder = coders.of(run.runs, config, run.name)
    _record_parents(run, "shards", {config.run: coder.record()})
    return coders.writer(config, coder, run.tokenizer.specials)


def items(run: Run, reporter: Reporter) -> bool:
    """Writes the shards of an input that is no stream of tokens; returns whether there was anything to do."""
    from seedstock.inputs.items import write

    if _begun(run):
        return False
    config = run.recipe.input
    tokenizer = run.tokenizer if config.tokenized else None
    inputs = write.inputs_of(run.corpus, config, tokenizer)
    if run.store.has(write.STAGE, inputs):
        return run.record_stage("shards", run.store.folder(write.STAGE, inputs))
    with _stage(run, reporter, "shards"):
        run.record_stage("shards", write.write(run.corpus, config, tokenizer, store=run.store, reporter=reporter))
        found = run.shards.strata("train")
        count = sum(stratum.tokens for stratum in found)
        reporter.say(f"   {count:,} {config.unit} of {len(found)} strata to train on")
    return True


def resolve(run: Run, reporter: Reporter) -> Any:
    """Fills in what the recipe leaves open, now that the vocabulary is known; shows and records every derived value."""
    from seedstock.planning.size import resolve as dial

    recipe = run.recipe
    model, training, derived = dial(recipe.model, recipe.training, run.vocab_size)
    training = training.resolved(model.context)
    objective = recipe.objective.measured(run.shards, reporter.say)
    resolved = recipe.model_copy(update={"model": model.filled(), "training": training, "objective": objective})
    if derived:
        for value in derived:
            reporter.say(f"   {value}")
        run.chain.append("derived", {"values": [{"key": d.key, "value": d.value, "why": d.why} for d in derived]})
    if resolved != recipe:
        run.rewrite(resolved, resolved=True)
    return resolved


def plan(run: Run) -> Any:
    """The data plan of a run: recorded, and followed from the first step on.

    Raises IntegrityError where the model has begun to learn by another plan than the recipe and the shards give.
    """
    from seedstock import weights
    from seedstock.inputs.plan import DataPlan

    recipe, recorded = run.recipe, run.chain.last("plan")
    objective = weights.objective(run)
    lengths = _windows(run, objective)
    made = DataPlan.of(
        run.shards,
        recipe.mixture,
        seed=recipe.seed,
        length=lengths,
        batch=recipe.training.batches(),
        steps=recipe.training.steps,
    )
    if recorded and recorded["fingerprint"] == made.fingerprint:
        return run.plan
    if recorded and run.steps_done:
        raise IntegrityError(
            "the data plan on record is not the one that this recipe and these shards give",
            where=run.folder,
            fix="give the recipe a run of its own with --name",
        )
    window = lengths[0][1]
    reads = {"reach": objective.raw_length(window) - window, "partners": objective.partners}
    run.chain.append("plan", {"plan": made.to_json(), "fingerprint": made.fingerprint, **reads})
    run.__dict__.pop("plan", None)
    return run.plan


def _windows(run: Run, objective: Any) -> list[tuple[int, int]]:
    """How far an example moves on in its stream, by the step from which on it does: a window of tokens, or an item.

    Raises RecipeError where windows of the phases' lengths do not divide the longest one.
    """
    if run.recipe.input.kind != "tokens":
        return [(0, 1)]
    found: list[tuple[int, int]] = []
    for start, _, length in run.recipe.training.course(run.recipe.model.context):
        window = objective.window(length)
        if not found or found[-1][1] != window:
            found.append((start, window))
    windows = {window for _, window in found}
    reach = {objective.raw_length(window) - window for window in windows}
    if any(max(windows) % window for window in windows) or len(reach) > 1:
        told = " and ".join(f"{window:,}" for window in sorted(windows))
        raise RecipeError(
            f"under the objective {run.recipe.objective.kind} windows of these lengths move on by {told} tokens, which "
            "do not divide one another",
            where="training.phases",
            fix="train at one length, or continue the run at another with training.start",
        )
    return found


def logits(run: Run, made: Any, reporter: Reporter) -> None:
    """Stores what a teacher says, where the recipe asks for that, before the first step.

    Raises IntegrityError where the model has begun to learn from what is gone.
    """
    from seedstock import weights

    if not getattr(run.recipe.objective, "stored", None):
        return
    if run.steps_done and run.has_stage("logits"):
        if not manifest.is_sealed(run.stage_folder("logits")):
            what = "the teacher's logits that this run learned from are gone"
            raise IntegrityError(what, where=run.stage_folder("logits"), fix="restore them from a copy")
        return
    folder = weights.store_logits(run, made, reporter)
    run.record_stage("logits", folder)
    size = sum(path.stat().st_size for path in folder.iterdir())
    reporter.say(f"   the teacher's {run.recipe.objective.stored} likeliest tokens a position: {size:,} bytes")


def train(run: Run, reporter: Reporter) -> bool:
    """Trains to the recipe's last step; returns whether there was anything to do."""
    trained = run.chain.last("trained")
    if trained and trained["step"] == run.recipe.training.steps == run.steps_done:
        return False
    environment.require("torch")
    with _stage(run, reporter, "training"):
        from seedstock import finetuning, scoring, weights
        from seedstock.planning.energy import Meter, estimate

        recipe = resolve(run, reporter)
        made = plan(run)
        _tell_mixture(run, made, reporter)
        logits(run, made, reporter)
        for stage, folder in weights.objective(run).folders.items():
            run.record_stage(stage, folder)
        _record_parents(run, "training", weights.parents(run))
        _foresee(run, reporter)
        with Meter() as meter:
            result = learning.train(run, reporter)
            # An attempt that found everything done measured nothing of the training.
            energy = estimate(result.seconds) if result.resumed_at_end else meter.read()
        objective = weights.objective(run)
        if objective.chooses is not None and run.shards.strata("held_out"):
            finetuning.choose(run, objective, scoring.held_out(run, objective, recipe.evaluation.limit), reporter)
        run.chain.append(
            "trained",
            {
                "step": result.step,
                "examples": result.examples,
                "tokens": result.tokens,
                "seconds": round(result.seconds, 2),
                "tokens_per_second": result.tokens_per_second and round(result.tokens_per_second, 1),
                "flops_a_token": result.flops_a_token,
                "peak_flops": result.peak_flops,
                "mfu": round(result.mfu, 4),
                "energy": energy.record(),
            },
        )
        rate = result.tokens_per_second
        speed = f", {rate:,.0f} a second, MFU {result.mfu:.0%}" if rate else ""
        reporter.say(f"   step {result.step:,}: {result.tokens:,} tokens{speed}")
    return True


def _foresee(run: Run, reporter: Reporter) -> None:
    """Notes, before the first step, what the law of a sweep says of the loss that this run will end with."""
    from seedstock import sweeps

    if run.steps_done or run.chain.last("predicted") or (said := sweeps.foreseen(run)) is None:
        return
    run.chain.append("predicted", said)
    low, high = said["interval"]
    reporter.say(f"   {said['sweep']} foresees {said['loss']:.4f} {said['name']} ({low:.4f} to {high:.4f})")


def _came_true(run: Run, held_out: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """The prediction beside what was measured, where there was one: {} or {predicted: …}."""
    from seedstock import sweeps

    said = run.chain.last("predicted")
    if said is None or not isinstance(measured := held_out.get(said["name"]), float):
        return {}
    found = sweeps.held_against(said, measured)
    within = "within" if found["within"] else "not within"
    off = f"foreseen {found['loss']:.4f}, measured {measured:.4f} ({found['off']:+.1%})"
    shared = f"; a token of the base was worth {found['worth']:.1%} of one of its own" if "worth" in found else ""
    reporter.say(f"   {off}: {within} the interval{shared}")
    return {"predicted": found}


def _tell_mixture(run: Run, made: Any, reporter: Reporter) -> None:
    """What is read of each group, and how often, where there are several and the run's length is known."""
    from seedstock import views
    from seedstock.inputs.realised import realised

    steps, by = run.recipe.training.steps, run.recipe.mixture.by
    if steps and (made.steps() is None or made.steps() >= steps):
        rows = realised(made, run.shards.strata("train"), by, sum(made.examples(steps - 1)))
        if len(rows) > 1:
            reporter.say(views.mixed(rows, by))


def evaluate(run: Run, reporter: Reporter, *, again: bool = False) -> bool:
    """Scores the newest checkpoint beside the floors and draws the curve; returns whether there was anything to do."""
    if run.checkpoint is None:
        raise DataError("this run is not trained yet", where=run.folder, fix=f"`seedstock resume {run.name}` goes on")
    if not run.shards.strata("held_out"):
        if again:
            raise DataError("nothing is held out to score", where=run.folder, fix="set corpus.held_out in a new run")
        reporter.say("   nothing is held out: no evaluation")
        return False
    result = run.result or run.checkpoint
    asked = {"checkpoint": result["manifest_sha256"], "config": sections(run.recipe)["evaluation"]}
    done = run.chain.last("evaluation")
    if done and done["asked"] == asked and not again:
        return False
    with _stage(run, reporter, "evaluation"):
        from seedstock import judging, scoring, views, weights

        nets, objective, step = weights.load_nets(run)
        if objective.chooses is not None:
            windows = scoring.held_out(run, objective, run.recipe.evaluation.limit)
            return judging.evaluate(run, nets, objective, step, asked, windows, reporter)
        score = scoring.next_token if scoring.in_bits(run, objective) else scoring.own
        scores = score(run, nets, objective, reporter)
        came_true = _came_true(run, scores["held_out"], reporter)
        run.chain.append("evaluation", {"asked": asked, "step": step, "held_out": scores["held_out"], **came_true})
        reporter.say(views.scores(scores))
        reporter.say(f"   picture: {run.folder / 'evaluation' / 'curve.png'}")
    return True


def release(run: Run, reporter: Reporter, *, again: bool = False) -> bool:
    """Writes the release folder: the base model, its papers and its evidence; returns whether there was need."""
    if run.checkpoint is None:
        raise DataError("this run is not trained yet", where=run.folder, fix=f"`seedstock resume {run.name}` goes on")
    result = run.result or run.checkpoint
    asked = {
        "checkpoint": result["manifest_sha256"],
        "evaluation": run.chain.last("evaluation"),
        "config": sections(run.recipe)["release"],
    }
    done = run.chain.last("released")
    if done and done["asked"] == digest(asked) and not again:
        return False
    with _stage(run, reporter, "release"):
        from seedstock import weights
        from seedstock.release.write import write

        export = (lambda folder: weights.export(run, folder)) if weights.exportable(run) else None
        folder = write(run.folder, model_export=export, chain=run.chain, reporter=reporter)
        run.chain.append("released", {"asked": digest(asked)})
        reporter.say(f"   {folder}")
    return True
