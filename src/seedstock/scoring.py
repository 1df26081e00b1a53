"""What a run's model is scored by, while it trains and afterwards: the rooms of evaluation, handed what they need."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from seedstock.progress import Reporter
from seedstock.runs import Run


def expected(run: Run, objective: Any) -> Any:
    """What a healthy run looks like; where the first loss is for the data to say, held-out items say it."""
    from seedstock import weights
    from seedstock.evaluation import objective_loss

    found = objective.expect(weights.spec(run))
    if not any(isinstance(one, str) for one in found.first.values()):
        return found
    few = held_out(run, objective, run.recipe.evaluation.validation_limit)
    return found.with_floors(objective_loss.floors(objective, few, batch=run.recipe.training.batch_examples))


def held_out(run: Run, objective: Any, limit: int | None) -> Any:
    """The held-out windows as the objective makes examples of them; about ``limit`` bytes of text."""
    from seedstock.inputs.held_out import HeldOut
    from seedstock.inputs.items.loader import HeldOutItems

    if run.recipe.input.kind != "tokens":
        size = sum(one.bytes for one in run.shards.fields.values())
        most = limit and max(1, limit // size)
        return HeldOutItems(run.shards, prepare=objective.prepare, seed=run.recipe.seed, limit=most)
    window = objective.window(run.recipe.model.context)
    # Of episodes no token has bytes: one counts as one.
    each = run.tokenizer_report["bytes_per_token"]["all"] or 1
    return HeldOut(
        run.shards,
        window=window,
        raw_length=objective.raw_length(window),
        prepare=objective.prepare,
        partners=objective.partners,
        seed=run.recipe.seed,
        limit=limit and int(limit / each),
    )


def in_bits(run: Run, objective: Any) -> bool:
    """Whether a model is scored in bits per byte: it predicts the next token, and not of codes alone, which are of no
    text: those are scored by the loss that the model was trained on."""
    texts = any(one.bytes for one in run.shards.strata("held_out")) or bool(run.corpus.summary.get("token_files"))
    return bool(objective.predicts_next) and texts


def validation(run: Run, objective: Any) -> Callable[[Any, int], dict[str, Any]] | None:
    """Bits per byte, or the objective's own losses, on a sample of the held-out split, for the training loop; None
    where nothing is held out."""
    if not run.shards.strata("held_out"):
        return None
    from seedstock.evaluation import objective_loss, pairs
    from seedstock.evaluation.bits_per_byte import score
    from seedstock.objectives.by_source import MOST

    recipe = run.recipe
    limit = recipe.evaluation.validation_limit
    if not in_bits(run, objective):
        windows = held_out(run, objective, limit)

        def validate_own(nets: Any, step: int) -> dict[str, Any]:
            found = objective_loss.score(nets, objective, windows, batch=recipe.training.batch_examples)
            more = pairs.found(nets, objective, windows) if hasattr(objective, "described") else {}
            return objective_loss.plain(found) | more

        return validate_own

    def validate(nets: Any, step: int) -> dict[str, Any]:
        found = score(
            nets["network"],
            run.shards,
            run.tokenizer,
            context=recipe.evaluation.context or recipe.model.context,
            limit=limit,
            batch_tokens=recipe.evaluation.batch_tokens,
        )
        told = {key: found.summary()[key] for key in ("bits_per_byte", "standard_error", "nats_per_token")}
        sources = found.by().get("source", {})
        own = {f"bits_per_byte.{name}": one["bits_per_byte"] for name, one in sources.items()}
        return told | ({name: bits for name, bits in own.items() if bits is not None} if 1 < len(own) <= MOST else {})

    return validate


def sampler(run: Run, objective: Any) -> Callable[[Any, int], str] | None:
    """Writes a text during training, or a picture, and probes features where items have classes; None where there is
    none of it."""
    made, probed = _made(run, objective), _probed(run, objective)
    if made is None or probed is None:
        return made or probed
    return lambda nets, step: f"{made(nets, step)}\n{probed(nets, step)}".strip()


def _probed(run: Run, objective: Any) -> Callable[[Any, int], str] | None:
    """Says how many classes of held-out items probes find in the features."""
    from seedstock.evaluation import probes

    if run.recipe.input.kind == "tokens" or not probes.classified(objective, run.shards):
        return None

    def look(nets: Any, step: int) -> str:
        found = probes.glance(nets, objective, *_splits(run, objective, *probes.GLANCE))
        if found is None:
            return ""
        names = {"knn": "by neighbours", "linear": "by a linear probe"}
        return "classes found " + ", ".join(f"{names[name]} {share:.1%}" for name, share in found.items())

    return look


def _made(run: Run, objective: Any) -> Callable[[Any, int], str] | None:
    from seedstock import code_samples, weights
    from seedstock.objectives.base import Objective

    draws = type(objective).pictures is not Objective.pictures
    if (draws or hasattr(objective, "described")) and not run.shards.strata("held_out"):
        return None  # they are made of what is held out
    if draws:
        return lambda nets, step: drawn(run, nets, objective, run.folder / "samples" / f"step-{step:08d}.png")

    if hasattr(objective, "described"):
        return lambda nets, step: matched(run, nets, objective, run.folder / "samples" / f"step-{step:08d}.png")

    # No prompt stands in the place of a sound or an episode.
    if run.recipe.input.kind != "tokens" or (
        not objective.predicts_next and type(objective).generate is Objective.generate
    ):
        return None
    if objective.predicts_next and code_samples.available(run):
        return lambda nets, step: _text_and_codes(run, nets, objective, step)
    return lambda nets, step: weights.sample(run, nets, objective, seed=step)


def _text_and_codes(run: Run, nets: Any, objective: Any, step: int) -> str:
    from seedstock import code_samples, weights

    text = weights.sample(run, nets, objective, seed=step)
    path = run.folder / "samples" / f"step-{step:08d}.png"
    return f"{text}\n{code_samples.drawn(run, nets, objective, path, seed=step)}".strip()


def drawn(run: Run, nets: Any, objective: Any, path: Path) -> str:
    """Draws what the objective makes of some held-out items, and says where."""
    from seedstock.evaluation import pictures

    found = pictures.shown(nets, objective, held_out(run, objective, None))
    if found is None:
        return ""
    pictures.write(path, found)
    return f"picture: {path}"


def matched(run: Run, nets: Any, objective: Any, path: Path) -> str:
    """Draws the pictures that some held-out captions find, and writes captions where the objective can."""
    from seedstock.evaluation import captions, pairs, pictures

    some = held_out(run, objective, run.recipe.evaluation.validation_limit)
    pictures.write(path, pairs.nearest(nets, objective, some))
    written = captions.shown(nets, objective, some, run.tokenizer) if hasattr(objective, "written") else ""
    return f"{written}\npicture: {path}".strip()


def uncompiled(function: Any) -> Any:
    """Runs it without compilation: the shapes of an evaluation come once, and each would cost a compilation."""
    if function is None:
        return None
    import torch

    def call(nets: Any, step: int) -> Any:
        with torch.compiler.set_stance("force_eager"):
            return function(nets, step)

    return call


def next_token(run: Run, nets: Any, objective: Any, reporter: Reporter) -> dict[str, Any]:
    """Scores a model that predicts the next token in bits per byte, beside count models, and draws the curve."""
    from seedstock.evaluation.curve import curve
    from seedstock.evaluation.floors import floors
    from seedstock.evaluation.scores import evaluate as score
    from seedstock.evaluation.windows import sample
    from seedstock.ledger.files import write_json

    config, folder = run.recipe.evaluation, run.folder / "evaluation"
    characters = run.recipe.tokenizer.kind == "characters"
    only, known = sample(run.shards, config.limit), None
    if run.corpus.summary.get("token_files"):
        reporter.say("   no floors: the corpus holds token ids, and a count model needs their text")
    else:
        known = floors(run.corpus, config, only=only, characters=characters, reporter=reporter)
        write_json(folder / "floors.json", known)
    scores = score(
        nets["network"],
        run.tokenizer,
        run.shards,
        config,
        context=run.recipe.model.context,
        floors=known,
        folder=folder,
        characters=characters,
        reporter=reporter,
    )
    mixed = run.shards.of_pictures.size > 0  # a training loss over codes too is none of bytes
    each = None if mixed else run.tokenizer_report["bytes_per_token"]["all"]
    events = run.folder / "events.jsonl"
    curve(events, folder / "curve.png", floors=known, bytes_per_token=each, name=run.name)
    return scores


def own(run: Run, nets: Any, objective: Any, reporter: Reporter) -> dict[str, Any]:
    """Scores a model that does not predict the next token, by the losses that it was trained on."""
    from seedstock import weights
    from seedstock.evaluation import captions, objective_loss, pairs, pictures, probes
    from seedstock.evaluation.curve import curve
    from seedstock.evaluation.token_floors import token_floors
    from seedstock.ledger.files import write_json

    recipe, folder = run.recipe, run.folder / "evaluation"
    batch = recipe.training.batch_examples
    windows = held_out(run, objective, recipe.evaluation.limit)
    if recipe.input.kind == "tokens":
        floors = token_floors(run.shards, limit=recipe.evaluation.floor_limit)
    else:
        floors = {"items": objective_loss.floors(objective, windows, batch=batch)}
    write_json(folder / "floors.json", floors)
    found = objective_loss.score(nets, objective, windows, batch=batch, draws=objective.draws)
    scores = objective_loss.record(found, nets, objective, weights.spec(run), floors)
    scores["bound"] = objective_loss.bound(found, objective, run.shards)
    if recipe.input.kind != "tokens":
        train, tested = _splits(run, objective, probes.TRAINING, probes.TESTING)
        scores["probes"] = probes.probe(nets, objective, train, tested)
        if hasattr(objective, "described"):
            found_by, compared = pairs.beside(nets, objective, train, tested, run.tokenizer)
            scores |= {"retrieval": found_by, "retrieval_beside_linear": compared}
            pictures.write(folder / "retrieval.png", pairs.nearest(nets, objective, tested))
        if hasattr(objective, "written"):
            scores["captions"] = captions.judge(nets, objective, train, tested, run.tokenizer)
        if said := drawn(run, nets, objective, folder / "pictures.png"):
            reporter.say(f"   {said}")
    write_json(folder / "scores.json", scores)
    curve(run.folder / "events.jsonl", folder / "curve.png", name=run.name, floors=floors)
    return scores


def _splits(run: Run, objective: Any, training: int, testing: int) -> tuple[Any, Any]:
    """Training and held-out items for probes, at most so many."""
    from seedstock.inputs.items.loader import HeldOutItems

    train, tested = (
        HeldOutItems(run.shards, prepare=objective.prepare, seed=run.recipe.seed, split=split, limit=limit)
        for split, limit in (("train", training), ("held_out", testing))
    )
    return train, tested
