"""Duplicates: documents that are the same in some respect, and spans of text that stood earlier.

``find_clusters`` runs the steps that compare whole documents; ``find_spans`` those that cut spans out of what stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedstock.corpus.dedup.config import DedupConfig
from seedstock.progress import Reporter

if TYPE_CHECKING:
    import numpy as np

    from seedstock.corpus.dedup.clusters import Clusters, Forest
    from seedstock.corpus.dedup.parts import Part
    from seedstock.corpus.dedup.spans import Spans
    from seedstock.corpus.dedup.verify import Sets

__all__ = ["DedupConfig", "SpansOf", "find_clusters", "find_spans"]


def find_clusters(
    config: DedupConfig,
    parts: Sequence[Part],
    reporter: Reporter,
    *,
    earlier: Sequence[Part] = (),
    media: np.ndarray | None = None,
    near: Path | None = None,
    workers: int = 1,
) -> Clusters:
    """The clusters of duplicates among the rows of all ``parts``, in their order.

    Each step compares what the steps before it left; ``earlier`` are the parts of earlier corpora, whose documents are
    never dropped and stand for what equals them. ``media`` (bool [rows]) tells documents with media, which the steps on
    text leave alone. Temporary files lie beside ``near``. In memory are about 50 bytes a document, the text of one part
    for each worker, and one partition of what is sorted. Where the rows are divided into parts changes nothing.
    """
    import numpy as np

    from seedstock.corpus.dedup import exact, keep
    from seedstock.corpus.dedup.clusters import Forest, Record
    from seedstock.corpus.dedup.direct import direct
    from seedstock.corpus.dedup.parts import firsts
    from seedstock.corpus.dedup.spill import Workspace

    together = [*earlier, *parts]
    settled = sum(part.rows for part in earlier)
    rows = int(firsts(together)[-1])
    same = exact.same_text(together)
    record = Record(rows, settled, same)
    pictures = np.zeros(rows, bool)
    if media is not None:
        pictures[settled:] = media
    step: Any
    for step in config.documents:
        with Workspace(near) as folder:
            chosen = record.alive & (pictures == (step.compares == "media"))
            if step.kind in ("semantic", "pictures"):
                chosen[:settled] = False
            forest, sizes, sets = Forest(rows), None, None
            if step.kind == "url":
                _unite(forest, exact.same_url(together), chosen)
            elif step.kind == "exact":
                _unite(forest, exact.same_normalised(together) if step.normalise else same, chosen)
            elif step.kind == "pictures":
                from seedstock.corpus.dedup.pictures import link

                sizes = link(step, together, np.flatnonzero(chosen), forest, reporter)
            else:
                _unite(forest, same, chosen)
                sets = _similar(step, together, np.flatnonzero(chosen), forest, folder, reporter, settled, workers)
            roots = forest.roots()
            best = keep.choose(step.keep, together, settled, roots, sizes)
            if sets is not None and step.linkage == "direct":
                best = direct(best, roots, same, settled, sets, step, together)
            record.decide(step.kind, roots, best, keep.reason(step.keep), texts=step.compares != "media")
    return record.clusters()


def find_spans(config: DedupConfig, parts: Sequence[Part], reporter: Reporter, *, folder: Path) -> SpansOf:
    """What the steps on spans cut out of the rows of all ``parts``; each step looks at the unedited text.

    What is found lies in ``folder``, and is read a part at a time.
    """
    from seedstock.corpus.dedup import lines, substring

    found = []
    for step in config.spans:
        folder.mkdir(parents=True, exist_ok=True)
        find = substring.find if step.kind == "substring" else lines.find
        found.append(find(step, parts, folder, reporter))
    return SpansOf(found)


class SpansOf:
    """The spans of all steps, by part."""

    def __init__(self, steps: list[Spans]) -> None:
        self.steps = steps

    def of(self, part: int) -> dict[int, list[tuple[int, int, str]]]:
        """Row over all parts → (first byte, last byte + 1, the step's kind), of one part."""
        found: dict[int, list[tuple[int, int, str]]] = {}
        for step in self.steps:
            for row, start, end in step.of(part).tolist():
                found.setdefault(row, []).append((start, end, step.kind))
        return found


def _unite(forest: Forest, first: np.ndarray, chosen: np.ndarray) -> None:
    """Unites each chosen row with the first chosen one that equals it."""
    import numpy as np

    rows = np.flatnonzero(chosen)
    _, at, inverse = np.unique(first[rows], return_index=True, return_inverse=True)
    forest.parent[rows] = rows[at][inverse]


def _similar(
    step: Any,
    parts: Sequence[Part],
    rows: np.ndarray,
    forest: Forest,
    folder: Path,
    reporter: Reporter,
    settled: int,
    workers: int,
) -> Sets | None:
    """Unites similar texts among the first rows of equal ones; returns the sets by which they were compared."""
    distinct = rows[forest.parent[rows] == rows]
    if step.kind == "minhash":
        from seedstock.corpus.dedup.near import link

        return link(step, parts, distinct, forest, folder, reporter, settled, workers)
    from seedstock.corpus.dedup.semantic import link as mean

    mean(step, parts, distinct, forest, folder, reporter)
    return None
