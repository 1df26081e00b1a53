"""Labelled documents to train on: files of any kind that a source reads, with a label each."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

from seedstock import kinds
from seedstock.corpus.sources.base import Item, Source, Unreadable
from seedstock.errors import DataError

BY_SUFFIX = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".parquet": "parquet"}
COMPRESSED = (".gz", ".zst", ".bz2", ".lz4")


def read(paths: Sequence[str], limit: int | None = None, name: str = "examples") -> list[str]:
    """The texts of files and folders, without empty ones and repeats, in their order; at most ``limit``, spread evenly.

    JSON lines (field ``text``), Parquet (column ``text``), or plain text, a document a file; in folders, whichever of
    these there are. Raises DataError where nothing can be read.
    """
    seen: set[bytes] = set()
    texts: list[str] = []
    problem = ""
    for source in sources(paths, name):
        for partition in source.partitions():
            for item in source.read(partition):
                if isinstance(item, Unreadable):
                    problem = problem or f"{item.locator}: {item.reason}"
                    continue
                text = _text(item)
                key = blake2b(" ".join(text.split()).encode(errors="replace"), digest_size=16).digest()
                if text.strip() and key not in seen:
                    seen.add(key)
                    texts.append(text)
    if not texts:
        raise DataError(
            "there is no text in it" + (f"; {problem}" if problem else ""),
            where=", ".join(map(str, paths)),
            fix="give JSON lines or Parquet with a field 'text', or plain text files",
        )
    if limit is not None and len(texts) > limit:
        texts = [texts[at * len(texts) // limit] for at in range(limit)]
    return texts


def sources(paths: Sequence[str], name: str) -> list[Source]:
    """The source of each path, by its suffix; a folder is read by all the kinds that find something in it."""
    found: list[Source] = []
    for number, path in enumerate(paths):
        suffix = Path(path.removesuffix(Path(path).suffix) if path.endswith(COMPRESSED) else path).suffix.lower()
        kind = BY_SUFFIX.get(suffix, "text")
        wanted = [kind]
        if Path(path).is_dir():
            suffixes = {BY_SUFFIX.get(s.lower(), "text") for f in Path(path).rglob("*") for s in f.suffixes}
            wanted = [one for one in dict.fromkeys(BY_SUFFIX.values()) if one in suffixes] or ["text"]
        found += [kinds.load("sources", kind)(name=f"{name}-{number}-{kind}", path=str(path)) for kind in wanted]
    return found


def _text(item: Item) -> str:
    return item.text if item.text is not None else (item.raw or b"").decode(item.encoding, errors="replace")
