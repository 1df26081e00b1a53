"""The 50,000-document job by ``corpus.build``: Gopher's filters, MinHash of 14 bands of 8, zstd Parquet."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from seedstock.corpus.build import build
from seedstock.corpus.config import CorpusConfig
from seedstock.corpus.reader import Corpus
from seedstock.corpus.sources.jsonl import JsonLines
from seedstock.ledger import manifest
from seedstock.ledger.store import Store
from seedstock.progress import Silent

# The thresholds of Gopher (Rae et al. 2021), as in the preset gopher-c4.
BELOW = {"words": 50, "mean_word_length": 3, "alphabetic_words": 0.8, "stop_words": 2}
ABOVE = {
    "words": 100_000,
    "mean_word_length": 10,
    "hash_ratio": 0.1,
    "ellipsis_ratio": 0.1,
    "bullet_lines": 0.9,
    "ellipsis_lines": 0.3,
    "duplicate_lines": 0.3,
    "duplicate_paragraphs": 0.3,
    "duplicate_line_characters": 0.2,
    "duplicate_paragraph_characters": 0.2,
    "top_2gram": 0.2,
    "top_3gram": 0.18,
    "top_4gram": 0.16,
    **{f"duplicate_{n}grams": round(0.2 - 0.01 * n, 2) for n in range(5, 11)},
}


def config(dedup: bool = True, **more: Any) -> CorpusConfig:
    """The job's ``corpus:`` section."""
    rules = [{"signal": f"gopher.{name}", "below": value, "reason": name} for name, value in BELOW.items()]
    rules += [{"signal": f"gopher.{name}", "above": value, "reason": name} for name, value in ABOVE.items()]
    found = {"kind": "minhash", "permutations": 112, "threshold": 0.8} if dedup else None
    return CorpusConfig.model_validate({"policy": {"signals": ["gopher"], "rules": rules}, "dedup": found, **more})


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("input", help="the folder of JSON lines")
    parser.add_argument("--out", help="where the store goes; a folder that is removed afterwards otherwise")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--filter-only", action="store_true")
    parser.add_argument("--engine", default="local", choices=("local", "ray", "slurm"))
    parser.add_argument("--nodes", type=int, default=2, help="of the Ray cluster on this machine, a CPU each")
    options = parser.parse_args()
    if options.engine == "ray":
        import ray
        from ray.cluster_utils import Cluster

        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        for _ in range(options.nodes - 1):
            cluster.add_node(num_cpus=1)
        ray.init(address=cluster.address, log_to_driver=False)
    with tempfile.TemporaryDirectory(dir=options.out) as folder:
        source = JsonLines(name="documents", path=options.input)
        made = build(
            [source],
            config(dedup=not options.filter_only, engine=options.engine),
            seed=0,
            key=bytes(32),
            store=Store(Path(folder)),
            reporter=Silent(),
            workers=options.workers,
        )
        counts = Corpus(made).summary
        flow: dict[str, int] = {}
        for row in counts["flow"]:
            flow[row["phase"]] = flow.get(row["phase"], 0) + row["documents"]
        found = {"kept": counts["kept"]["documents"], "read": counts["read"]["documents"], "dropped": flow}
        print(json.dumps({**found, "root": manifest.read(made).root}))
    if options.engine == "ray":
        ray.shutdown()
        cluster.shutdown()


if __name__ == "__main__":
    main()
