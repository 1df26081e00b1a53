"""How much a text surprises a model that the user trained: of n-grams (as in CCNet, Wenzek et al. 2020), or a run."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from seedstock.corpus.asked_runs import RUN, AsksRun
from seedstock.corpus.signals.trained import Named

if TYPE_CHECKING:
    import pyarrow as pa

    from seedstock.corpus.classify.kneser_ney import Model


BY_RUN = {"perplexity": "float32", "bits_per_byte": "float32"}


class Perplexity(AsksRun, Named):
    """Perplexity for each word under the model of ``seedstock perplexity train``, or for each token under a run's.

    perplexity     the lower, the more like what the model was trained on; null for a text without words
    known          the share of words that the model knows (n-grams alone)
    bits_per_byte  the same without regard to the size of tokens (``model: run:NAME`` or ``run:NAME@step`` alone): a
                   causal run, which reads the first 4,096 tokens of a text in windows of its context

    Compare within a language and a kind of text: repetition and boilerplate are not surprising either.
    """

    version: ClassVar[int] = 1
    columns: ClassVar[dict[str, str]] = {"perplexity": "float32", "known": "float32"}
    asks_runs: ClassVar[bool] = True
    kind: Literal["perplexity"] = "perplexity"
    advice: ClassVar[str] = "train one: seedstock perplexity train FILES --out FOLDER"

    def types(self) -> dict[str, str]:
        return BY_RUN if self.model.startswith(RUN) else self.columns

    @property
    def most(self) -> int:
        return 8 if self.model.startswith(RUN) else super().most

    def compute(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Scores each text of a batch."""
        import numpy as np
        import pyarrow as pa

        if self.model.startswith(RUN):
            nats, tokens, size = self.asked()(batch.column("text").to_pylist()).T
            found = (nats / np.maximum(tokens, 1), nats / np.log(2) / np.maximum(size, 1))
            values = (np.exp(np.minimum(found[0], 80)).astype(np.float32), found[1].astype(np.float32))
            columns = (pa.array(value, mask=empty == 0) for value, empty in zip(values, (tokens, size), strict=True))
            return self.batch(**dict(zip(BY_RUN, columns, strict=True)))
        total, words, known = _model(str(self.path()), self.sha256 or "").score(batch.column("text"))
        count = np.maximum(words, 1)
        value = np.exp(np.minimum(-total / count, 80)).astype(np.float32)  # below the largest float32
        return self.batch(perplexity=pa.array(value, mask=words == 0), known=known / count)


@lru_cache(maxsize=2)
def _model(path: str, sha256: str) -> Model:
    from seedstock.corpus.classify.kneser_ney import load

    return load(Path(path))
