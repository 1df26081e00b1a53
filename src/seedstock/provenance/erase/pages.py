"""Removes quoted passages from the files that people and programs read: JSON, HTML, Markdown, plain text, Parquet."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from seedstock.ledger.files import write_bytes
from seedstock.provenance.erase.passages import Passages

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_HTML = re.compile(r"<(style|script)\b.*?</\1>|<[^>]*>|[^<]+", re.DOTALL | re.IGNORECASE)
_ATTRIBUTE = re.compile(r'="([^"]*)"')
RECORDS = {
    *("manifest.json", "chain.jsonl", "head.json", "recipe.yaml", "latest", "index.json"),
    *("tokenizer.json", "tokenizer_config.json", "config.json", "generation_config.json"),
}
BINARY = {".safetensors", ".png", ".npy", ".tokens", ".pdf"}


def is_page(path: Path) -> bool:
    """Whether a file may quote a document: not a record, a picture, weights, a vocabulary or tokens."""
    return path.is_file() and path.name not in RECORDS and path.suffix not in BINARY


def quoting(folder: Path, passages: Passages, apart: Iterable[Path] = (), tables: bool = True) -> list[str]:
    """The pages below a folder that quote a passage, as relative paths, sorted; not those in the folders ``apart``."""
    apart = set(apart)
    found = []
    for path in sorted(folder.rglob("*")):
        ours = is_page(path) and not apart.intersection(path.parents) and (tables or path.suffix != ".parquet")
        if ours and _cleaned(path, passages) is not None:
            found.append(path.relative_to(folder).as_posix())
    return found


def scrub(path: Path, passages: Passages) -> str | None:
    """Takes quoted passages out of a file: ``rewritten``, ``removed`` or, where it quotes nothing, None.

    A file of a format that is not known here cannot be rewritten (the event files of TensorBoard have checksums): it is
    removed where it quotes a passage.
    """
    clean = _cleaned(path, passages)
    if clean is None:
        return None
    if clean == b"":
        path.unlink()
        return "removed"
    write_bytes(path, clean)
    return "rewritten"


def _cleaned(path: Path, passages: Passages) -> bytes | None:
    """The file without the passages (no bytes: it has to go), or None where it quotes none."""
    if not passages:
        return None
    if path.suffix == ".parquet":
        return _parquet(path, passages)
    text = path.read_bytes().decode("utf-8", errors="replace")
    clean = _FORMATS.get(path.suffix, _plain)(text, passages)
    if clean == text:
        return None
    return clean.encode() if path.suffix in _FORMATS else b""


def _json(text: str, passages: Passages) -> str:
    """Only inside string values, so that it stays the JSON it was."""

    def clean(match: re.Match[str]) -> str:
        try:
            value = json.loads(match[0])
        except ValueError:
            return match[0]
        scrubbed = passages.scrub(value)
        return match[0] if scrubbed == value else json.dumps(scrubbed, ensure_ascii=False)

    return _STRING.sub(clean, text)


def _html(text: str, passages: Passages) -> str:
    """Only in what a reader sees and in attributes, never in tags and styles."""

    def escaped(value: str) -> str:
        plain = html.unescape(value)
        scrubbed = passages.scrub(plain)
        return value if scrubbed == plain else html.escape(scrubbed)

    def clean(match: re.Match[str]) -> str:
        if match[1]:
            return match[0]
        if match[0].startswith("<"):
            return _ATTRIBUTE.sub(lambda found: f'="{escaped(found[1])}"', match[0])
        return escaped(match[0])

    return _HTML.sub(clean, text)


def _plain(text: str, passages: Passages) -> str:
    return passages.scrub(text)


_FORMATS: dict[str, Callable[[str, Passages], str]] = {
    **dict.fromkeys((".json", ".jsonl"), _json),
    **dict.fromkeys((".html", ".svg"), _html),
    **dict.fromkeys((".md", ".txt", ".csv", ".tsv", ".yaml", ".log"), _plain),
}


def _parquet(path: Path, passages: Passages) -> bytes | None:
    import io

    import pyarrow.parquet as pq

    table = pq.read_table(path, use_threads=False)
    changed = False
    for number, field in enumerate(table.schema):
        values = table.column(number).to_pylist() if _holds_text(field.type) else []
        clean = [_value(value, passages) for value in values]
        if clean != values:
            import pyarrow as pa

            table = table.set_column(number, field, pa.array(clean, field.type))
            changed = True
    if not changed:
        return None
    stream = io.BytesIO()
    pq.write_table(table, stream, compression="zstd")
    return stream.getvalue()


def _holds_text(kind: Any) -> bool:
    import pyarrow.types as types

    return types.is_string(kind) or types.is_large_string(kind) or types.is_nested(kind) or types.is_dictionary(kind)


def _value(value: Any, passages: Passages) -> Any:
    if isinstance(value, str):
        return passages.scrub(value)
    if isinstance(value, list):
        return [_value(item, passages) for item in value]
    return {key: _value(item, passages) for key, item in value.items()} if isinstance(value, dict) else value
