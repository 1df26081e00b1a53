"""HTML to Parquet, end to end: WARC files in, a corpus out, beside datatrove on the same files.

``python benchmarks/html_to_parquet.py --articles TAR --work FOLDER [--peer PYTHON] [--records 3000] [--workers 1]
[--quick]``.
The records are the labelled pages again and again, each with a paragraph of its own changed so that no two are equal.
Ours reads, extracts, maps, takes facts and rights, and writes a sealed corpus (no signals, no dedup); theirs reads,
extracts and writes Parquet. F1 is of the texts that came out, over every record.
"""

from __future__ import annotations

import argparse
import gzip
import io
import re
import resource
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import extraction_data as data

FILES = 4


@dataclass(frozen=True)
class Spent:
    """Seconds by the clock, and of all processes together: the second is steady on a machine that is shared."""

    clock: float
    processes: float


def cpu() -> float:
    """CPU seconds of this process and of its children that have ended."""
    own, ended = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime


def told(name: str, spent: Spent, texts: dict[str, str], pages: list[data.Page]) -> None:
    count = len(texts)
    print(
        f"{name}: {count} documents, {spent.clock:.1f} s ({count / spent.clock:.1f}/s), "
        f"{spent.processes:.1f} CPU-s ({count / spent.processes:.1f} a CPU-s), F1 {score(pages, texts):.4f}",
        flush=True,
    )


def warcs(pages: list[data.Page], folder: Path, records: int) -> None:
    """Gzipped WARC files, a member a record."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [(folder / f"{number:02d}.warc.gz").open("wb") for number in range(FILES)]
    for number in range(records):
        page = pages[number % len(pages)]
        body = re.sub(rb"(?i)</body>", b"<!-- copy %d --></body>" % number, page.html, count=1)
        answer = (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %d\r\n\r\n" % len(body)
            + body
        )
        url = f"https://{page.name}.example/{number}"
        head = (
            "WARC/1.0\r\nWARC-Type: response\r\nWARC-Date: 2024-01-01T00:00:00Z\r\n"
            f"WARC-Record-ID: <urn:uuid:{number:032x}>\r\nWARC-Target-URI: {url}\r\n"
            "WARC-Identified-Payload-Type: text/html\r\n"  # else datatrove guesses, and leaves out three pages of five
            f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(answer)}\r\n\r\n"
        )
        member = io.BytesIO()
        with gzip.GzipFile(fileobj=member, mode="wb", compresslevel=6, mtime=0) as packed:
            packed.write(head.encode() + answer + b"\r\n\r\n")
        files[number % FILES].write(member.getvalue())
    for file in files:
        file.close()


def ours(source: Path, work: Path, workers: int, kind: str) -> tuple[Spent, dict[str, str]]:
    """(time spent, text by URL) of a build."""
    from seedstock.corpus import build
    from seedstock.corpus.config import CorpusConfig
    from seedstock.corpus.reader import Corpus
    from seedstock.corpus.sources.warc import Warc
    from seedstock.ledger.store import Store
    from seedstock.progress import Silent

    shutil.rmtree(work, ignore_errors=True)
    config = CorpusConfig(policy={"signals": []}, dedup=None, held_out=0.01, extract={"kind": kind})
    began, used = time.perf_counter(), cpu()
    folder = build.build(
        [Warc(name="pages", path=str(source))],
        config,
        seed=1,
        key=bytes(32),
        store=Store(work / "store"),
        reporter=Silent(),
        workers=workers,
    )
    spent = Spent(time.perf_counter() - began, cpu() - used)
    texts = {}
    for split in ("train", "held_out"):
        for batch in Corpus(folder).texts(split):
            texts.update(zip(batch["url"].to_pylist(), batch["text"].to_pylist(), strict=True))
    return spent, texts


def theirs(source: Path, work: Path, python: str, *arguments: str) -> tuple[Spent, dict[str, str]]:
    import pyarrow.parquet as pq

    shutil.rmtree(work, ignore_errors=True)
    script = Path(__file__).parent / "peers" / "html_datatrove.py"
    command = [python, str(script), str(source), str(work), *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    said = re.search(r"seconds ([\d.]+) cpu ([\d.]+)", done.stdout)
    assert said is not None
    spent = Spent(float(said[1]), float(said[2]))
    texts = {}
    for path in sorted((work / "out").glob("*.parquet")):
        for row in pq.read_table(path, columns=["text", "metadata"]).to_pylist():
            about = row["metadata"]
            texts[dict(about)["url"] if not isinstance(about, dict) else about["url"]] = row["text"]
    return spent, texts


def score(pages: list[data.Page], texts: dict[str, str]) -> float:
    """F1 of the pages as they first came; a page that is missing scores nothing."""
    by_name: dict[str, str] = {}
    for url, text in texts.items():
        by_name.setdefault(url.split("//")[1].partition(".")[0], text)
    return data.mean_f1(pages, lambda page: by_name.get(page.name, ""))[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--articles", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--peer", help="the Python that datatrove is installed for")
    parser.add_argument("--records", type=int, default=3000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="the router, and the peer's defaults, alone")
    options = parser.parse_args()
    pages = data.articles(options.articles)
    source = options.work / f"warc-{options.records}"
    if not source.exists():
        warcs(pages, source, options.records)
    for kind in ("router", "lines")[: 1 if options.quick else 2]:
        told(f"ours, {kind}", *ours(source, options.work / "ours", options.workers, kind), pages)
    for arguments in ((), ("precision",))[: 0 if not options.peer else 1 if options.quick else 2]:
        found = theirs(source, options.work / "theirs", options.peer, str(options.workers), *arguments)
        told(" ".join(("datatrove", *arguments)), *found, pages)


if __name__ == "__main__":
    main()
