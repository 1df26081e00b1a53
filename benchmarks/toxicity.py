"""Trains a classifier of toxicity on labelled tweets and measures its errors by group of people, by cross-validation.

    python benchmarks/toxicity.py --data FOLDER [--folds 5] [--out MODEL]

FOLDER is the data pack (labelled/hate-speech-labeled_data.csv.zst: Davidson et al. 2017; hate speech and offensive
language are positive). A tweet belongs to a group where it has one of the group's words, other than slurs. ``--out``
also trains on all tweets and keeps the model, as ``seedstock classifier train`` would.
"""

from __future__ import annotations

import argparse
import csv
import html
import io
import os
import re
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa
import zstandard

from seedstock.corpus.classify import linear, metrics, train

GROUPS = {
    "women": "woman women girl girls female females lady ladies mom mother sister wife feminist feminists",
    "men": "man men boy boys male males dad father brother husband",
    "Black people": "black blacks african africans african-american afro",
    "white people": "white whites caucasian",
    "Asian people": "asian asians chinese japanese korean indian indians",
    "Latin American people": "mexican mexicans latino latina latinos hispanic hispanics",
    "LGBTQ people": "gay gays lesbian lesbians bisexual trans transgender queer lgbt lgbtq",
    "Jewish people": "jew jews jewish",
    "Muslim people": "muslim muslims islam islamic",
    "disabled people": "disabled disability autistic autism blind deaf",
    "dialect: African American English": "finna tryna imma ima ion gon dat dis dem dey wit bruh aint ain't yall y'all "
    "errbody talmbout ova den doe",
}


def read(folder: Path) -> tuple[list[str], np.ndarray]:
    with (folder / "labelled/hate-speech-labeled_data.csv.zst").open("rb") as file:
        text = zstandard.ZstdDecompressor().stream_reader(file).read().decode()
    kept = {html.unescape(row["tweet"]): row["class"] in "01" for row in csv.DictReader(io.StringIO(text))}
    return list(kept), np.array(list(kept.values()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SEEDSTOCK_DATA", "")))
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    texts, toxic = read(options.data)
    fold = np.array([blake2b(t.encode(), digest_size=8, key=b"fold").digest()[0] for t in texts]) % options.folds
    scores = np.zeros(len(texts))
    for number in range(options.folds):
        known = [
            [t for t, p, f in zip(texts, toxic, fold, strict=True) if f != number and p == k] for k in (True, False)
        ]
        model, _ = train.train(known[0], known[1], labels=("other", "toxic"))
        apart = np.flatnonzero(fold == number)
        scores[apart] = model.scores(pa.array([texts[at] for at in apart], pa.large_string()))
    print(f"{len(texts)} tweets, {toxic.sum()} labelled toxic; AUC {metrics.auc(scores, toxic):.4f}\n")
    print("| group | toxic | other | precision | recall | other above 0.5 | other above 0.9 | recall at 0.9 |")
    print("|---|---|---|---|---|---|---|---|")
    words = [{*re.findall(r"[a-z']+(?:-[a-z]+)?", t.lower().replace("’", "'"))} for t in texts]
    rows = {"all": np.ones(len(texts), bool)}
    rows |= {name: np.array([not own.isdisjoint(listed.split()) for own in words]) for name, listed in GROUPS.items()}
    rows["none of these groups"] = ~np.any([rows[name] for name in GROUPS], axis=0)
    for name, inside in rows.items():
        half = metrics.confusion(scores[inside], toxic[inside])
        high = metrics.confusion(scores[inside], toxic[inside], 0.9)
        print(
            f"| {name} | {(toxic & inside).sum():,} | {(~toxic & inside).sum():,} | {half['precision']:.3f} | "
            f"{half['recall']:.3f} | {half['false_positive_rate']:.3f} | {high['false_positive_rate']:.3f} | "
            f"{high['recall']:.3f} |"
        )
    if options.out:
        parts = [[t for t, p in zip(texts, toxic, strict=True) if p == k] for k in (True, False)]
        model, report = train.train(parts[0], parts[1], labels=("other", "toxic"))
        print(linear.save(model, options.out, report))


if __name__ == "__main__":
    main()
