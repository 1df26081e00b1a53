"""A run's records, as the papers of a release read them."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from seedstock.errors import DataError
from seedstock.ledger.chain import Chain
from seedstock.ledger.files import read_json
from seedstock.provenance.sealed import CHAIN, Sealed, sealed
from seedstock.release.config import ReleaseConfig


class Records:
    """The recipe as resolved, the chain, and the folders that it names. Nothing here needs torch."""

    def __init__(self, run_folder: Path, chain: Chain | None = None) -> None:
        self.folder = Path(run_folder)
        self.chain = chain or Chain(self.folder / CHAIN)

    @cached_property
    def recipe(self) -> dict[str, Any]:
        """``recipe.yaml`` as plain values."""
        from ruamel.yaml import YAML

        path = self.folder / "recipe.yaml"
        if not path.is_file():
            raise DataError("there is no run here", where=self.folder, fix="name a run's folder")
        return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))

    @cached_property
    def config(self) -> ReleaseConfig:
        """What a person said in the recipe's ``release`` part."""
        return ReleaseConfig(**self.recipe.get("release") or {})

    @cached_property
    def sealed(self) -> dict[str, Sealed]:
        """The sealed folders by their recorded names."""
        return sealed(self.folder, self.chain.records)[0]

    def stage(self, name: str) -> Path:
        """The newest folder of a stage. Raises DataError where the run has none."""
        found = [entry.path for entry in self.sealed.values() if entry.kind == "stage" and entry.stage == name]
        if not found:
            raise DataError(f"this run has no {name} yet", where=self.folder, fix="`seedstock resume` goes on with it")
        return found[-1]

    @cached_property
    def checkpoint(self) -> dict[str, Any]:
        """The record of the checkpoint that was chosen, else of the newest that is there, with its ``path``.

        Raises DataError where none is.
        """
        chosen = None
        for record in self.chain.records:
            if record["kind"] in ("attempt", "rewound", "chosen"):
                chosen = record["body"].get("manifest_sha256") if record["kind"] == "chosen" else None
        for body in self.chain.of("checkpoint"):
            if body["manifest_sha256"] == chosen and (self.folder / body["folder"]).is_dir():
                return {**body, "path": self.folder / body["folder"]}
        for entry in reversed(self.sealed.values()):
            if entry.kind == "checkpoint" and entry.path.is_dir():
                own = (body for body in self.chain.of("checkpoint") if self.folder / body["folder"] == entry.path)
                return {**list(own)[-1], "path": entry.path}
        raise DataError("this run has no checkpoint yet", where=self.folder, fix="`seedstock resume` goes on with it")

    def evaluation(self, name: str) -> dict[str, Any] | None:
        """A JSON file of ``evaluation/``, or None where it is not there."""
        path = self.folder / "evaluation" / name
        return read_json(path) if path.is_file() else None
