"""A small folder of runs made by the real rooms: two corpora over the same documents, tokenizer, shards, two runs.

The texts are modules of the standard library, so they are real and on every machine.
"""

from __future__ import annotations

import json
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from seedstock.corpus import edits, tables
from seedstock.corpus.documents import schema
from seedstock.corpus.reader import Corpus
from seedstock.corpus.summary import summarise
from seedstock.inputs.plan import DataPlan
from seedstock.inputs.segments import Segment
from seedstock.inputs.shards import Shards
from seedstock.inputs.tokenizers import Tokenizer
from seedstock.inputs.tokenizers.config import BpeConfig
from seedstock.inputs.tokenizers.train import train
from seedstock.inputs.write import write
from seedstock.ledger import ids, manifest
from seedstock.ledger.chain import Chain
from seedstock.ledger.files import write_json
from seedstock.ledger.ids import sha256, sha256_file
from seedstock.ledger.store import Store
from seedstock.progress import Silent
from seedstock.provenance.close import close

KEY = bytes.fromhex("5e" * 32)
MODULES = ["bisect", "calendar", "cmd", "colorsys", "contextlib", "csv", "fnmatch", "glob", "heapq", "keyword", "queue"]
MODULES += ["quopri", "reprlib", "sched", "shlex", "stat", "string", "textwrap", "this", "token"]
HELD_OUT = {"keyword", "stat"}
DROPPED = {"heapq-copy"}
CONTEXT, BATCH = 64, 4


@dataclass
class Document:
    """One text of the corpus, and what was decided."""

    name: str
    text: str
    split: str
    decision: str
    cluster: int = -1
    id: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.id = ids.document_id(KEY, "modules", f"{self.name}.py", self.text.encode())

    @property
    def url(self) -> str:
        """Its page, or for some the page of all."""
        return "https://docs.python.org/3/library/" + (f"{self.name}.html" if self.name < "g" else "")


def documents() -> list[Document]:
    """Modules of the standard library, one of them twice with a change, as a near-duplicate."""
    folder = Path(sysconfig.get_path("stdlib"))
    texts = {name: (folder / f"{name}.py").read_text()[:6000] for name in MODULES}
    texts["heapq-copy"] = texts["heapq"].replace("heap", "pile", 1)
    found = []
    for name, text in sorted(texts.items()):
        dropped = name in DROPPED
        split = "" if dropped else "held_out" if name in HELD_OUT else "train"
        found.append(Document(name, text, split, "dropped" if dropped else "kept", 0 if "heapq" in name else -1))
    return found


def corpus(store: Store, held_out: float, found: list[Document]) -> Path:
    """Writes a corpus folder as docs/architecture.md says; two parts."""
    inputs = {"corpus": {"held_out": held_out}}
    with store.build("corpus", inputs) as folder:
        half = len(found) // 2
        for number, rows in enumerate((found[:half], found[half:])):
            _part(folder, tables.part(number), rows)
        twins = [one for one in found if one.cluster >= 0]
        clusters = {"id": [one.id for one in twins], "cluster": [one.cluster for one in twins]}
        clusters |= {"representative": [one.decision != "dropped" for one in twins], "size": [len(twins)] * len(twins)}
        tables.write(folder / "clusters.parquet", pa.table(clusters | {"kind": ["minhash"] * len(twins)}))
        strata = {"stratum": 0, "source": "modules", "domain": "code", "language": "en"}
        for name, split in (("", "train"), ("held_out_", "held_out")):
            own = [one for one in found if one.split == split]
            strata |= {f"{name}documents": len(own), f"{name}bytes": sum(len(one.text.encode()) for one in own)}
        write_json(folder / "strata.json", [strata])
        quoted = found[0].text.splitlines()[0]
        broken = {
            "source": "modules",
            "locator": f"{found[0].name}.py",
            "phase": "filter",
            "reason": f"failed at {quoted}",
        }
        (folder / "quarantine.jsonl").write_text(json.dumps(broken) + "\n")
        write_json(folder / "summary.json", summarise(folder))
        (folder / "report.html").write_text("<p>samples: " + " ".join(f"<q>{one.text[:200]}</q>" for one in found))
    return store.folder("corpus", inputs)


