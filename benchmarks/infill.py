"""Does fill-in-the-middle cost anything left to right, and does it fill?

Trains ``recipes/fim.yaml`` as it is and without rearranging anything (``causal``) on the same tokens (runs that are
there are taken as they are) and prints as JSON: bits per byte from left to right with the difference over the same
files, and how likely and how often to the letter a line or a word that was taken out of a held-out file comes back:
by the marks (PSM, SPM), and from what comes before alone. Needs SEEDSTOCK_DATA.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

WORD = 12  # tokens of a word at most
HERE = Path(__file__).resolve().parent.parent


def train(kind: str, folder: Path, seed: int, overrides: list[str]) -> Path:
    """The run's folder."""
    name = f"{kind}-{seed}"
    if not (folder / name / "evaluation/scores.json").exists():
        sets = [f"seed={seed}", *(["objective.rate=0"] if kind == "causal" else []), *overrides]
        command = [sys.executable, "-m", "seedstock", "run", str(HERE / "recipes/fim.yaml"), "--name", name]
        extra = [part for one in sets for part in ("--set", one)]
        subprocess.run([*command, "--runs", str(folder), *extra], check=True, stdout=subprocess.DEVNULL)
    return folder / name


def documents(run: Path) -> Any:
    """Nats and bytes of each held-out document, by id."""
    rows = np.load(run / "evaluation/documents.npy")
    return rows[np.argsort(rows["id"].view("V16").ravel(), kind="stable")]


def difference(fim: Path, causal: Path) -> dict[str, float]:
    """Bits per byte of the first less those of the second, with the standard error over the documents of both."""
    from seedstock.evaluation.tally import LN2, ratio

    one, other = documents(fim), documents(causal)
    assert np.array_equal(one["id"], other["id"])
    value, error = ratio(one["nats"] - other["nats"], one["bytes"].astype(np.float64))
    assert value is not None and error is not None
    return {"bits_per_byte": value / LN2, "standard_error": error / LN2}


def infilling(run: Path, lines: int, words: int, write: bool) -> dict[str, Any]:
    """Bits a byte of missing lines and words by one run's model, and exact matches where it is to write."""
    from seedstock import weights
    from seedstock.evaluation import infill
    from seedstock.runs import Run

    opened = Run.open(run.parent, run.name)
    network, _ = weights.load(opened)
    texts = [text for batch in opened.corpus.texts("held_out") for text in batch.column("text").to_pylist()]
    tokenizer, before, found = opened.tokenizer, "what comes before alone", {}
    context = network.config.context
    for what, asked, room in (
        ("lines", list(infill.gaps(texts, lines=lines)), context // 2),
        ("words", list(infill.words(texts, count=words)), context - WORD),
    ):
        if not asked:
            continue
        prompts = {
            "PSM": infill.marked(tokenizer, room),
            "SPM": infill.marked(tokenizer, room, spm=True),
            before: infill.plain(tokenizer, room // 2),
            f"{before}, twice as much": infill.plain(tokenizer, room),
        }
        likely = {name: infill.bits_per_byte(network, tokenizer, prompt, asked) for name, prompt in prompts.items()}
        found[what] = {"bits_per_byte": likely}
        if write:
            found[what]["exact_match"] = written(network, tokenizer, asked, word=what == "words")
    return found


def written(network: Any, tokenizer: Any, asked: list[Any], *, word: bool) -> dict[str, Any]:
    """How often what is written is what was missing, by the marks with its end, and of words the first one alone."""
    from seedstock.evaluation.infill import continuer, exact_match, infiller

    options = {"new_tokens": WORD} if word else {}
    writers = {"PSM": infiller(network, tokenizer, **options), "SPM": infiller(network, tokenizer, spm=True, **options)}
    writers["what comes before alone"] = continuer(network, tokenizer, word=word, **options)
    if word:
        writers["PSM, its first word"] = infiller(network, tokenizer, word=True, **options)
        writers["SPM, its first word"] = infiller(network, tokenizer, spm=True, word=True, **options)
    found = {name: exact_match(writer, asked) for name, writer in writers.items()}
    for one in found.values():
        del one["written"]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("infill"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lines", type=int, default=15, help="lines taken out of each held-out file")
    parser.add_argument("--words", type=int, default=15, help="words taken out of each held-out file")
    parser.add_argument("--no-writing", action="store_true", help="leave exact matches out, which take minutes")
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    options = parser.parse_args()
    runs = {kind: train(kind, options.folder, options.seed, options.overrides) for kind in ("fim", "causal")}
    found: dict[str, Any] = {}
    for kind, run in runs.items():
        scores = json.loads((run / "evaluation/scores.json").read_text())["held_out"]
        found[kind] = {
            "bits_per_byte": scores["bits_per_byte"],
            "infilling": infilling(run, options.lines, options.words, not options.no_writing),
        }
    print(json.dumps({**found, "fim less causal": difference(runs["fim"], runs["causal"])}, indent=1))


if __name__ == "__main__":
    main()
