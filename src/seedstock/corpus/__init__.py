"""From raw documents to a corpus: sources, signals, a policy, deduplication, and a decision on every document.

``corpus.build.build(sources, config, …)`` makes a sealed corpus folder, and ``Corpus(folder)`` reads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seedstock.corpus.reader import Corpus

__all__ = ["Corpus"]


def __getattr__(name: str) -> Any:
    if name == "Corpus":
        from seedstock.corpus.reader import Corpus

        return Corpus
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
