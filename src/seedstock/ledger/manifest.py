"""Sealed folders: a manifest of every file's digest, and the check that nothing changed since."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from seedstock.errors import IntegrityError
from seedstock.ledger import merkle
from seedstock.ledger.files import read_json, write_json
from seedstock.ledger.ids import sha256_file

FORMAT = 1
NAME = "manifest.json"


@dataclass(frozen=True)
class Manifest:
    """What a sealed folder holds: ``files`` maps a relative path to its size in bytes and SHA-256."""

    stage: str
    inputs: dict[str, Any]
    files: dict[str, dict[str, Any]]
    root: str
    tombstones: list[dict[str, Any]] = field(default_factory=list)

    @property
    def origin(self) -> str:
        """The root as it was first built: what is made from a folder keeps its name when a document is erased."""
        return self.tombstones[0]["old_root"] if self.tombstones else self.root


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / NAME)


def seal(folder: Path, stage: str, inputs: dict[str, Any], tombstones: list[dict[str, Any]] | None = None) -> Manifest:
    """Digests every file below ``folder`` and writes its manifest, atomically; the folder then counts as whole."""
    files: dict[str, dict[str, Any]] = {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": sha256_file(path)}
        for path in _files(folder)
    }
    root = merkle.root((name, entry["sha256"]) for name, entry in files.items())
    record = {"format": FORMAT, "stage": stage, "inputs": inputs, "files": files, "root": root}
    write_json(folder / NAME, record | {"tombstones": tombstones or []})
    return Manifest(stage, inputs, files, root, tombstones or [])


def amend(folder: Path, changed: list[str], tombstone: dict[str, Any]) -> Manifest:
    """Seals a folder again of which only the files ``changed`` were rewritten on purpose, and says why.

    The other entries stay as they were, so that damage to other files is not sealed over.
    """
    old = read(folder)
    files = dict(old.files)
    for name in changed:
        path = folder / name
        files.pop(name, None)
        if path.is_file():
            files[name] = {"bytes": path.stat().st_size, "sha256": sha256_file(path)}
    root = merkle.root((name, entry["sha256"]) for name, entry in files.items())
    new = Manifest(old.stage, old.inputs, files, root, [*old.tombstones, tombstone])
    write_json(folder / NAME, {"format": FORMAT, **asdict(new)})
    return new


def is_sealed(folder: Path) -> bool:
    """Whether a folder is whole: its manifest is the last thing written."""
    return (folder / NAME).is_file()


def read(folder: Path) -> Manifest:
    """Reads a manifest. Raises IntegrityError where it is missing, damaged or of a later format."""
    record = read_json(folder / NAME)
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise IntegrityError("unknown manifest format", where=folder / NAME, fix="use a newer Seedstock")
    try:
        return Manifest(*(record[key] for key in ("stage", "inputs", "files", "root", "tombstones")))
    except KeyError as error:
        raise IntegrityError(f"the manifest lacks {error}", where=folder / NAME, fix="build this stage again") from None


def problems(folder: Path) -> list[str]:
    """Every difference between a sealed folder and its manifest, each naming the file; empty where all is well."""
    manifest = read(folder)
    found = []
    present = {path.relative_to(folder).as_posix() for path in _files(folder)}
    for name, entry in manifest.files.items():
        if name not in present:
            found.append(f"{folder / name}: missing")
        elif (folder / name).stat().st_size != entry["bytes"]:
            found.append(f"{folder / name}: {(folder / name).stat().st_size} bytes, {entry['bytes']} recorded")
        elif sha256_file(folder / name) != entry["sha256"]:
            found.append(f"{folder / name}: its digest is not the recorded one")
    found += [f"{folder / name}: not in the manifest" for name in sorted(present - manifest.files.keys())]
    if merkle.root((name, entry["sha256"]) for name, entry in manifest.files.items()) != manifest.root:
        found.append(f"{folder / NAME}: its root does not follow from its entries")
    return found
