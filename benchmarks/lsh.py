"""LSH grouping of 21 million (band, key, document) rows: ours beside DuckDB and Polars, two cores each.

``python benchmarks/lsh.py --peers PYTHON``, PYTHON being that of an environment with duckdb and polars. Each engine
runs in a process of its own on the same Parquet file and prints how many documents follow a leader (the first of their
bucket) and the sum of the leaders; the answers must be equal.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

ROWS, BANDS, SHARED = 1_500_000, 14, 0.2  # 21 M rows; a fifth of the documents copies others in every band

OURS = """
import sys, tempfile
from pathlib import Path
import numpy as np, pyarrow.parquet as pq
from seedstock.corpus.dedup import lsh
from seedstock.corpus.dedup.spill import Spill, by_hash, parts_for
file = pq.ParquetFile(sys.argv[1], pre_buffer=False)
bands = 14
parts = parts_for(file.metadata.num_rows // bands, lsh.PARTITION)
with tempfile.TemporaryDirectory() as folder:
    spill = Spill(Path(folder), "band", bands * parts, lsh.RECORD)
    for batch in file.iter_batches(1 << 18, use_threads=False):
        records = np.empty(batch.num_rows, lsh.RECORD)
        records["key"], records["document"] = batch["key"].to_numpy(), batch["document"].to_numpy()
        spill.add(records, batch["band"].to_numpy().astype(np.int64) * parts + by_hash(records["key"], parts))
    followers = total = 0
    for records in spill.all():
        members, begins = lsh.buckets(records)
        first = lsh.leaders(members, begins)
        followers += int((~begins).sum())
        total += int(first[~begins].astype(np.int64).sum())
print(followers, total)
"""
DUCKDB = """
import sys, tempfile, duckdb
con = duckdb.connect()
con.execute("SET threads=2"); con.execute("SET memory_limit='%s'"); con.execute("SET preserve_insertion_order=false")
con.execute(f"SET temp_directory='{tempfile.mkdtemp()}'")
print(*con.execute(f'''SELECT count(*), sum(leader)::BIGINT FROM (
  SELECT document, min(document) OVER (PARTITION BY band, key) AS leader FROM '{sys.argv[1]}')
  WHERE document <> leader''').fetchone())
"""
POLARS = """
import sys, polars as pl
rows = pl.scan_parquet(sys.argv[1]).group_by("band", "key").agg(pl.col("document").min(), pl.len())
found = rows.filter(pl.col("len") > 1).select(followers=
    (pl.col("len") - 1).sum(), total=((pl.col("len") - 1).cast(pl.Int64) * pl.col("document").cast(pl.Int64)).sum()
).collect(engine="streaming")
print(*found.row(0))
"""


def make(path: Path) -> None:
    """Keys of bands as they come: by document, a row a band."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    draw = np.random.default_rng(1)
    schema = pa.schema([("band", pa.uint8()), ("key", pa.uint64()), ("document", pa.uint32())])
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=["band"]) as writer:
        for first in range(0, ROWS, 100_000):
            documents = np.arange(first, min(first + 100_000, ROWS))
            copied = draw.random(len(documents)) < SHARED
            origin = np.where(copied, draw.integers(0, documents + 1), documents)
            band = np.tile(np.arange(BANDS, dtype=np.uint64), len(documents))
            key = (np.repeat(origin, BANDS).astype(np.uint64) * np.uint64(BANDS) + band) * np.uint64(0x9E3779B97F4A7C15)
            key ^= key >> np.uint64(29)
            columns = [band.astype(np.uint8), key * np.uint64(0xBF58476D1CE4E5B9), np.repeat(documents, BANDS)]
            writer.write_table(pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema))


def main() -> None:
    sys.path.insert(0, str(Path(__file__).parent / "peers"))
    import watch

    parser = argparse.ArgumentParser()
    parser.add_argument("--peers", default=None)
    peers = parser.parse_args().peers
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        make(path)
        print(f"{ROWS * BANDS:,} rows, {path.stat().st_size / 1e6:.0f} MB")
        jobs = {"seedstock": (sys.executable, OURS)}
        if peers:
            jobs["duckdb, 600 MB limit"] = (peers, DUCKDB % "600MB")
            jobs["duckdb, no limit"] = (peers, DUCKDB % "20GB")
            jobs["polars streaming"] = (peers, POLARS)
        for name, (python, code) in jobs.items():
            cost = watch.run([python, "-c", code, str(path)], env={"POLARS_MAX_THREADS": "2", "PATH": "/usr/bin:/bin"})
            answer = cost.out.strip().splitlines()[-1:] or ["nothing"]
            print(f"{name:24} {cost.wall:6.1f} s {cost.cpu:6.1f} CPU-s {cost.peak / 2**30:5.2f} GB  {answer[0]}")


if __name__ == "__main__":
    main()
