"""What a release carries so that its papers can be checked: records with ids and digests, without texts or places."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

from seedstock.ledger import manifest
from seedstock.ledger.files import read_json, write_json, write_text
from seedstock.ledger.ids import sha256_file
from seedstock.release.facts.data import PRIVATE
from seedstock.release.records import Records


def write(folder: Path, records: Records) -> None:
    """Fills ``evidence/``: chain, manifests, recipe, data plan, strata, and the documents by id and licence."""
    folder.mkdir()
    shutil.copyfile(records.chain.path, folder / "chain.jsonl")
    for name, entry in records.sealed.items():
        if entry.kind in ("stage", "checkpoint") and manifest.is_sealed(entry.path):
            _manifest(folder / "manifests", name, entry.path)
    write_text(folder / "recipe.yaml", _recipe(records.recipe))
    if plan := records.chain.last("plan"):
        write_json(folder / "plan.json", plan["plan"])
    write_json(folder / "strata.json", read_json(records.stage("corpus") / "strata.json"))
    _documents(folder / "documents.parquet", records)


def _manifest(folder: Path, name: str, sealed: Path) -> None:
    """A manifest without its inputs, which may name places on that machine; their digest names the folder."""
    known = manifest.read(sealed)
    record: dict[str, Any] = {"folder": name, "stage": known.stage, "files": known.files, "root": known.root}
    record |= {"tombstones": known.tombstones, "manifest_sha256": sha256_file(sealed / manifest.NAME)}
    write_json(folder / f"{name.removeprefix('.store/').replace('/', '-')}.json", record)


def _recipe(recipe: dict[str, Any]) -> str:
    """The resolved recipe, with the last part alone of every path on that machine."""
    from ruamel.yaml import YAML

    def public(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: public(inner, key if key == "decontaminate" else name) for name, inner in value.items()}
        if isinstance(value, list):
            return [public(inner, key) for inner in value]
        private = isinstance(value, str) and (key in PRIVATE or key == "decontaminate" or value.startswith(("/", "~")))
        return Path(value).name if private else value

    yaml, stream = YAML(typ="safe", pure=True), io.StringIO()
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.dump(public(recipe), stream)
    return stream.getvalue()


def _documents(path: Path, records: Records) -> None:
    """Every document of the shards: keyed id, split, stratum's names, licence, bytes of text and tokens."""
    import pyarrow.parquet as pq

    from seedstock.release.facts.data import trained_table

    table = trained_table(records.stage("corpus"), records.stage("shards"))
    pq.write_table(table, path, compression="zstd")
