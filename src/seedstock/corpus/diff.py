"""How two corpora differ: documents, decisions, settings and groups.

Both are read once, a part at a time; 56 bytes a document are spread over temporary files by the beginning of the id,
and each file is sorted and joined in memory, which is bounded whatever the corpora are. Documents are matched by their
ids, or by the digests of their texts where the two were made under different project keys.

``diff`` returns plain JSON values; ``diff(b, a)`` is the same with the sides exchanged::

    a, b         {folder, root, documents, bytes, kept_documents, kept_bytes}
    matched_by   "id" or "text"
    both         documents in both
    only_a, only_b  {documents, bytes, kept_documents, kept_bytes, samples}
    texts        documents in both whose text is another (extraction, repair)
    decisions    [{a, b, documents, a_bytes, b_bytes, samples}] of those in both whose decision is another; a and b are
                 {decision, phase, step, reason}; the most documents first
    splits       [{a, b, documents}] of those kept in both that lie in another split
    settings     [{key, a, b}], see ``settings_diff``
    by           {source, domain, language, licence: [{name, a, b}]}, each with documents, bytes, kept_documents,
                 kept_bytes; the largest change of kept bytes first
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seedstock.corpus.dedup.spill import Spill, Workspace, by_hash, parts_for
from seedstock.corpus.settings_diff import settings
from seedstock.errors import IntegrityError
from seedstock.ledger import manifest

if TYPE_CHECKING:
    import pyarrow as pa

RECORDS = 1 << 20  # documents of one corpus that are joined at a time
SAMPLES = 3
GROUPS = 200  # of a dimension
DIMENSIONS = ("source", "domain", "language", "licence")
FIELDS = ("decision", "phase", "step", "reason")
COUNTS = ("documents", "bytes", "kept_documents", "kept_bytes")
RECORD = np.dtype(
    [
        ("high", "<u8"),
        ("low", "<u8"),
        ("text", "<u8"),
        ("bytes", "<i8"),
        ("why", "<i4"),
        ("split", "<i4"),
        ("part", "<i4"),
        ("row", "<i4"),
        ("later", "<i4"),
        ("group", "<i4"),
    ]
)


class Names:
    """Numbers for tuples of strings, the same ones for both sides."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, ...], int] = {}

    def of(self, columns: list[pa.Array]) -> np.ndarray:
        """The number of each row's tuple, int32 [rows]."""
        import pyarrow.compute as pc

        keys = pc.binary_join_element_wise(*columns, "\0").dictionary_encode()
        texts = [tuple(text.split("\0", len(columns) - 1)) for text in keys.dictionary.to_pylist()]
        codes = np.array([self.known.setdefault(name, len(self.known)) for name in texts], np.int32)
        return codes[keys.indices.to_numpy()] if len(codes) else np.zeros(0, np.int32)

    def listed(self) -> list[tuple[str, ...]]:
        """The tuples by their numbers."""
        return list(self.known)


@dataclass
class _Side:
    """One corpus: its folder, and what was counted of it."""

    folder: Path
    parts: list[str]
    groups: Counter[tuple[int, str]] = field(default_factory=Counter)

    def counts(self) -> dict[str, int]:
        found = Counter[str]()
        for (_, about), number in self.groups.items():
            found[about] += number
        return {name: found[name] for name in COUNTS}


def diff(a: Path | str, b: Path | str, work: Path | None = None, records: int = RECORDS) -> dict[str, Any]:
    """Compares two corpus folders (see the module). Raises IntegrityError where one is no corpus, or damaged.

    Temporary files lie beside ``work``; at most about ``records`` documents of each corpus are in memory at once.
    """
    sides, known = [], []
    for folder in (Path(a), Path(b)):
        if not manifest.is_sealed(folder) or not (folder / "decisions").is_dir():
            raise IntegrityError("there is no corpus here", where=folder, fix="name a sealed corpus folder")
        known.append(manifest.read(folder))
        sides.append(_Side(folder, _parts(folder)))
    by_id = known[0].inputs.get("key") == known[1].inputs.get("key")
    largest = max(_rows(side) for side in sides)
    why, split, group = Names(), Names(), Names()
    with Workspace(work) as space:
        spread = []
        for name, side in zip("ab", sides, strict=True):
            spill = Spill(space, name, parts_for(largest, records), RECORD)
            for found in _read(side, by_id, why, split, group):
                spill.add(found, by_hash(found["high"], spill.partitions))
            spread.append(spill)
        joined = _Joined(why.listed())
        for number in range(spread[0].partitions):
            joined.add(*(_occurrences(spill.take(number)) for spill in spread))
    return {
        **{
            name: {"folder": str(side.folder), "root": about.root, **side.counts()}
            for name, side, about in zip("ab", sides, known, strict=True)
        },
        "matched_by": "id" if by_id else "text",
        "both": joined.both,
        **{f"only_{name}": _only(joined, sides, at) for at, name in enumerate("ab")},
        "texts": joined.texts,
        "decisions": _decisions(joined, sides, why.listed()),
        "splits": _splits(joined, split.listed()),
        "settings": settings(known[0].inputs, known[1].inputs),
        "by": {name: _by(sides, group.listed(), at) for at, name in enumerate(DIMENSIONS)},
    }


