"""The same job by Daft's own runner: a filter in two processes, its MinHash expression, grouping in numpy."""

from __future__ import annotations

import argparse
import json
import os
import tempfile

os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("DAFT_ANALYTICS_ENABLED", "0")

import daft
import numpy as np
from daft import DataType, col
from plain_gopher import keep, unique


@daft.udf(return_dtype=DataType.bool(), concurrency=2, use_process=True)
class Filter:
    def __init__(self, nothing: int = 0) -> None:
        pass

    def __call__(self, text):
        return [keep(value) for value in text.to_pylist()]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("input")
    parser.add_argument("--filter-only", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        frame = daft.read_json(f"{options.input}/*.jsonl").where(Filter(col("text")))
        if not options.filter_only:
            signature = col("text").minhash(num_hashes=112, ngram_size=5, seed=1, hash_function="xxhash")
            frame = frame.with_column("signature", signature).collect()
            table = frame.select("id", "signature").to_arrow()
            column = table["signature"].combine_chunks()
            minima = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, 112)
            stay = table.select(["id"]).append_column("stay", [unique(np.ascontiguousarray(minima))])
            frame = frame.join(daft.from_arrow(stay), on="id").where(col("stay")).exclude("signature", "stay")
        frame.write_parquet(f"{folder}/out", compression="zstd")
        print(json.dumps({"kept": daft.read_parquet(f"{folder}/out/*.parquet").count_rows()}))


if __name__ == "__main__":
    main()
