"""The trained model of a run: built, loaded, asked for text, exported."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seedstock import environment
from seedstock.errors import DataError, IntegrityError, RecipeError, SeedstockError
from seedstock.inputs.logits import STAGE as LOGITS
from seedstock.inputs.logits import Stored
from seedstock.ledger import manifest
from seedstock.ledger.ids import sha256_file
from seedstock.progress import Reporter
from seedstock.runs import Run


def device() -> str:
    """Where networks run: the first CUDA GPU, else Apple's, else the CPU."""
    environment.require("torch")
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def torch_device() -> Any:
    """The same as a ``torch.device`` with its number, as tensors there have it."""
    import torch

    return torch.empty(0, device=device()).device


def build(recipe: Any, vocab_size: int, *, blank: bool = False) -> Any:
    """The network of a resolved recipe, with its initial weights, on this machine's device; ``blank``: its shapes
    alone."""
    return recipe.model.build(vocab_size, recipe.seed, "meta" if blank else device())


def spec(run: Run) -> Any:
    """What the run's objective is told: vocabulary, context, special tokens, the model's sizes, other runs' models."""
    from seedstock.objectives.base import Spec

    recipe = run.recipe
    tokenizer = run.tokenizer if recipe.input.tokenized else None
    steps, batch = recipe.training.steps, recipe.training.batch_examples
    # Who only scores or exports a student needs nothing of what its teacher said.
    stored = getattr(recipe.objective, "stored", None) and run.has_stage(LOGITS)
    stored = stored and manifest.is_sealed(run.stage_folder(LOGITS))
    return Spec(
        vocab_size=run.vocab_size,
        context=recipe.model.context,
        specials=tokenizer.specials if tokenizer else {},
        model=recipe.model.resolved(),
        seed=recipe.seed,
        models={name: _parent(run, name) for name in recipe.objective.networks()},
        tokenizer=tokenizer,
        examples=recipe.training.examples(steps) if steps and batch else None,
        shards=run.shards,
        logits=Stored(run.stage_folder(LOGITS)) if stored else None,
        fields={name: one.shape for name, one in getattr(run.shards, "fields", {}).items()},
        labels=tuple(getattr(run.shards, "labels", ())),
        batch=recipe.training.batch_examples or 0,
    )


def store_logits(run: Run, plan: Any, reporter: Reporter) -> Path:
    """Writes what the teacher of a run that distils says of every window that the run will read, once.

    Raises RecipeError where the run's length is not known yet, or the teacher's tokens are not this run's.
    """
    from seedstock.inputs.logits import places
    from seedstock.objectives import teacher

    recipe = run.recipe
    if recipe.training.steps is None:
        what = "which windows the run will read is not known: training.time is measured"
        raise RecipeError(what, where="objective.stored", fix="set training.steps or training.tokens in its place")
    name, config = recipe.objective.teacher, recipe.objective
    found, length = places(plan, recipe.training.steps)
    options = {"k": config.stored, "temperature": config.temperature}
    inputs = teacher.inputs_of(parents(run)[name]["manifest_sha256"], run.shards, found, length, **options)
    if not run.store.has(LOGITS, inputs):
        network = _parent(run, name, "objective.teacher")
        teacher.fits(network, spec(run), name)
        teacher.write(network, run.shards, found, length, inputs=inputs, store=run.store, reporter=reporter)
    return run.store.folder(LOGITS, inputs)


def objective(run: Run) -> Any:
    """The objective of a run whose recipe is resolved. Raises RecipeError, DataError where a parent is not there."""
    environment.require("torch")
    return run.recipe.objective.build(spec(run))


def parent(run: Run, name: str) -> tuple[Run, int | None]:
    """The run, and the step if one is named, of ``run:NAME`` or ``run:NAME@step`` beside ``run``."""
    found, _, step = name.removeprefix("run:").partition("@")
    if not name.startswith("run:") or not found or (step and not step.isdigit()):
        raise RecipeError(f"{name!r} names no run", where="objective", fix="write run:NAME or run:NAME@step")
    return Run.open(run.runs, found), int(step) if step else None


def parents(run: Run) -> dict[str, dict[str, Any]]:
    """The checkpoints that the objective learns from, or training starts from: for each name in the recipe, run, step
    and digest. Raises RecipeError for the run itself."""
    found, starts = {}, run.recipe.training.begun.values()
    for name in dict.fromkeys([*run.recipe.objective.parents(), *starts]):
        other, step = parent(run, name)
        if other.name == run.name:
            where, what = ("training.start", "start from") if name in starts else ("objective", "learn from")
            raise RecipeError(f"a run cannot {what} itself", where=where, fix="name another run")
        folder = _folder(other, step)
        sealed = sha256_file(folder / manifest.NAME)
        found[name] = {"run": other.name, "step": int(folder.name.removeprefix("step-")), "manifest_sha256": sealed}
    return found


