"""How fast the loader is: tokens a second on one core, time to seek, bytes of ledger a document.

    python benchmarks/loader.py [--shards FOLDER] [--json]
    python benchmarks/loader.py --run runs/quickstart

Without ``--shards`` it builds shards of this machine's Python standard library (8,192 BPE tokens). Tokens a second
count everything that training gets, in one thread: windows with documents and positions, digests, and the step's
digest; per second of CPU time, so that other work on the machine does not enter. Seeking is a batch of a random step
with nothing located yet; opening reads the index, makes the plan and gives the first batch. ``--run`` says instead what
share of its steps' time a run that was trained waited for its batches.
"""

from __future__ import annotations

import argparse
import json
import sysconfig
import tempfile
import time
from pathlib import Path

import numpy as np

from seedstock.inputs.config import MixtureConfig
from seedstock.inputs.interleave import table
from seedstock.inputs.loader import Loader, step_digest
from seedstock.inputs.plan import DataPlan
from seedstock.inputs.shards import Shards

SECONDS = 3.0


def build(folder: Path) -> Path:
    from seedstock.corpus.build import build
    from seedstock.corpus.config import CorpusConfig
    from seedstock.corpus.reader import Corpus
    from seedstock.corpus.sources.text import Text
    from seedstock.inputs.tokenizers import Tokenizer
    from seedstock.inputs.tokenizers.config import BpeConfig
    from seedstock.inputs.tokenizers.train import train
    from seedstock.inputs.write import write
    from seedstock.ledger.store import Store
    from seedstock.progress import Silent

    store, reporter = Store(folder), Silent()
    library = Path(sysconfig.get_paths()["stdlib"])
    sources = [
        Text(name=name, path=[str(path) for path in sorted(library.glob(pattern))])
        for name, pattern in (("top", "*.py"), ("packages", "*/*.py"))
    ]
    config = CorpusConfig(policy={"rules": [], "signals": []})
    corpus = Corpus(build(sources, config, seed=1, key=bytes(32), store=store, reporter=reporter))
    tokenizer = Tokenizer(train(BpeConfig(), corpus, seed=1, store=store, reporter=reporter))
    return write(corpus, tokenizer, store=store, reporter=reporter)


def speed(folder: Path, length: int, batch: int) -> dict[str, float]:
    shards = Shards(folder)
    plan = DataPlan.of(shards, MixtureConfig(max_repeats=None), seed=1, length=length, batch=batch)
    loader, step, digest = Loader(shards, plan), 0, ""
    for stratum in shards.strata("train"):
        shards.documents("train", stratum.stratum)
    loader.batch(0)
    begin, cpu = time.perf_counter(), time.process_time()
    while time.perf_counter() - begin < SECONDS:
        step += 1
        made = loader.batch(step)
        digest = step_digest(digest, made["examples"], made["digests"])
    tokens = step * batch * length
    return {
        "length": length,
        "batch": batch,
        "tokens_per_cpu_second": round(tokens / (time.process_time() - cpu)),
        "tokens_per_second": round(tokens / (time.perf_counter() - begin)),
    }


def seek(folder: Path, length: int = 256, batch: int = 8) -> dict[str, float]:
    table.cache_clear()
    begin = time.perf_counter()
    shards = Shards(folder)
    plan = DataPlan.of(shards, MixtureConfig(max_repeats=None), seed=1, length=length, batch=batch)
    Loader(shards, plan).batch(0)
    opened = time.perf_counter() - begin
    times = []
    for step in np.random.default_rng(1).integers(10**7, size=200).tolist():
        loader = Loader(shards, plan)
        begin = time.perf_counter()
        loader.batch(step)
        times.append(time.perf_counter() - begin)
    return {
        "open_ms": round(opened * 1e3, 2),
        "seek_median_ms": round(float(np.median(times)) * 1e3, 2),
        "seek_99_percent_ms": round(float(np.quantile(times, 0.99)) * 1e3, 2),
    }


def ledger(folder: Path) -> dict[str, float]:
    """Everything that tells tokens from documents and steps: tables of documents, index, the plan itself."""
    shards = Shards(folder)
    plan = DataPlan.of(shards, MixtureConfig(), seed=1, length=256, batch=8)
    documents = sum(s.documents for split in ("train", "held_out") for s in shards.strata(split))
    size = sum(path.stat().st_size for path in folder.rglob("*.npy")) + (folder / "index.json").stat().st_size
    size += len(json.dumps(plan.to_json()))
    tables = sum(s.documents * 20 for split in ("train", "held_out") for s in shards.strata(split))
    return {
        "documents": documents,
        "table_bytes_per_document": tables / documents,
        "bytes_per_document_with_fixed_parts": round(size / documents, 2),
    }


def waited(run: Path) -> dict[str, float]:
    """From a run's ``events.jsonl``, which has every step up to about a thousand."""
    lines = (json.loads(line) for line in (run / "events.jsonl").read_text().splitlines())
    steps = [line for line in lines if line["event"] == "step"]
    seconds = sum(step["seconds"] for step in steps)
    found = sum(step["waited"] for step in steps)
    return {"steps": len(steps), "seconds": round(seconds, 3), "waited": round(found, 4), "share": found / seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--run", type=Path, help="a trained run's folder")
    parser.add_argument("--shards", type=Path, help="a shard folder")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.run:
        if not (options.run / "events.jsonl").exists():
            parser.error(f"{options.run} has no events.jsonl: give the folder of a run that was trained")
        row = waited(options.run)
        told = f"{row['steps']} steps in {row['seconds']} s, {row['waited']} s waited for data: {row['share']:.3%}"
        print(json.dumps(row) if options.json else told)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.shards or build(Path(scratch))
        total = sum(s.tokens for s in Shards(folder).strata("train"))
        speeds = [speed(folder, length, batch) for length in (256, 1024) for batch in (8, 64)]
        result = {"train_tokens": total, "speed": speeds, "seek": seek(folder), "ledger": ledger(folder)}
    if options.json:
        print(json.dumps(result, indent=1))
        return
    print(f"{total:,} tokens\n\nlength  batch  tokens/s of CPU  tokens/s of wall clock")
    for row in speeds:
        print("{length:6}  {batch:5}  {tokens_per_cpu_second:15,}  {tokens_per_second:22,}".format(**row))
    for part in ("seek", "ledger"):
        print()
        for name, value in result[part].items():
            print(f"{name.replace('_', ' '):38} {value:>12,}")


if __name__ == "__main__":
    main()
