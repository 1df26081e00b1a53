"""The end of a command on a run: a record of every file that no other record covers, and of where the chain ends.

Records cut off the end of a chain leave no trace in the chain itself. So ``ledger/head.json`` says how many records
there are and what the last one's digest is: ``verify`` compares the two byte for byte. Whoever can write to all files
of a run can forge both; against that stands a head that was noted elsewhere (it is printed, and a release carries it
in its papers), which ``verify(run, head=…)`` looks for.
"""

from __future__ import annotations

from pathlib import Path

from seedstock.ledger.canonical import canonical
from seedstock.ledger.chain import Chain
from seedstock.ledger.files import write_bytes
from seedstock.ledger.ids import sha256_file
from seedstock.provenance.sealed import CHAIN, HEAD, sealed


def head_bytes(records: int, digest: str) -> bytes:
    """What ``ledger/head.json`` holds: one spelling, so that every changed byte shows."""
    return canonical({"format": 1, "records": records, "head": digest}) + b"\n"


def loose_files(run_folder: Path, chain: Chain) -> list[str]:
    """The files of a run that neither the chain nor a sealed folder covers, as relative paths, sorted."""
    inside = [entry.path for entry in sealed(run_folder, chain.records)[0].values()]
    found = []
    for path in run_folder.rglob("*"):
        name = path.relative_to(run_folder).as_posix()
        if path.is_file() and name not in (CHAIN, HEAD) and not any(folder in path.parents for folder in inside):
            found.append(name)
    return sorted(found)


def is_closed(chain: Chain) -> bool:
    """Whether nothing happened to a run since it was closed."""
    return bool(chain.records) and chain.records[-1]["kind"] == "closed"


def close(run_folder: Path, chain: Chain | None = None) -> str:
    """Closes a run and returns the head of its chain. Nothing may be written into the run folder afterwards.

    The record ``closed`` holds the SHA-256 of every loose file, and which recorded checkpoints are no longer there
    (retention removes old ones). Closing a closed run again changes nothing where no file has changed.
    """
    run_folder = Path(run_folder)
    chain = chain or Chain(run_folder / CHAIN)
    folders = sealed(run_folder, chain.records)[0]
    body = {
        "files": {name: sha256_file(run_folder / name) for name in loose_files(run_folder, chain)},
        "removed": sorted(
            name for name, entry in folders.items() if entry.kind == "checkpoint" and not entry.path.exists()
        ),
    }
    if not (is_closed(chain) and chain.records[-1]["body"] == body):
        chain.append("closed", body)
    ending = head_bytes(len(chain.records), chain.head)
    head = run_folder / HEAD
    if not head.is_file() or head.read_bytes() != ending:
        write_bytes(head, ending)
    return chain.head