def begin(run: Run, network: Any) -> None:
    """Gives a new run's network the weights of ``training.start``, upcycled where it alone has experts. Where it is cut
    up among processes, each reads its own parts (if ``begins_by_parts``).

    Raises RecipeError where the two do not fit, or the other run has another tokenizer.
    """
    from seedstock.models.parts import take
    from seedstock.models.upcycle import same, start
    from seedstock.training.state import load_weights

    if isinstance(run.recipe.training.start, dict):
        for part, name in run.recipe.training.start.items():
            own = getattr(network, part)
            take(own, _parent(run, name, "training.start", tokens=bool(own.vocab_size)), part, name)
        return
    if not begins_by_parts(run):
        start(network, _parent(run, run.recipe.training.start, "training.start"))
        return
    other, step = _other(run, run.recipe.training.start, "training.start")
    theirs, ours = (build(one.recipe, one.vocab_size, blank=True).state_dict() for one in (other, run))
    same(theirs, ours)
    load_weights(_folder(other, step), network)


def begins_by_parts(run: Run) -> bool:
    """Whether every first weight of a run is one tensor of a checkpoint, if of any: experts are made of MLPs."""
    start = run.recipe.training.start
    if not start or isinstance(start, dict):
        return not start
    models = run.recipe.model.resolved(), parent(run, start)[0].recipe.model.resolved()
    ours, theirs = (bool(getattr(model, "experts", None)) for model in models)
    return ours == theirs


def _parent(run: Run, name: str, where: str = "objective", *, tokens: bool = True) -> Any:
    """A frozen network of another run. Raises RecipeError where ``tokens`` are read by it, and not this run's."""
    found, _ = load(*_other(run, name, where, tokens=tokens))
    return found.requires_grad_(False)


def _other(run: Run, name: str, where: str, *, tokens: bool = True) -> tuple[Run, int | None]:
    """Another run, and the step if one is named. Raises RecipeError where its ``tokens`` are not this run's."""
    other, step = parent(run, name)
    tokenized = tokens and other.recipe.input.tokenized and run.recipe.input.tokenized
    if tokenized and other.tokenizer.fingerprint != run.tokenizer.fingerprint:
        raise RecipeError(
            f"{name} was trained with another tokenizer than this run's",
            where=where,
            fix=f"tokenizer: {{kind: imported, path: {other.stage_folder('tokenizer')}}}",
        )
    return other, step


def load(run: Run, step: int | None = None) -> tuple[Any, int]:
    """The network of a checkpoint (the newest one, or that of ``step``) and its step.

    Raises DataError where there is no such checkpoint, IntegrityError where it is damaged.
    """
    from seedstock.training.state import load_weights

    folder, network = _checkpoint(run, step)
    return network, load_weights(folder, network)


def load_nets(run: Run, step: int | None = None) -> tuple[Any, Any, int]:
    """Everything that was trained (``nets``), the objective that knows what to do with it, and the step."""
    from seedstock.objectives.base import assemble
    from seedstock.training.state import load_nets as read

    folder, network = _checkpoint(run, step)
    if getattr(run.recipe.objective, "latents", None) is not None:
        _beside(run)  # other latents are drawn by another autoencoder
    own = objective(run)
    nets = assemble(network, own).to(device()).eval()
    return nets, own, read(folder, dict(nets.items()))


def checkpoint_of(run: Run, step: int | None) -> int:
    """The step of the checkpoint that stands for the run (``Run.result``), or ``step``. Raises DataError where there is
    no such checkpoint."""
    steps = run.checkpoints
    if not steps or (step is not None and step not in steps):
        listed = ", ".join(map(str, steps))
        there = f"checkpoints there: {listed}" if steps else f"train first: `seedstock resume {run.name}`"
        raise DataError(
            f"there is no checkpoint{'' if step is None else f' of step {step}'}", where=run.folder, fix=there
        )
    if step is not None:
        return step
    result = run.result
    return result["step"] if result and result["step"] in steps else steps[-1]


def _checkpoint(run: Run, step: int | None) -> tuple[Path, Any]:
    """A checkpoint's folder, and a network that its weights fit."""
    environment.require("torch")
    import torch

    folder = _folder(run, step)
    network = build(run.recipe, run.vocab_size)
    network.eval()
    if run.recipe.training.precision == "bf16":
        network.use(torch.bfloat16)
    return folder, network


