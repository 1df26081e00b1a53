"""The same job by Ray Data on one machine: the plain filter and rensa's MinHash in batches, grouping in numpy."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import ray

sys.path.insert(0, str(Path(__file__).parent))
HERE = str(Path(__file__).parent)


def sign(batch):
    from rensa import RMinHash

    found = []
    for text in batch["text"]:
        words = text.split()
        made = RMinHash(num_perm=112, seed=1)
        made.update([" ".join(words[at : at + 5]) for at in range(max(1, len(words) - 4))])
        found.append(np.array(made.digest(), np.uint32))
    return {**batch, "signature": np.stack(found) if found else np.zeros((0, 112), np.uint32)}


def passing(batch):
    sys.path.insert(0, HERE)
    from plain_gopher import keep

    chosen = np.array([keep(text) for text in batch["text"]], bool)
    return {name: values[chosen] for name, values in batch.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("input")
    parser.add_argument("--filter-only", action="store_true")
    options = parser.parse_args()
    ray.init(address="local", num_cpus=2, include_dashboard=False, logging_level="error")
    ray.data.DataContext.get_current().enable_progress_bars = False
    with tempfile.TemporaryDirectory() as folder:
        data = ray.data.read_json(options.input, file_extensions=["jsonl"], lines=True).map_batches(passing)
        if not options.filter_only:
            from plain_gopher import unique

            data = data.map_batches(sign).materialize()
            rows = data.select_columns(["id", "signature"]).take_all()
            stay = unique(np.stack([row["signature"] for row in rows]))
            kept = ray.put({row["id"] for row, yes in zip(rows, stay, strict=True) if yes})

            def chosen(batch):
                wanted = ray.get(kept)
                inside = np.array([number in wanted for number in batch["id"]], bool)
                return {name: values[inside] for name, values in batch.items() if name != "signature"}

            data = data.map_batches(chosen)
        data.write_parquet(f"{folder}/out", compression="zstd")
        import pyarrow.parquet as pq

        files = Path(folder, "out").glob("*.parquet")
        print(json.dumps({"kept": sum(pq.ParquetFile(path).metadata.num_rows for path in files)}))


if __name__ == "__main__":
    main()
