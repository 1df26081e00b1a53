"""A corpus of texts in memory, as ``corpus.Corpus`` hands them out."""

from __future__ import annotations

import hashlib

import pyarrow as pa


class SmallCorpus:
    """``train`` and ``held_out`` are lists of (source, domain, language, text)."""

    def __init__(self, train, held_out, batch=3):
        self.splits, self.batch = {"train": train, "held_out": held_out}, batch
        self.strata = [{"stratum": 0, "bytes": sum(len(text.encode()) for *_, text in train)}]

    def texts(self, split, stratum=None, batch=None):
        rows = self.splits[split]
        for first in range(0, len(rows), self.batch):
            part = rows[first : first + self.batch]
            ids = [hashlib.blake2b(repr(row).encode(), digest_size=16).digest() for row in part]
            columns = [pa.array([row[k] for row in part], pa.string()) for k in range(3)]
            text = pa.array(["padding", *(row[3] for row in part)], pa.large_string())[1:]  # a slice: offset not 0
            names = ["id", "source", "domain", "language", "text"]
            yield pa.RecordBatch.from_arrays([pa.array(ids, pa.binary(16)), *columns, text], names)