def _folder(run: Run, step: int | None) -> Path:
    return run.folder / "checkpoints" / f"step-{checkpoint_of(run, step):08d}"


def sample(run: Run, nets: Any, own: Any, *, prompt: str = "", tokens: int = 60, seed: int = 1, **options: Any) -> str:
    """A text from nets of the run and its objective, with its prompt."""
    tokenizer = run.tokenizer
    ids = [tokenizer.specials["bos"], *tokenizer.encode(prompt).tolist()]
    options = {"temperature": 0.8, "top_k": 50} | options
    specials = set(tokenizer.specials.values())
    ends = {tokenizer.specials["eos"], tokenizer.specials["im_end"]}
    written = own.generate(nets, ids, tokens, seed=seed, stop=ends, forbidden=specials - ends, **options)
    return tokenizer.decode([*ids[1:], *written])


def generate(run: Run, prompt: str = "", *, tokens: int = 120, step: int | None = None, **options: Any) -> str:
    """A text from a run's model: ``temperature``, ``top_k``, ``top_p``, ``seed`` as in models.generate; ``tag`` for an
    objective that has tags (None: none of them)."""
    nets, own, _ = load_nets(run, step)
    if "tag" in options and not own.tags:
        what = f"the objective {run.recipe.objective.kind} has no tags"
        raise SeedstockError(what, where=run.folder, fix="leave --tag out")
    try:
        if not run.recipe.input.tokenized:
            raise NotImplementedError
        return sample(run, nets, own, prompt=prompt, tokens=tokens, **options)
    except NotImplementedError:
        what = f"the objective {run.recipe.objective.kind} trains a model that writes no text"
        raise SeedstockError(what, where=run.folder, fix="`seedstock evaluate` shows what it does") from None


def exportable(run: Run) -> bool:
    """Whether a class of the ecosystem computes what the run's model does."""
    own = objective(run)
    if own.exports is None:
        return run.recipe.objective.export_class(run.recipe.model) is not None
    from seedstock.transfer.items import map_of

    return map_of(own, run.recipe.model) is not None


def export(run: Run, folder: Path, *, step: int | None = None) -> dict[str, Any]:
    """Writes a checkpoint as a folder that ``transformers`` loads; returns the parity report. What pictures or sounds
    are read as codes by is exported beside it, into ``pictures/`` or ``sounds/``; whose latents are drawn, into
    ``vae/``. Raises IntegrityError where that is no more what this run learnt from."""
    beside = _beside(run)
    report = _export(run, folder, step)
    if beside is None:
        return report
    name, other, number = beside
    try:
        found = export(Run.open(run.runs, other), Path(folder) / name, step=number)
        if name == "vae":
            _scaled(Path(folder) / name / "config.json", objective(run).latents.factor)
    except BaseException:
        shutil.rmtree(folder)
        raise
    return {**report, name: found}


def _beside(run: Run) -> tuple[str, str, int] | None:
    """What a model does not stand without: the folder's name, the run and the step, as they are on record. Raises
    IntegrityError where that checkpoint is gone or another one by now."""
    coded: Any = getattr(run.recipe.input, "coded", None)
    latents = getattr(run.recipe.objective, "latents", None)
    if latents is not None:
        name, stage, asked = "vae", "training", latents
    elif hasattr(coded, "run"):
        name, stage, asked = coded.field, "shards", coded.run
    else:
        return None
    records = [one["runs"] for one in run.chain.of("parents") if one.get("stage", "training") == stage]
    read = records[-1][asked]
    place = run.runs / read["run"] / "checkpoints" / f"step-{read['step']:08d}"
    if not manifest.is_sealed(place) or sha256_file(place / manifest.NAME) != read["manifest_sha256"]:
        what = f"the checkpoint of {asked} that {run.name} learnt from is gone, or another one by now"
        fix = f"bring it back as it was, or train anew: seedstock run {run.folder / 'recipe.yaml'} --name {run.name}-2"
        raise IntegrityError(what, where=place, fix=fix)
    return name, read["run"], read["step"]


def _scaled(path: Path, factor: float) -> None:
    """What latents are multiplied by, where diffusers looks for it."""
    from seedstock.ledger.files import read_json, write_json

    write_json(path, read_json(path) | {"scaling_factor": factor})


def _export(run: Run, folder: Path, step: int | None) -> dict[str, Any]:
    nets, own, _ = load_nets(run, step)
    return _write(run, nets, own, folder)


