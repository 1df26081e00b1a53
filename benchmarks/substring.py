"""Exact substring deduplication of the data pack's texts: ours beside a suffix array of the whole (pydivsufsort).

``SEEDSTOCK_DATA=DIR python benchmarks/substring.py``. The suffix array's side only sorts suffixes, finds common
prefixes and marks repeated runs; it holds everything in memory, and chooses no copy to keep. One core, each in its own
process.
"""

from __future__ import annotations

import sys
from pathlib import Path

from datapack import data_pack, no_options

HERE = Path(__file__).parent
COMMON = "import sys; sys.path.insert(0, {here!r}); import dedup_kinds; from pathlib import Path\n"
COMMON += "parts = dedup_kinds.parts(Path({data!r}))\n"
OURS = """
from seedstock.corpus.dedup import DedupConfig, find_spans
from seedstock.corpus.dedup.spill import Workspace
from seedstock.progress import Silent
import time
began = time.perf_counter()
with Workspace() as folder:
    found = find_spans(DedupConfig.model_validate({"kind": "substring"}), parts, Silent(), folder=folder)
    cut = sum(end - start for n in range(len(parts)) for listed in found.of(n).values() for start, end, _ in listed)
print(f"{cut:,} bytes cut out, {time.perf_counter() - began:.1f} s")
"""
SUFFIXES = """
import numpy as np, pydivsufsort, time
began = time.perf_counter()
texts = [text.as_py().encode() + b"\\0" for part in parts for text in part.read(["text"])["text"]]
data = np.frombuffer(b"".join(texts), np.uint8).copy()
array = pydivsufsort.divsufsort(data)
sorted_ = time.perf_counter() - began
common = np.asarray(pydivsufsort.kasai(data, array))
at = np.flatnonzero(common >= 200)
marks = np.zeros(len(data) + 1, np.int32)
for places in (array[at], array[at + 1]):
    places = np.unique(places)
    np.add.at(marks, places, 1); np.add.at(marks, places + 200, -1)
print(f"{int((np.cumsum(marks) > 0).sum()):,} bytes inside repeated runs, all copies; "
      f"{sorted_:.1f} s for the suffixes, {time.perf_counter() - began:.1f} s in all")
"""


def main() -> None:
    no_options(__doc__)
    sys.path.insert(0, str(HERE / "peers"))
    import watch

    common = COMMON.format(here=str(HERE), data=data_pack())
    for name, code in {"reading alone": "", "ours": OURS, "suffix array": SUFFIXES}.items():
        cost = watch.run([sys.executable, "-c", common + code])
        print(f"{name:14} {cost.wall:5.1f} s, {cost.peak / 2**30:.2f} GB  {cost.out.strip()}")


if __name__ == "__main__":
    main()
