"""Does every file of a run say what it said when it was recorded?"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from seedstock.errors import IntegrityError
from seedstock.ledger import forgotten, manifest
from seedstock.ledger.chain import Chain
from seedstock.ledger.ids import sha256_file
from seedstock.progress import Reporter, Silent
from seedstock.provenance.close import head_bytes, is_closed, loose_files
from seedstock.provenance.sealed import CHAIN, HEAD, Sealed, sealed


@dataclass(frozen=True)
class Problem:
    """One finding: the file, and what is wrong with it."""

    file: str
    what: str

    def __str__(self) -> str:
        return f"{self.file}: {self.what}"


class Findings(list[Problem]):
    """The problems of a run (none: the list is empty), and what was checked.

    ``checked`` counts records, folders and files; ``closed`` tells whether the run has ended, so that every file of
    its folder is covered; ``notes`` say what is not a problem but worth knowing; ``head`` is the chain's head, to be
    noted somewhere else.
    """

    def __init__(self) -> None:
        super().__init__()
        self.checked = {"records": 0, "folders": 0, "files": 0}
        self.closed = False
        self.notes: list[str] = []
        self.head = ""

    def add(self, file: object, what: str) -> None:
        """Adds a problem."""
        self.append(Problem(str(file), what))


def verify(run_folder: Path, head: str | None = None, reporter: Reporter | None = None) -> Findings:
    """Every difference between a run (with the store folders that it uses) and its records.

    ``head`` is a chain head that was noted earlier, in another place: the chain must still hold it. Of a run that was
    not closed, or that went on since, the sealed folders are checked and the loose files are not.
    """
    run_folder, findings = Path(run_folder), Findings()
    chain = _chain(run_folder, findings)
    if chain is None:
        return findings
    findings.closed, findings.head = is_closed(chain), chain.head
    _head(run_folder, chain, findings)
    if head is not None and head not in {record["digest"] for record in chain.records}:
        findings.add(chain.path, "does not hold the head that was noted elsewhere: records were removed or rewritten")
    folders, breaks = sealed(run_folder, chain.records)
    for text in breaks:
        findings.add(chain.path, text)
    _forgotten(run_folder, chain, findings)
    closed = chain.last("closed") if findings.closed else None
    gone = closed["removed"] if closed is not None else _retired(folders)
    if closed is None and any(not folders[name].path.exists() for name in gone):
        findings.notes.append(
            "older checkpoints are gone, as retention removes them; nothing says so until it is closed"
        )
    with (reporter or Silent()).bar("verify", len(folders), "folders") as bar:
        for name, entry in folders.items():
            if entry.path.exists() or name not in gone:
                _folder(entry, findings)
            bar.advance()
    if closed is not None:
        findings.checked["files"] += len(closed["files"])
        findings += loose_problems(run_folder, chain, closed["files"])
    else:
        findings.notes.append("the run is open: its events, evaluation and recipe are covered when it is closed")
    return findings


def _chain(run_folder: Path, findings: Findings) -> Chain | None:
    path = run_folder / CHAIN
    if not path.is_file():
        findings.add(path, "missing: nothing says what this run should be")
        return None
    try:
        chain = Chain(path)
    except IntegrityError as error:
        findings.add(
            path,
            f"line {error.where.rpartition(':')[2]}: {error.what}; nothing else can be judged by it"
            if error.where
            else error.what,
        )
        return None
    findings.checked["records"] = len(chain.records)
    return chain


def _head(run_folder: Path, chain: Chain, findings: Findings) -> None:
    """The end of the chain, which the chain cannot vouch for itself."""
    path = run_folder / HEAD
    if not path.is_file():
        if any(record["kind"] == "closed" for record in chain.records):
            findings.add(path, "missing: the run was closed and had one (run its last command again)")
        elif chain.torn:
            findings.notes.append("the chain's last record was cut off while it was written; the next one replaces it")
        return
    findings.checked["files"] += 1
    data = path.read_bytes()
    try:
        count = int(json.loads(data)["records"])
    except (ValueError, KeyError, TypeError):
        findings.add(path, "not readable")
        return
    if count > len(chain.records):
        findings.add(chain.path, f"{count - len(chain.records)} records are missing at its end")
    elif count < 1 or data != head_bytes(count, chain.records[count - 1]["digest"]):
        findings.add(path, "does not name a record of the chain")
    elif count < len(chain.records) and findings.closed:
        findings.add(path, "older than the chain: closing was cut off (run the last command again)")
    elif chain.torn and count == len(chain.records):
        findings.add(chain.path, "there are bytes after its last record")


def _retired(folders: dict[str, Sealed]) -> list[str]:
    """The checkpoints that retention may have taken: all but the newest."""
    return [name for name, entry in folders.items() if entry.kind == "checkpoint"][:-1]


def _folder(entry: Sealed, findings: Findings) -> None:
    """A sealed folder against its manifest, and the manifest against the chain."""
    path = entry.path / manifest.NAME
    findings.checked["folders"] += 1
    if not path.is_file():
        findings.add(path, f"missing: the {entry.stage} that the chain names is gone or not whole")
    elif sha256_file(path) != entry.manifest_sha256:
        findings.add(path, "is not the manifest that the chain names; its files cannot be judged by it")
    else:
        findings.checked["files"] += len(manifest.read(entry.path).files) + 1
        for text in manifest.problems(entry.path):
            file, _, what = text.rpartition(": ")
            findings.add(file, what)
        if manifest.read(entry.path).root != entry.root:
            findings.add(path, "its root is not the one that the chain names")


def _forgotten(run_folder: Path, chain: Chain, findings: Findings) -> None:
    """The list from which later builds know what to leave out."""
    path = run_folder.parent / ".store" / "forgotten.jsonl"
    tombstones = list(chain.of("tombstone"))
    try:
        known = forgotten.read(run_folder.parent) if tombstones else {}
    except IntegrityError as error:
        findings.add(path, error.what)
        return
    for body in tombstones:
        lost = [one for one in body["ids"] if bytes.fromhex(one) not in known]
        if lost:
            findings.add(path, f"does not list {len(lost)} documents that were forgotten: a new build would take them")
    if (run_folder.parent / ".store" / "forget.json").is_file():
        findings.notes.append("a forget was cut off: the next one completes it")


def loose_problems(run_folder: Path, chain: Chain, recorded: dict[str, str]) -> list[Problem]:
    """The loose files of a run folder against the record that closed the run."""
    found = []
    for name, digest in recorded.items():
        if not (run_folder / name).is_file():
            found.append(Problem(str(run_folder / name), "missing"))
        elif sha256_file(run_folder / name) != digest:
            found.append(Problem(str(run_folder / name), "its digest is not the recorded one"))
    for name in loose_files(run_folder, chain):
        if name not in recorded:
            found.append(Problem(str(run_folder / name), "not in the records of the run"))
    return found
