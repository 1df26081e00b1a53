"""How much a text surprises a small n-gram model that the user trained (as in CCNet, Wenzek et al. 2020)."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from seedstock.corpus.signals.trained import Named

if TYPE_CHECKING:
    import pyarrow as pa

    from seedstock.corpus.classify.kneser_ney import Model


class Perplexity(Named):
    """Perplexity for each word under the model of ``seedstock perplexity train``.

    perplexity  the lower, the more like what the model was trained on; null for a text without words
    known       the share of words that the model knows

    Compare within a language and a kind of text: repetition and boilerplate are not surprising either.
    """

    version: ClassVar[int] = 1
    columns: ClassVar[dict[str, str]] = {"perplexity": "float32", "known": "float32"}
    kind: Literal["perplexity"] = "perplexity"
    advice: ClassVar[str] = "train one: seedstock perplexity train FILES --out FOLDER"

    def compute(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Scores each text of a batch."""
        import numpy as np
        import pyarrow as pa

        total, words, known = _model(str(self.path()), self.sha256 or "").score(batch.column("text"))
        count = np.maximum(words, 1)
        value = np.exp(np.minimum(-total / count, 80)).astype(np.float32)  # below the largest float32
        return self.batch(perplexity=pa.array(value, mask=words == 0), known=known / count)


@lru_cache(maxsize=2)
def _model(path: str, sha256: str) -> Model:
    from seedstock.corpus.classify.kneser_ney import load

    return load(Path(path))