def average(run: Run, folder: Path, steps: Sequence[int]) -> dict[str, Any]:
    """Writes the mean of checkpoints' weights as ``export`` writes one checkpoint; returns its parity report.

    ``average.json`` beside it names the run, the steps and the checkpoints' manifests. Raises DataError where one is
    not there, or there are fewer than two.
    """
    from seedstock.ledger.files import write_json
    from seedstock.objectives.base import assemble
    from seedstock.training.averaging import load_mean

    folders = [run.folder / "checkpoints" / f"step-{checkpoint_of(run, step):08d}" for step in steps]
    own = objective(run)
    nets = assemble(_checkpoint(run, steps[-1] if steps else None)[1], own).to(device()).eval()
    found = load_mean(folders, dict(nets.items()))
    report = _write(run, nets, own, Path(folder))
    digests = {str(step): sha256_file(one / manifest.NAME) for step, one in zip(found, sorted(folders), strict=True)}
    write_json(Path(folder) / "average.json", {"run": run.name, "manifest_sha256": digests})
    return {**report, "steps": found}


def _write(run: Run, nets: Any, own: Any, folder: Path) -> dict[str, Any]:
    import torch

    from seedstock.transfer.export import export as write

    if own.exports is not None:
        from seedstock.transfer.items import export as write_items

        tokenizer = run.stage_folder("tokenizer") if run.recipe.input.tokenized else None
        return write_items(nets, own, Path(folder), tokenizer=tokenizer)
    network = nets["network"].use(torch.float32)
    if "class_head" in nets:
        return _export_classifier(run, nets, own, Path(folder))
    if network.config.kind == "embedding":
        return export_words(run, folder, network)
    if own.own_class:
        from seedstock.transfer.own import export as write_own

        options = {"mask_token_id": run.tokenizer.specials["mask"], "block": getattr(own.config, "block", None)}
        return write_own(network, run.stage_folder("tokenizer"), Path(folder), name=own.own_class, **options)
    return write(network, run.stage_folder("tokenizer"), Path(folder), nets=nets)


def _export_classifier(run: Run, nets: Any, own: Any, folder: Path) -> dict[str, Any]:
    from seedstock.transfer.finetune.export import export as write

    chosen = own.config.export_class(run.recipe.model)
    if chosen is None:
        what = f"no class of transformers asks a {run.recipe.model.shape} for a class as this head does"
        fix = "fine-tune it by objective: {kind: text-to-text}, or leave objective.pool out"
        raise SeedstockError(what, where="objective", fix=fix)
    return write(nets, own, chosen, run.stage_folder("tokenizer"), folder)


def export_words(run: Run, folder: Path, network: Any = None, *, step: int | None = None) -> dict[str, Any]:
    """Writes the vectors of words in the text format of word2vec; returns the parity report."""
    from seedstock.transfer.word2vec import export as write

    return write(network or load_nets(run, step)[0]["network"], run.tokenizer, Path(folder))


def export_shards(run: Run, folder: Path, *, reporter: Reporter | None = None) -> dict[str, Any]:
    """Writes a run's shards as Megatron's ``.bin`` and ``.idx`` files, with the ledger of their documents beside them.

    ``documents.parquet`` has id, split, source, domain, language, licence, bytes and tokens of each: no text, no URL.
    """
    import pyarrow.parquet as pq

    from seedstock.inputs.megatron import export as write
    from seedstock.release.facts.data import trained_table

    if run.recipe.input.kind != "tokens":
        what = f"its shards hold {run.recipe.input.unit}, and Megatron's files token ids"
        raise SeedstockError(what, where=run.folder, fix="read them by seedstock.Shards.open, one array a field")
    corpus, shards = run.stage_folder("corpus"), run.stage_folder("shards")

    def documents(partial: Path) -> None:
        pq.write_table(trained_table(corpus, shards), partial / "documents.parquet", compression="zstd")

    about = {"run": run.name, "head": run.chain.head}
    return write(run.shards, Path(folder), about=about, beside=documents, reporter=reporter)


def import_folder(folder: Path | str) -> dict[str, Any]:
    """Reads a folder that ``transformers`` wrote, or ``hf:OWNER/NAME[@REVISION]``; returns the parity report, with what
    was found, and of a checkpoint of the hub which commit and files it was."""
    from seedstock.transfer import hub
    from seedstock.transfer.importing import import_model

    if str(folder).startswith(hub.PREFIX):
        fetched = hub.fetch(str(folder))
        return {**import_folder(fetched.folder), "hub": fetched.record()}

    found = import_model(Path(folder))
    return {"parameters": sum(p.numel() for p in found.network.parameters()), **(found.report or {})}