def _parts(folder: Path) -> list[str]:
    from seedstock.corpus import summary

    return summary.parts(folder)


def _rows(side: _Side) -> int:
    import pyarrow.parquet as pq

    return sum(pq.read_metadata(side.folder / "decisions" / part).num_rows for part in side.parts)


def _read(side: _Side, by_id: bool, why: Names, split: Names, group: Names) -> Iterator[np.ndarray]:
    """The records of each part; what is counted by group is counted here."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from seedstock.corpus import summary

    def texts(table: pa.Table, name: str) -> pa.Array:
        return pc.fill_null(table[name].cast(pa.string()), "").combine_chunks()

    columns = ("id", "source", "domain", "bytes", "text_sha256")
    for number, table in enumerate(summary.rows(side.folder, *columns)):
        made = np.zeros(table.num_rows, RECORD)
        phases = texts(table, "phase")
        # What matched in evaluation files differs from document to document, and says nothing of the rule.
        reasons = pc.if_else(pc.equal(phases, "decontaminate"), "", texts(table, "reason"))
        made["why"] = why.of([texts(table, "decision"), phases, texts(table, "step"), reasons])
        made["split"] = split.of([texts(table, "split")])
        made["group"] = group.of([texts(table, name) for name in DIMENSIONS])
        made["bytes"] = table["bytes"].to_numpy()
        digests = _words(table["text_sha256"], 4)
        names = _words(table["id"], 2) if by_id else digests
        made["high"], made["low"], made["text"] = names[:, 0], names[:, 1], digests[:, 0]
        made["part"], made["row"] = number, np.arange(table.num_rows)
        dropped = ~np.isin(texts(table, "decision").to_pylist(), ("kept", "changed"))
        # Of rows with one name the one that was read a second time comes last, and is compared with its like.
        made["later"] = pc.equal(phases, "read").to_numpy(zero_copy_only=False) if by_id else dropped
        for code in np.unique(made["group"]).tolist():
            own = made["group"] == code
            for rows, prefix in ((own, ""), (own & ~dropped, "kept_")):
                side.groups[code, f"{prefix}documents"] += int(rows.sum())
                side.groups[code, f"{prefix}bytes"] += int(made["bytes"][rows].sum())
        yield made


def _words(column: pa.ChunkedArray, count: int) -> np.ndarray:
    """The digests of a column as big-endian words, uint64 [rows, count]."""
    data = b"".join(column.to_pylist())
    return np.frombuffer(data, ">u8").reshape(-1, count).astype(np.uint64)


def _occurrences(records: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(records by name, how many of the same name come before each: int64)."""
    order = np.lexsort((records["row"], records["part"], records["later"], records["low"], records["high"]))
    records = records[order]
    new = np.ones(len(records), bool)
    new[1:] = (records["high"][1:] != records["high"][:-1]) | (records["low"][1:] != records["low"][:-1])
    starts = np.flatnonzero(new)
    before = np.arange(len(records)) - np.repeat(starts, np.diff(np.append(starts, len(records))))
    return records, before


