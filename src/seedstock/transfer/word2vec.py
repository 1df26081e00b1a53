"""The text format of word2vec: a line with the number of words and of dimensions, then a line for each word.

A word is written as the tokenizer's vocabulary has it, without special tokens; numbers are the shortest that read back
as the same fp32.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from seedstock.errors import DataError, SeedstockError
from seedstock.ledger.files import atomic_folder, write_json

NAME = "vectors.txt"


def export(network: Any, tokenizer: Any, folder: Path) -> dict[str, Any]:
    """Writes ``vectors.txt`` with the vectors of words as they are read, ``contexts.txt`` with those as they are
    predicted, and the parity report, which it returns: both files are read back and compared.

    The folder appears whole, or not at all. Raises SeedstockError where the network has no such tables, where the
    folder is not new and where what is read back is not what was written.
    """
    folder = Path(folder)
    if network.config.kind != "embedding":
        what = f"a model of kind {network.config.kind} has no vectors of words alone"
        raise SeedstockError(what, where="model.kind", fix="`seedstock export --to hf` writes it")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SeedstockError("it exists already", where=folder, fix="name a new folder, or remove this one")
    words = vocabulary(tokenizer)
    report: dict[str, Any] = {"class": "word2vec text", "words": len(words), "width": network.config.width}
    largest = 0.0
    tables = {NAME: network.embedding.tokens.weight, "contexts.txt": network.head.weight}
    with atomic_folder(folder) as partial:
        for name, table in tables.items():
            rows = table.detach().float().cpu().numpy()[list(words.values())]
            write(partial / name, list(words), rows)
            again, found = read(partial / name)
            largest = max(largest, float(np.abs(found - rows).max(initial=0.0)))
            if again != list(words) or not np.array_equal(found, rows):
                raise SeedstockError("what is read back is not what was written", where=folder, fix="report this")
        report |= {"files": ", ".join(tables), "largest_difference": largest, "passed": True}
        write_json(partial / "parity.json", report)
    return report


def vocabulary(tokenizer: Any) -> dict[str, int]:
    """Word → id, without special tokens and tokens that hold white space or line ends, which part a line's fields."""
    special = set(tokenizer.specials.values())
    named = sorted(tokenizer.written.items(), key=lambda item: item[1])
    return {text: number for text, number in named if number not in special and text and text.split() == [text]}


def write(path: Path, words: list[str], rows: np.ndarray) -> None:
    """Writes words and their vectors ``[words, width]``, fp32."""
    with path.open("w", encoding="utf-8", newline="\n") as out:
        out.write(f"{len(words)} {rows.shape[1]}\n")
        for word, row in zip(words, rows, strict=True):
            out.write(f"{word} {' '.join(map(str, row))}\n")


def read(path: Path) -> tuple[list[str], np.ndarray]:
    """(words, vectors fp32 ``[words, width]``) of a file in that format, whoever wrote it.

    Raises DataError that names the line where it is damaged.
    """
    words: list[str] = []
    with Path(path).open(encoding="utf-8", newline="\n") as lines:
        try:
            count, width = map(int, next(lines, "").split())
        except ValueError:
            raise _damaged(path, 1, "it does not say how many words and numbers there are") from None
        rows = np.empty((count, width), np.float32)
        for number, (word, values) in enumerate(_rows(lines)):
            if number == count or len(values) != width:
                what = f"more than {count} words" if number == count else f"{len(values)} numbers, {width} were said"
                raise _damaged(path, number + 2, what)
            try:
                rows[number] = values
            except ValueError:
                raise _damaged(path, number + 2, "what stands there is no number") from None
            words.append(word)
    if len(words) != count:
        raise _damaged(path, len(words) + 1, f"{len(words)} words, {count} were said")
    return words, rows


def _rows(lines: Iterator[str]) -> Iterator[tuple[str, list[str]]]:
    for line in lines:
        word, *values = line.rstrip("\n ").split(" ")
        yield word, values


def _damaged(path: Path, line: int, what: str) -> DataError:
    return DataError(what, where=f"{path}:{line}", fix="write the file again")
