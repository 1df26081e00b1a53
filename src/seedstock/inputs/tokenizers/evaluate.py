"""What a tokenizer does to texts: bytes a token by language and domain, parity, coverage, and what should never happen.

Parity is how many tokens a language needs for the same sentences, relative to another language (Petrov et al. 2023,
arXiv 2305.15425: the premium that its readers pay).
"""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from seedstock.errors import DataError
from seedstock.inputs.tokenizers.glitches import inspect
from seedstock.inputs.tokenizers.report import BATCH, Measure
from seedstock.inputs.tokenizers.sample import Chunk
from seedstock.inputs.tokenizers.tokenizer import Tokenizer

REFERENCE = ("eng_Latn", "eng", "en")


def evaluate(
    tokenizer: Tokenizer, files: Sequence[Path], parallel: Path | None = None, reference: str | None = None
) -> dict[str, Any]:
    """Measures a tokenizer on text files and on a file of parallel sentences.

    A text file is plain text, or JSON lines (also ``.gz``, ``.zst``) with ``text`` and perhaps ``language`` and
    ``domain``. Lines of ``parallel`` have ``text``, ``language`` and ``sentence``, or an ``id`` that is the same in all
    languages once the language is taken out of it. Raises DataError where a file cannot be read.
    """
    measure = Measure(tokenizer)
    waiting: list[Chunk] = []
    for chunk in (chunk for file in files for chunk in _chunks(Path(file))):
        waiting.append(chunk)
        if len(waiting) == BATCH:
            measure.add(waiting)
            waiting = []
    measure.add(waiting)
    found = measure.result() | inspect(tokenizer, measure.used if files else None)
    return found | ({"parity": parity(tokenizer, Path(parallel), reference)} if parallel else {})


def parity(tokenizer: Tokenizer, file: Path, reference: str | None = None) -> dict[str, Any]:
    """By language: tokens for the same sentences relative to ``reference`` (English), and bytes a token there."""
    sentences: dict[str, dict[str, str]] = defaultdict(dict)
    for row in _rows(file):
        language, text = str(row.get("language", "")), row.get("text")
        key = row.get("sentence", str(row.get("id", "")).replace(language, ""))
        if language and isinstance(text, str):
            sentences[language][str(key)] = text
    reference = reference or next((name for name in REFERENCE if name in sentences), "")
    if reference not in sentences:
        raise DataError(
            f"no sentences in the language {reference or 'English'!r}",
            where=file,
            fix=f"name one of them with --reference: {', '.join(sorted(sentences)[:12])}",
        )
    tokens = {
        language: dict(zip(own, map(len, tokenizer.encode_batch(list(own.values()))), strict=True))
        for language, own in sentences.items()
    }
    found = {}
    for language, own in sorted(tokens.items()):
        shared = own.keys() & tokens[reference].keys()
        if not shared:
            continue
        base, mine = (sum(counts[key] for key in shared) for counts in (tokens[reference], own))
        size = sum(len(sentences[language][key].encode()) for key in shared)
        found[language] = {
            "premium": round(mine / base, 4),
            "bytes_per_token": round(size / mine, 4),
            "sentences": len(shared),
        }
    return {"reference": reference, "languages": found}


def _chunks(file: Path) -> Iterator[Chunk]:
    if not file.name.removesuffix(".zst").removesuffix(".gz").endswith((".jsonl", ".json")):
        with _opened(file) as lines:
            for part in iter(lambda: lines.read(1 << 16), ""):
                yield Chunk(part, file.name, "unknown", "und")
        return
    for row in _rows(file):
        if isinstance(row.get("text"), str):
            domain, language = row.get("domain") or row.get("label"), row.get("language") or row.get("bcp47")
            yield Chunk(row["text"], file.name, str(domain or "unknown"), str(language or "und"))


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    with _opened(file) as lines:
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
            except ValueError as error:
                raise DataError(f"not JSON: {error}", where=f"{file}, line {number}", fix="give JSON lines") from None
            if isinstance(row, dict):
                yield row


class _opened:
    """A text file, decompressed by its name. Raises DataError where it cannot be read as UTF-8 text."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __enter__(self) -> Any:
        try:
            if self.file.suffix == ".zst":
                import zstandard

                self._lines = zstandard.open(self.file, "rt", encoding="utf-8", errors="replace")
            elif self.file.suffix == ".gz":
                self._lines = gzip.open(self.file, "rt", encoding="utf-8", errors="replace")
            else:
                self._lines = self.file.open(encoding="utf-8", errors="replace", newline="")
        except OSError as error:
            raise DataError(f"cannot be read: {error.strerror}", where=self.file, fix="give a file of text") from None
        return self._lines

    def __exit__(self, *error: Any) -> None:
        self._lines.close()