def _part(folder: Path, part: str, rows: list[Document]) -> None:
    columns = {
        "id": [one.id for one in rows],
        "source": ["modules"] * len(rows),
        "locator": [f"{one.name}.py" for one in rows],
        "url": [one.url for one in rows],
        "licence": ["PSF-2.0"] * len(rows),
        "licence_evidence": ["LICENSE.txt"] * len(rows),
        "domain": ["code"] * len(rows),
        "language": [None] * len(rows),
        "title": [one.name for one in rows],
        "meta": [json.dumps({"module": one.name}) for one in rows],
        "raw_sha256": [bytes.fromhex(sha256(one.text.encode())) for one in rows],
        "text_sha256": [bytes.fromhex(sha256(one.text.encode())) for one in rows],
        "bytes": [len(one.text.encode()) for one in rows],
        "text": [one.text for one in rows],
    }
    tables.write(folder / "documents" / part, pa.table(columns, schema=schema()))
    spans = pa.list_(pa.struct([("start", pa.int64()), ("end", pa.int64())]))
    first = pa.array([[{"start": 0, "end": 5}] for _ in rows], spans)
    signal = {"text_sha256": columns["text_sha256"], "first": [one.text[:60] for one in rows], "spans": first}
    tables.write(folder / "signals/opening@1" / part, pa.table(signal))
    decided = {
        "id": columns["id"],
        "decision": [one.decision for one in rows],
        "phase": ["dedup" if one.decision == "dropped" else "" for one in rows],
        "step": ["minhash" if one.decision == "dropped" else "" for one in rows],
        "reason": ["" for _ in rows],
        "cluster": [one.cluster for one in rows],
        "split": [one.split for one in rows],
        "stratum": [-1 if one.decision == "dropped" else 0 for one in rows],
        "language": ["en"] * len(rows),
    }
    kinds = {"id": pa.binary(16), "cluster": pa.int64(), "stratum": pa.int32()}
    decisions = pa.schema([(name, kinds.get(name, pa.string())) for name in decided])
    tables.write(folder / "decisions" / part, pa.table(decided, schema=decisions))
    changed = [{"id": one.id, "start": 0, "end": 5, "kind": "emails", "replacement": one.text[:5]} for one in rows]
    tables.write(folder / "edits" / part, pa.Table.from_pylist(changed, schema=edits.schema()))


@dataclass
class Small:
    """The folder of runs, and what lies in it."""

    runs: Path
    documents: list[Document]
    run: Path
    other: Path

    def document(self, name: str) -> Document:
        """A document by the name of its module."""
        return next(one for one in self.documents if one.name == name)

    @property
    def chain(self) -> Chain:
        """The first run's chain."""
        return Chain(self.run / "ledger/chain.jsonl")

    def folder(self, stage: str) -> Path:
        """Where a stage of the first run lies."""
        return next(self.runs / body["folder"] for body in self.chain.of("stage") if body["stage"] == stage)

    @property
    def shards(self) -> Shards:
        """The first run's shards."""
        return Shards(self.folder("shards"))


def make(runs: Path) -> Small:
    """Two runs share a tokenizer and nearly all documents; the second has a corpus of its own, and is still open."""
    found, store = documents(), Store(runs)
    names = {}
    tokenizer = None
    for name, held_out in (("first", 0.1), ("second", 0.2)):
        folder = corpus(store, held_out, found if name == "first" else found[:-1])
        tokenizer = tokenizer or train(
            BpeConfig(vocab_size=512), Corpus(folder), seed=1, store=store, reporter=Silent()
        )
        shards = write(Corpus(folder), Tokenizer(tokenizer), store=store, reporter=Silent(), file_bytes=6_001)
        names[name] = _run(runs, name, {"corpus": folder, "tokenizer": tokenizer, "shards": shards}, found)
    close(names["first"])
    return Small(runs, found, names["first"], names["second"])


def _run(runs: Path, name: str, stages: dict[str, Path], found: list[Document]) -> Path:
    run = runs / name
    run.mkdir(parents=True)
    (run / "recipe.yaml").write_text(f"name: {name}\nseed: 1\n")
    chain = Chain(run / "ledger/chain.jsonl")
    chain.append("run", {"name": name, "sections": {}, "environment": {}})
    for stage, folder in stages.items():
        record(chain, "stage", folder, folder.relative_to(runs).as_posix(), stage=stage)
    shards = Shards(stages["shards"])
    tokens = {item.stratum: item.tokens for item in shards.strata("train")}
    plan = DataPlan(tokens, [Segment(0, dict.fromkeys(tokens, 1.0), CONTEXT, BATCH)], seed=1)
    chain.append("plan", {"plan": plan.to_json(), "fingerprint": plan.fingerprint})
    for step in (5, 10, 20):
        folder = run / f"checkpoints/step-{step:08d}"
        folder.mkdir(parents=True)
        np.save(folder / "model.npy", np.full(100, step))
        write_json(folder / "state.json", {"step": step})
        manifest.seal(folder, "checkpoint", {"step": step})
        body = {"step": step, "example": step * BATCH, "digest": sha256(str(step).encode())}
        record(chain, "checkpoint", folder, folder.relative_to(run).as_posix(), **body)
    (run / "checkpoints/latest").write_text("step-00000020\n")
    lines = [{"event": "sample", "text": f"so it wrote: {one.text[50:250]}"} for one in found]
    (run / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    write_json(run / "evaluation/scores.json", {"bits_per_byte": 2.5, "worst": [one.text[100:300] for one in found]})
    (run / "release").mkdir()
    (run / "release/README.md").write_text("# Model\n\n" + "\n\n".join(one.text[300:500] for one in found))
    manifest.seal(run / "release", "release", {})
    record(chain, "release", run / "release", "release")
    return run


def record(chain: Chain, kind: str, path: Path, folder: str, **more: object) -> None:
    """Appends the record of a sealed folder."""
    body = {"folder": folder, "manifest_sha256": sha256_file(path / manifest.NAME), "root": manifest.read(path).root}
    chain.append(kind, body | more)
