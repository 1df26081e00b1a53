"""Spans of text that are cut out, kept on disk by part."""

from __future__ import annotations

from pathlib import Path

import numpy as np

SPAN = np.dtype([("row", "<i8"), ("start", "<i8"), ("end", "<i8")])


class Spans:
    """What one step cuts out: ``save`` a part's spans, ``of`` gives them back."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder, self.kind = folder, kind

    def save(self, part: int, spans: np.ndarray) -> None:
        """Keeps the spans (``SPAN`` records: row over all parts, bytes of its text) of one part."""
        if len(spans):
            np.save(self.folder / f"{self.kind}-{part}.npy", joined(spans))

    def of(self, part: int) -> np.ndarray:
        """The spans of one part, by row and position, apart from each other."""
        path = self.folder / f"{self.kind}-{part}.npy"
        return np.load(path) if path.exists() else np.zeros(0, SPAN)


def joined(spans: np.ndarray) -> np.ndarray:
    """Spans by row and position; those that touch or overlap become one."""
    spans = spans[np.lexsort((spans["end"], spans["start"], spans["row"]))]
    if not len(spans):
        return spans
    # The furthest end so far, of the same row: rows are kept apart by a stride longer than any text.
    stride = int(spans["end"].max()) + 2
    _, row = np.unique(spans["row"], return_inverse=True)
    reach = np.maximum.accumulate(spans["end"] + row * stride)
    opens = np.concatenate([[True], spans["start"][1:] + row[1:] * stride > reach[:-1]])
    first = np.flatnonzero(opens)
    result = spans[first].copy()
    result["end"] = np.maximum.reduceat(spans["end"], first)
    return result


def runs(starts: np.ndarray, length: int) -> list[list[int]]:
    """[start, end) of what windows of ``length`` cover whose first bytes are ``starts`` (bool); they may overlap."""
    edges = np.flatnonzero(np.diff(starts.view(np.int8), prepend=np.int8(0), append=np.int8(0))).reshape(-1, 2)
    edges[:, 1] += length - 1
    return edges.tolist()
