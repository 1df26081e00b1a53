"""A few documents of every decision, for people to look at: short excerpts without personal data."""

from __future__ import annotations

import base64
import contextlib
import itertools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from seedstock.corpus import summary, tables
from seedstock.corpus.phases import FAILED
from seedstock.corpus.signals.emails import Emails
from seedstock.corpus.signals.personal import Personal
from seedstock.corpus.signals.secrets import Secrets

CHARACTERS, LINES = 320, 7
HEAD = 32 * CHARACTERS  # characters that are looked at for personal data: an excerpt is of far fewer
MOST = 100  # candidates kept of a group in one part
# Control characters, and those that turn the direction of what follows on the page.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff]")

Group = tuple[str, str, str]
KEPT: Group = ("", "", "")


@dataclass(frozen=True)
class Sample:
    """One document on the page; nothing in it is personal data that the signals know."""

    source: str
    locator: str
    bytes: int
    excerpt: str


@dataclass(frozen=True)
class Pictured(Sample):
    """With a small copy of the picture that the text is about, as a ``data:`` URL; None where there is none."""

    picture: str | None


def draw(folder: Path, each: int = 3) -> dict[Group, list[Pictured]]:
    """Up to ``each`` documents of every (phase, step, reason), and of what is kept under ``KEPT``.

    Drawn by the digest of their text: as good as at random, and the same whenever the page is written. A document that
    a signal failed on is not read again, for it may hang or kill this process too.
    """
    chosen: dict[Group, list[tuple[int, str, int]]] = {}
    for part, table in zip(summary.parts(folder), summary.rows(folder, "text_sha256", "bytes"), strict=True):
        table = table.filter(pc.greater(table["bytes"], 0)).append_column("row", _positions(table))
        for group, rows in _groups(table).items():
            if group[2] == FAILED:
                continue
            merged = chosen.get(group, []) + [(number, part, row) for number, row in rows[:each]]
            chosen[group] = sorted(merged)[:each]
    return {group: _read(folder, [(part, row) for _, part, row in rows]) for group, rows in chosen.items()}


def _positions(table: pa.Table) -> pa.Array:
    return pa.array(np.flatnonzero(np.asarray(table["bytes"]) > 0))


def _groups(table: pa.Table) -> dict[Group, list[tuple[int, int]]]:
    """The rows of each group with the first eight bytes of their digest, in the order of these."""
    if not table.num_rows:
        return {}
    digests = np.frombuffer(b"".join(table["text_sha256"].to_pylist()), ">u8")[::4]
    rows = table["row"].to_numpy()
    names = pa.StructArray.from_arrays(
        [pc.fill_null(table[name].combine_chunks(), "") for name in summary.REASON], names=list(summary.REASON)
    )
    keys = pc.binary_join_element_wise(*(names.field(number) for number in range(3)), "\0").dictionary_encode()
    codes = keys.indices.to_numpy()
    order = np.lexsort((rows, digests, codes))
    found: dict[Group, list[tuple[int, int]]] = {}
    bounds = np.flatnonzero(np.diff(codes[order], prepend=-1, append=-2))
    for begin, end in itertools.pairwise(bounds.tolist()):
        phase, step, reason = keys.dictionary[int(codes[order[begin]])].as_py().split("\0")
        some = order[begin : min(end, begin + MOST)]
        found[phase, step, reason] = list(zip(digests[some].tolist(), rows[some].tolist(), strict=True))
    return found


def _read(folder: Path, places: list[tuple[str, int]]) -> list[Pictured]:
    return [
        Pictured(sample.source, sample.locator, sample.bytes, sample.excerpt, _picture(folder / "media" / part, row))
        for part, row in places
        for sample in at(folder / "documents" / part, [row])
    ]


def at(path: Path, rows: list[int]) -> list[Sample]:
    """Rows of a documents table, as far as they can be redacted: what cannot is not shown."""
    columns = ["source", "locator", "bytes", "text"]
    samples = []
    for row in rows:
        document = tables.some(path, [row], columns).to_pylist()[0]
        with contextlib.suppress(Exception):
            samples.append(
                Sample(
                    document["source"],
                    redacted(document["locator"]),
                    document["bytes"],
                    excerpt(redacted(document["text"].strip()[:HEAD])),
                )
            )
    return samples


def _picture(path: Path, row: int) -> str | None:
    """The picture of a row, small; None where it has none, or none that can be shown."""
    if not path.exists():
        return None
    with contextlib.suppress(Exception):
        media = tables.some(path, [row], ["media_type", "bytes"]).to_pylist()[0]
        if (media["media_type"] or "").startswith("image/"):
            from seedstock.corpus.media.pictures import thumbnail

            return f"data:image/jpeg;base64,{base64.b64encode(thumbnail(media['bytes'])).decode()}"
    return None


