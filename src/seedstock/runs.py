"""One run's folder: its recipe, its chain, and the stages that it has done."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from seedstock import native
from seedstock import recipe as recipes
from seedstock.corpus.config import CorpusConfig
from seedstock.errors import DataError, IntegrityError, SeedstockError, nearest
from seedstock.ledger import manifest
from seedstock.ledger.chain import Chain
from seedstock.ledger.files import plain_errors, read_json, write_text
from seedstock.ledger.ids import digest, sha256, sha256_file
from seedstock.ledger.locks import locked
from seedstock.ledger.store import Store
from seedstock.training.configs.training import TrainingConfig

CHANGEABLE = ("evaluation", "release")
"""Sections of a recipe that may change over a run's life; the others make it another run."""


class Run:
    """A run: ``folder`` in ``runs``, and the ``store`` that it shares with the runs beside it."""

    def __init__(self, runs: Path, name: str) -> None:
        self.runs, self.name, self.folder = Path(runs), name, Path(runs) / name
        self.store = Store(self.runs)
        self.chain = Chain(self.folder / "ledger" / "chain.jsonl")

    @classmethod
    def open(cls, runs: Path | str, name: str) -> Run:
        """A run that exists. Raises SeedstockError, naming the ones that do, where it does not."""
        runs = Path(runs)
        if not (runs / name / "recipe.yaml").is_file():
            known = sorted(path.parent.name for path in runs.glob("*/recipe.yaml"))
            close = nearest(name, known)
            hint = f"did you mean {close!r}? " if close else ""
            listed = f"Runs there: {', '.join(known)}" if known else "There are no runs there yet: `seedstock demo`"
            raise SeedstockError("there is no such run", where=runs / name, fix=f"{hint}{listed}")
        return cls(runs, name)

    @classmethod
    def begin(cls, recipe: Any, runs: Path | str) -> Run:
        """The run of a recipe, new or gone on with. Raises SeedstockError where its folder belongs to another one."""
        run = cls(Path(runs), recipe.name)
        asked = sections(recipe)
        recorded = run.chain.last("run")
        known = recorded["sections"] if recorded else {}  # a section that recipes did not have then says nothing
        changed = [name for name in asked if name not in CHANGEABLE and known.get(name, asked[name]) != asked[name]]
        # Where no stage was done yet, most often because of a mistake in the recipe, the mended one takes its place.
        if recorded is None or (changed and next(run.chain.of("stage"), None) is None):
            text = recipes.dump(recipe, defaults=False)  # the dial fills the rest
            write_text(run.folder / "recipe.yaml", text)
            body = {"name": recipe.name, "sections": asked, "environment": environment()}
            run.chain.append("run", {**body, "sha256": sha256(text.encode())})
            return run
        if changed:
            raise SeedstockError(
                f"this run folder belongs to another recipe: {', '.join(changed)} differ",
                where=run.folder,
                fix="give this recipe a run of its own with --name (stages that are the same are not done again), or "
                f"go on with the other one: `seedstock resume {recipe.name}`",
            )
        run.check_recipe()
        kept = run.recipe.model_copy(update={name: getattr(recipe, name) for name in CHANGEABLE})
        for section in ("corpus", "training"):
            asked_of, held = getattr(recipe, section), getattr(kept, section)
            how = {name: getattr(asked_of, name) for name in held.how}
            kept = kept.model_copy(update={section: held.model_copy(update=how)})
        if kept != run.recipe:
            run.rewrite(kept)
        return run

    @cached_property
    def recipe(self) -> Any:
        """The recipe as resolved so far."""
        return recipes.load(self.folder / "recipe.yaml")

    def rewrite(self, recipe: Any, *, resolved: bool | None = None) -> None:
        """Records the digest of the run's new recipe, then replaces the file.

        Until it is ``resolved`` (by default: as it was), the file holds what was set, and the dial fills the rest.
        """
        if resolved is None:
            resolved = any(body.get("resolved") for body in self.chain.of("recipe"))
        text = recipes.dump(recipe, defaults=resolved)
        self.chain.append("recipe", {"sha256": sha256(text.encode()), "resolved": resolved})
        write_text(self.folder / "recipe.yaml", text)
        self.__dict__["recipe"] = recipe

    def check_recipe(self) -> None:
        """Raises IntegrityError where ``recipe.yaml`` is not what was recorded.

        The one before the last is accepted too: a crash may come between the record and the file.
        """
        bodies = [record["body"] for record in self.chain.records if record["kind"] in ("run", "recipe")]
        known = [body["sha256"] for body in bodies if "sha256" in body]
        if known and sha256_file(self.folder / "recipe.yaml") not in known[-2:]:
            raise IntegrityError(
                "the run's recipe was changed after it was recorded",
                where=self.folder / "recipe.yaml",
                fix="restore it, or give the changed recipe a run of its own: `seedstock run FILE --name NAME`",
            )

    def lock(self) -> contextlib.AbstractContextManager[None]:
        """One command at a time works on a run."""
        return lock(self.runs, self.name)

    # What the chain knows of the stages.

    def record_stage(self, stage: str, folder: Path) -> bool:
        """Records a sealed folder of the store; returns whether that is news."""
        name = folder.relative_to(self.runs).as_posix()
        body = {
            "stage": stage,
            "folder": name,
            "manifest_sha256": sha256_file(folder / manifest.NAME),
            "root": manifest.read(folder).root,
        }
        if self._stage(stage) == body:
            return False
        self.chain.append("stage", body)
        return True

    def _stage(self, stage: str) -> dict[str, Any] | None:
        """The newest record of a stage, with what tombstones made of its folder since."""
        found: dict[str, Any] | None = None
        for record in self.chain.records:
            body = record["body"]
            if record["kind"] == "stage" and body["stage"] == stage:
                found = dict(body)
            elif record["kind"] == "tombstone" and found and body["folder"] == found["folder"]:
                found |= {"manifest_sha256": body["new"]["manifest_sha256"], "root": body["new"]["root"]}
        return found

    def has_stage(self, stage: str) -> bool:
        """Whether a stage is on record."""
        return self._stage(stage) is not None

    def stage_folder(self, stage: str) -> Path:
        """The folder of a stage that is done. Raises DataError where it is not."""
        body = self._stage(stage)
        if body is None:
            raise DataError(
                f"this run has no {stage} yet", where=self.folder, fix=f"`seedstock resume {self.name}` goes on"
            )
        return self.runs / body["folder"]

    @cached_property
    def corpus(self) -> Any:
        """The corpus reader."""
        from seedstock.corpus.reader import Corpus

        return Corpus(self.stage_folder("corpus"))

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer. Raises SeedstockError where the input has no tokens."""
        from seedstock.inputs.tokenizers.tokenizer import Tokenizer

        if not self.recipe.input.tokenized:
            what = f"this run has no tokenizer: it learns from {self.recipe.input.unit}"
            raise SeedstockError(what, where=self.folder, fix="ask it by --step, --document or --url")

        return Tokenizer(self.stage_folder("tokenizer"))

    @property
    def tokenizer_report(self) -> dict[str, Any]:
        """What was measured of the tokenizer on this corpus."""
        return read_json(self.stage_folder("tokenizer") / "report.json")

    @cached_property
    def shards(self) -> Any:
        """The shard reader."""
        from seedstock.inputs.shards import Shards

        return Shards.open(self.stage_folder("shards"))

    @property
    def vocab_size(self) -> int:
        """The tokenizer's; 0 where the input has no tokens."""
        return self.tokenizer.vocab_size if self.recipe.input.tokenized else 0

    @cached_property
    def plan(self) -> Any:
        """The data plan, as recorded."""
        from seedstock.inputs.plan import DataPlan

        record = self.chain.last("plan")
        if record is None:
            raise DataError("this run has no data plan yet", where=self.folder, fix=f"`seedstock resume {self.name}`")
        return DataPlan.from_json(record["plan"])

    def summary(self) -> dict[str, Any]:
        """What there is to say of the run in one JSON object."""
        trained, evaluation = self.chain.last("trained"), self.chain.last("evaluation")
        stages = [body["stage"] for body in self.chain.of("stage")]
        return {
            "run": self.name,
            "folder": str(self.folder),
            "stages": list(dict.fromkeys(stages)),
            "steps": self.steps_done,
            "training": trained,
            "held_out": evaluation["held_out"] if evaluation else None,
            "release": str(self.folder / "release") if self.chain.last("release") else None,
            "head": self.chain.head,
        }

    @property
    def checkpoints(self) -> list[int]:
        """The steps of the checkpoints that are there."""
        folder = self.folder / "checkpoints"
        return sorted(int(path.name.removeprefix("step-")) for path in folder.glob("step-*") if path.is_dir())

    @property
    def identity(self) -> dict[str, str]:
        """The digests of the sections of the recipe that make this run what it is, as it was asked for."""
        asked = (self.chain.last("run") or {})["sections"]
        return {name: value for name, value in asked.items() if name not in CHANGEABLE}

    @property
    def checkpoint(self) -> dict[str, Any] | None:
        """The record of the newest checkpoint that is there."""
        records = reversed(list(self.chain.of("checkpoint")))
        return next((body for body in records if (self.folder / body["folder"]).is_dir()), None)

    @property
    def result(self) -> dict[str, Any] | None:
        """The record of the checkpoint that stands for the run: the one that was chosen on validation, where one was
        (``chosen``) since the last attempt, else the newest."""
        chosen = None
        for record in self.chain.records:
            if record["kind"] in ("attempt", "rewound"):
                chosen = None
            elif record["kind"] == "chosen":
                chosen = record["body"]["manifest_sha256"]
        found = (body for body in self.chain.of("checkpoint") if body["manifest_sha256"] == chosen)
        there = [body for body in found if (self.folder / body["folder"]).is_dir()]
        return there[-1] if there else self.checkpoint

    @property
    def steps_done(self) -> int:
        """The step of the newest checkpoint that is on record and there."""
        return self.checkpoint["step"] if self.checkpoint else 0


@contextlib.contextmanager
def lock(runs: Path, name: str) -> Iterator[None]:
    """Holds the lock of a run, which may not exist yet. Raises SeedstockError where another command holds it."""
    with plain_errors(runs):
        runs.mkdir(parents=True, exist_ok=True)
    busy = SeedstockError("another command is working on this run", where=runs / name, fix="wait for it to end")
    with (runs / f".{name}.lock").open("w") as file, locked(file, busy):
        yield


def sections(recipe: Any) -> dict[str, str]:
    """The digest of each section of a recipe."""
    values = recipe.model_dump(mode="json")
    values.pop("name")
    for section, config in (("corpus", CorpusConfig), ("training", TrainingConfig)):
        for name in config.how:
            values[section].pop(name, None)
    return {name: digest(value) for name, value in values.items()}


def environment() -> dict[str, str]:
    """Versions that results depend on; no host or user names."""
    from importlib import metadata

    found = {"python": platform.python_version(), "system": platform.system(), "machine": platform.machine()}
    for package in ("seedstock", "torch", "numpy", "tokenizers", "pyarrow", "transformers"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found | {"kernels": native.described()}
