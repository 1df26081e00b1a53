"""The speed of the quality signals, a classifier beside fastText's, n-gram models, and false positives of machine text.

    python benchmarks/quality_signals.py --data FOLDER

FOLDER is the data pack. One thread. fastText is measured where the package ``fasttext`` is installed: the same labels,
the same documents, word bigrams, its own trainer at its defaults (25 epochs), scored through its own ``predict``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import zstandard

from seedstock import kinds
from seedstock.corpus.classify import kneser_ney, linear, metrics, train

FASTTEXT = """
import fasttext, sys, time
begin = time.process_time()
model = fasttext.train_supervised(sys.argv[1], thread=1, epoch=25, wordNgrams=2, bucket=1 << 20, verbose=0)
print("fastText: trained in", round(time.process_time() - begin, 1), "s of CPU time", flush=True)
model.save_model(sys.argv[2])
"""


def lines(path: Path) -> list[dict]:
    with path.open("rb") as file:
        return [json.loads(line) for line in zstandard.ZstdDecompressor().stream_reader(file).read().splitlines()]


def megabytes(texts: list[str]) -> float:
    return sum(len(text.encode()) for text in texts) / 1e6


def batches(texts: list[str]) -> list[pa.RecordBatch]:
    return [
        pa.RecordBatch.from_pydict(
            {
                "text": pa.array(texts[at : at + 256], pa.large_string()),
                **{name: [None] * len(texts[at : at + 256]) for name in ("licence", "licence_evidence")},
                **{name: ["x"] * len(texts[at : at + 256]) for name in ("locator", "source", "domain")},
                "meta": ['{"language": "en"}'] * len(texts[at : at + 256]),
            }
        )
        for at in range(0, len(texts), 256)
    ]


def speed(signal, texts: list[str]) -> float:
    given = batches(texts)
    signal.compute(given[0])
    begin = time.process_time()
    for batch in given:
        signal.compute(batch)
    return megabytes(texts) / (time.process_time() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SEEDSTOCK_DATA", "")))
    data = parser.parse_args().data
    pa.set_cpu_count(1)
    specs = [row["text"] for row in lines(data / "text/specs.jsonl.zst")]
    books = [row["text"] for row in lines(data / "text/books.jsonl.zst")]
    work = Path(tempfile.mkdtemp())

    begin = time.process_time()
    model, report = train.train(books, specs)
    print(
        f"classifier of books against specifications: trained in {time.process_time() - begin:.1f} s, "
        f"AUC {report['held_out']['auc']:.4f}"
    )
    linear.save(model, work / "linear", report)
    begin = time.process_time()
    ngrams = kneser_ney.train([text for at, text in enumerate(specs) if at % 10 != 9])
    seconds = time.process_time() - begin
    held = pa.array(specs[9::10], pa.large_string())
    logp, words, known = ngrams.score(held)
    print(
        f"n-gram model of {megabytes(specs) * 0.9:.0f} MB: trained in {seconds:.1f} s, "
        f"{[len(table.keys) for table in ngrams.tables]} n-grams, held-out perplexity "
        f"{kneser_ney.perplexity(logp, words):.1f}, of books "
        f"{kneser_ney.perplexity(*ngrams.score(pa.array(books, pa.large_string()))[:2]):.1f}, "
        f"{known.sum() / words.sum():.3f} of the words known"
    )
    kneser_ney.save(ngrams, work / "ngrams", {})

    print("\nMB/s a core, specifications:")
    given = {"classifier": {"model": str(work / "linear")}, "perplexity": {"model": str(work / "ngrams")}}
    for name in ("language", "fineweb", "stop_words", "classifier", "perplexity", "adult", "machine_text"):
        print(f"  {name:14}{speed(kinds.load('signals', name)(**given.get(name, {})), specs):8.1f}", flush=True)
    fasttext(work, data)
    machine(data, {"books": books, "specifications": specs})


def fasttext(work: Path, data: Path) -> None:
    """Sentiment of sentences (SST-2 as in ``labelled/``), whose split is given: accuracy and speed side by side."""

    def read(name: str) -> tuple[list[str], np.ndarray]:
        with (data / f"labelled/stsa.binary.{name}.zst").open("rb") as file:
            rows = zstandard.ZstdDecompressor().stream_reader(file).read().decode(errors="replace").splitlines()
        return [row[2:] for row in rows], np.array([row[0] == "1" for row in rows])

    texts, positive = read("train")
    new, target = read("test")
    print("\nSST-2, accuracy and AUC on its test part:")
    sides = [[text for text, label in zip(texts, positive, strict=True) if label == side] for side in (True, False)]
    begin = time.process_time()
    model, _ = train.train(*sides)
    print(f"ours: trained in {time.process_time() - begin:.1f} s of CPU time")
    show("ours", lambda given: model.scores(pa.array(given, pa.large_string())), new, target)
    kept, labels, part, _ = train._split(*sides)  # what ours was fitted to, and no more
    rows = zip(kept, labels, part, strict=True)
    (work / "lines.txt").write_text(
        "".join(f"__label__{int(label)} {text}\n" for text, label, at in rows if at == train.TRAIN)
    )
    command = [sys.executable, "-c", FASTTEXT, str(work / "lines.txt"), str(work / "model.bin")]
    if subprocess.run(command, check=False).returncode:
        return
    import fasttext as package

    from seedstock.corpus.classify.fasttext import FastText

    theirs, ours = package.load_model(str(work / "model.bin")), FastText(work / "model.bin")

    def predict(given: list[str]) -> np.ndarray:
        return np.array([dict(zip(*theirs.predict(text, k=2), strict=True)).get("__label__1", 0) for text in given])

    at = ours.labels.index("1")
    show("fastText", predict, new, target)
    show("its model, our reader", lambda g: ours.probabilities(pa.array(g, pa.large_string()))[:, at], new, target)


def show(name: str, score, texts: list[str], target: np.ndarray) -> None:
    found = score(texts)
    long = [" ".join(texts[at : at + 20]) for at in range(0, len(texts), 20)] * 20
    begin = time.process_time()
    score(long)
    rate = megabytes(long) / (time.process_time() - begin)
    accuracy = metrics.confusion(found, target)["accuracy"]
    print(f"  {name:24} accuracy {accuracy:.4f}, AUC {metrics.auc(found, target):.4f}, {rate:.1f} MB/s")


def machine(data: Path, sets: dict[str, list[str]]) -> None:
    sets["code"] = [row["text"] for row in lines(data / "code/thealgorithms.jsonl.zst")]
    with tarfile.open(data / "web/article-extraction-benchmark.tar") as tar:
        articles = json.load(tar.extractfile("ground-truth.json"))  # type: ignore[arg-type]
    sets["web articles"] = [row["articleBody"] for row in articles.values()]
    sets["declarations"] = [row["text"] for row in lines(data / "multilingual/udhr.jsonl.zst")]
    sets["school questions"] = [
        row["question"] + row["answer"] for row in lines(data / "labelled/gsm8k-train.jsonl.zst")
    ]
    print("\nmachine_text on what people wrote: documents, with a telling phrase, score above 0.3, 99th percentile")
    signal = kinds.load("signals", "machine_text")()
    for name, texts in sets.items():
        found = pa.Table.from_batches([signal.compute(batch) for batch in batches(texts)])
        telling, score = found["telling"].to_numpy(), found["score"].to_numpy()
        print(
            f"  {name:18}{len(texts):6}{(telling > 0).sum():4}{(score > 0.3).mean():9.4f}"
            f"{np.percentile(score, 99):8.3f}"
        )


if __name__ == "__main__":
    main()