def redacted(text: str) -> str:
    """The text without the personal data and secrets that the signals find, asked for by the policy or not."""
    batch = pa.RecordBatch.from_pydict({"text": pa.array([text], pa.large_string())})
    spans = []
    for signal in (Emails(), Secrets(), Personal()):
        table = signal.compute(batch)
        found = table.column("spans").to_pylist()[0]
        kinds = (
            table.column("kinds").to_pylist()[0] if isinstance(signal, Personal) else [signal.name[:-1]] * len(found)
        )
        spans += [(span["start"], span["end"], kind) for span, kind in zip(found, kinds, strict=True)]
    data, pieces, at = text.encode(), [], 0
    for start, end, name in sorted(spans):
        if end > at:
            pieces += [data[at : max(start, at)], f"<{name}>".encode() if start >= at else b""]
            at = end
    return b"".join([*pieces, data[at:]]).decode(errors="replace")


def excerpt(text: str) -> str:
    """The beginning of a text: some lines, some characters, nothing that a page cannot show."""
    head = text.strip()[: 4 * CHARACTERS]
    whole = "\n".join(line.rstrip() for line in head.splitlines() if line.strip())
    short = "\n".join(whole.split("\n")[:LINES])[:CHARACTERS]
    more = short != whole or len(head) < len(text.strip())
    return _UNPRINTABLE.sub("\ufffd", short) + (" …" if more else "")


def largest_clusters(folder: Path, clusters: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The clusters of a summary, each with its representative's place."""
    wanted = [cluster["cluster"] for cluster in clusters]
    if not wanted:
        return []
    table = pq.read_table(folder / "clusters.parquet", columns=["id", "cluster", "representative"])
    first = table.filter(pc.and_(table["representative"], pc.is_in(table["cluster"], value_set=pa.array(wanted))))
    cluster_of = dict(zip(first["id"].to_pylist(), first["cluster"].to_pylist(), strict=True))
    places = {}
    for part in summary.parts(folder):
        documents = pq.read_table(folder / "documents" / part, columns=["id", "source", "locator"])
        ids = pa.array(list(cluster_of), documents["id"].type)
        for row in documents.filter(pc.is_in(documents["id"], value_set=ids)).to_pylist():
            with contextlib.suppress(Exception):
                places[cluster_of[row["id"]]] = f"{row['source']}: {redacted(row['locator'])}"
    return [{**cluster, "document": places.get(cluster["cluster"], "")} for cluster in clusters]


def pairs(folder: Path, each: int = 2) -> dict[str, list[tuple[Pictured, Pictured]]]:
    """Of every kind of deduplication, up to ``each`` pairs of a dropped document and the one that stands for it.

    Drawn by the dropped one's id, which is keyed: as good as at random, and the same at every call.
    """
    path = folder / "clusters.parquet"
    if not path.exists() or "stands_for" not in pq.read_schema(path).names:  # as earlier versions wrote it
        return {}
    table = pq.read_table(path, columns=["id", "kind", "stands_for"]).filter(pc.field("stands_for").is_valid())
    chosen: dict[str, list[tuple[bytes, bytes]]] = {}
    for kind in sorted(pc.unique(table["kind"]).to_pylist()):
        own = table.filter(pc.and_(pc.equal(table["kind"], kind), pc.not_equal(table["id"], table["stands_for"])))
        first = own.take(pc.select_k_unstable(own, k=min(each, own.num_rows), sort_keys=[("id", "ascending")]))
        chosen[kind] = list(zip(first["stands_for"].to_pylist(), first["id"].to_pylist(), strict=True))
    places = _places(folder, {number for found in chosen.values() for pair in found for number in pair})
    shown: dict[str, list[tuple[Pictured, Pictured]]] = {}
    for kind, found in chosen.items():
        for both in found:
            read = [_read(folder, [places[number]]) for number in both if number in places]
            if len(read) == 2 and all(read):
                shown.setdefault(kind, []).append((read[0][0], read[1][0]))
    return shown


def _places(folder: Path, ids: set[bytes]) -> dict[bytes, tuple[str, int]]:
    """The part and row of each document; of one that was read twice, the first."""
    found: dict[bytes, tuple[str, int]] = {}
    for part in summary.parts(folder) if ids else ():
        column = pq.read_table(folder / "documents" / part, columns=["id"])["id"]
        inside = pc.is_in(column, value_set=pa.array(sorted(ids), column.type)).to_numpy()
        for row in np.flatnonzero(inside).tolist():
            found.setdefault(column[row].as_py(), (part, row))
    return found