class _Joined:
    """What is counted while one partition after the other is joined."""

    def __init__(self, names: list[tuple[str, ...]]) -> None:
        self.kept = np.array([name[0] in ("kept", "changed") for name in names], bool)
        self.both = self.texts = 0
        self.only: list[Counter[str]] = [Counter(), Counter()]
        self.only_at: list[list[tuple[int, int]]] = [[], []]
        self.decisions: dict[tuple[int, int], Counter[str]] = {}
        self.decisions_at: dict[tuple[int, int], list[tuple[int, int]]] = {}
        self.splits: Counter[tuple[int, int]] = Counter()

    def add(self, a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray]) -> None:
        """Adds the documents of one partition; what is shown of them are the first by name."""
        (left, nth_left), (right, nth_right) = a, b
        both = np.concatenate([left, right])
        nth = np.concatenate([nth_left, nth_right])
        side = np.repeat([0, 1], [len(left), len(right)])
        order = np.lexsort((side, nth, both["low"], both["high"]))
        both, nth, side = both[order], nth[order], side[order]
        same = (both["high"][1:] == both["high"][:-1]) & (both["low"][1:] == both["low"][:-1]) & (nth[1:] == nth[:-1])
        first = np.flatnonzero(same)
        alone = np.ones(len(both), bool)
        alone[first] = alone[first + 1] = False
        for number in (0, 1):
            self._only(number, both[alone & (side == number)])
        self._pairs(both[first], both[first + 1])

    def _only(self, number: int, records: np.ndarray) -> None:
        kept = self.kept[records["why"]]
        for rows, prefix in ((np.ones(len(records), bool), ""), (kept, "kept_")):
            self.only[number][f"{prefix}documents"] += int(rows.sum())
            self.only[number][f"{prefix}bytes"] += int(records["bytes"][rows].sum())
        _remember(self.only_at[number], records)

    def _pairs(self, left: np.ndarray, right: np.ndarray) -> None:
        self.both += len(left)
        self.texts += int((left["text"] != right["text"]).sum())
        kept = self.kept[left["why"]] & self.kept[right["why"]]
        moved = kept & (left["split"] != right["split"])
        self.splits.update(zip(left["split"][moved].tolist(), right["split"][moved].tolist(), strict=True))
        changed = left["why"] != right["why"]
        left, right = left[changed], right[changed]
        pairs = np.stack([left["why"], right["why"]], axis=1)
        for pair in np.unique(pairs, axis=0).tolist():
            rows = (pairs == pair).all(axis=1)
            key = (pair[0], pair[1])
            found = self.decisions.setdefault(key, Counter())
            found["documents"] += int(rows.sum())
            found["a_bytes"] += int(left["bytes"][rows].sum())
            found["b_bytes"] += int(right["bytes"][rows].sum())
            _remember(self.decisions_at.setdefault(key, []), right[rows])


def _remember(places: list[tuple[int, int]], records: np.ndarray) -> None:
    some = records[: SAMPLES - len(places)]
    places += zip(some["part"].tolist(), some["row"].tolist(), strict=True)


def _samples(side: _Side, places: list[tuple[int, int]]) -> list[dict[str, Any]]:
    from seedstock.corpus import samples

    return [
        asdict(one) for part, row in places for one in samples.at(side.folder / "documents" / side.parts[part], [row])
    ]


def _only(joined: _Joined, sides: list[_Side], at: int) -> dict[str, Any]:
    counts = {name: joined.only[at][name] for name in COUNTS}
    return {**counts, "samples": _samples(sides[at], joined.only_at[at])}


def _decisions(joined: _Joined, sides: list[_Side], names: list[tuple[str, ...]]) -> list[dict[str, Any]]:
    found = [
        {
            "a": dict(zip(FIELDS, names[key[0]], strict=True)),
            "b": dict(zip(FIELDS, names[key[1]], strict=True)),
            **{name: counts[name] for name in ("documents", "a_bytes", "b_bytes")},
            "samples": _samples(sides[1], joined.decisions_at[key]),
        }
        for key, counts in joined.decisions.items()
    ]
    return sorted(found, key=lambda entry: (-entry["documents"], *sorted(map(_shown, (entry["a"], entry["b"])))))


def _shown(why: dict[str, str]) -> str:
    return "\0".join(why.values())


def _splits(joined: _Joined, names: list[tuple[str, ...]]) -> list[dict[str, Any]]:
    found = [{"a": names[a][0], "b": names[b][0], "documents": count} for (a, b), count in joined.splits.items()]
    return sorted(found, key=lambda entry: (-entry["documents"], *sorted((entry["a"], entry["b"]))))


def _by(sides: list[_Side], names: list[tuple[str, ...]], at: int) -> list[dict[str, Any]]:
    found: dict[str, list[Counter[str]]] = {}
    for number, side in enumerate(sides):
        for (code, about), count in side.groups.items():
            found.setdefault(names[code][at], [Counter(), Counter()])[number][about] += count
    rows: list[dict[str, Any]] = [
        {"name": name, **{key: {about: own[about] for about in COUNTS} for key, own in zip("ab", both, strict=True)}}
        for name, both in found.items()
    ]

    def order(row: dict[str, Any]) -> tuple[int, int, str]:
        change = abs(row["b"]["kept_bytes"] - row["a"]["kept_bytes"])
        return -change, -max(row["a"]["bytes"], row["b"]["bytes"]), row["name"]

    return sorted(rows, key=order)[:GROUPS]
