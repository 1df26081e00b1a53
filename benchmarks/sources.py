"""How fast sources read: JSON lines plain, compressed and cut, WARC beside fastwarc alone, and memory at its highest.

``python benchmarks/sources.py`` with SEEDSTOCK_DATA set; files are made in a temporary folder.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from datapack import data_pack, no_options

COPIES_JSONL, COPIES_WARC = 12, 300


def make(folder: Path) -> None:
    """One file of JSON lines in three compressions, and one WARC file, out of real ones repeated."""
    import zstandard

    pack = data_pack()
    with zstandard.open(pack / "text" / "specs.jsonl.zst", "rb") as file:
        lines = file.read()
    (folder / "a.jsonl").write_bytes(lines * COPIES_JSONL)
    whole = zstandard.ZstdCompressor(level=3)
    (folder / "one.jsonl.zst").write_bytes(whole.compress(lines * COPIES_JSONL))
    (folder / "frames.jsonl.zst").write_bytes(whole.compress(lines) * COPIES_JSONL)
    data = (pack / "web" / "resiliparse-warcfile.warc.gz").read_bytes()
    (folder / "a.warc.gz").write_bytes(data * COPIES_WARC)


def read(kind: str, path: str, part: int, of: int) -> None:
    """Reads every ``of``-th partition from ``part`` on, and prints what came."""
    count = size = 0
    if kind == "fastwarc":
        from fastwarc.warc import ArchiveIterator, WarcRecordType

        start = time.perf_counter()
        with Path(path).open("rb") as file:
            for record in ArchiveIterator(file, record_types=WarcRecordType.response, auto_decode="all"):
                size += len(record.reader.read())
                count += 1
    else:
        from seedstock.corpus.sources.base import Item
        from seedstock.corpus.sources.jsonl import JsonLines
        from seedstock.corpus.sources.warc import Warc

        start = time.perf_counter()
        source = (JsonLines if kind == "jsonl" else Warc)(name="b", path=path)
        for partition in source.partitions()[part::of]:
            for item in source.read(partition):
                if isinstance(item, Item):
                    count += 1
                    size += len(item.raw or (item.text or "").encode())
    status = Path("/proc/self/status").read_text()  # what getrusage says begins with the parent's memory
    peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    print(f"{count} {size} {time.perf_counter() - start:.2f} {peak:.0f}")


def run(kind: str, path: Path, processes: int = 1) -> str:
    """Reads in processes of their own; a row of the table."""
    start = time.perf_counter()
    command = [sys.executable, __file__, kind, str(path)]
    running = [
        subprocess.Popen([*command, str(part), str(processes)], stdout=subprocess.PIPE, text=True)
        for part in range(processes)
    ]
    found = [[float(word) for word in process.communicate()[0].split()] for process in running]
    wall = time.perf_counter() - start
    count, size = (sum(row[at] for row in found) for at in range(2))
    slowest, peak = (max(row[at] for row in found) for at in (2, 3))
    return (
        f"| {kind} {path.name} | {processes} | {count:.0f} | {size / 1e6:.0f} MB | {slowest:.2f} s"
        f" (with start {wall:.2f}) | {count / slowest:.0f}/s | {size / slowest / 1e6:.0f} MB/s | {peak:.0f} MiB |"
    )


def main() -> None:
    """Prints the table."""
    if len(sys.argv) == 5:  # itself, for one row
        read(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
        return
    no_options(__doc__)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder)
        print("| what | processes | documents | text | time | documents | text | peak |")
        print("|---|---|---|---|---|---|---|---|")
        for file, processes in (
            *(("a.jsonl", 1), ("a.jsonl", 2), ("one.jsonl.zst", 1), ("frames.jsonl.zst", 1), ("frames.jsonl.zst", 2)),
        ):
            print(run("jsonl", folder / file, processes), flush=True)
        for kind, processes in (("fastwarc", 1), ("warc", 1)):
            print(run(kind, folder / "a.warc.gz", processes), flush=True)


if __name__ == "__main__":
    main()
