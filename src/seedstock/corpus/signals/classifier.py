"""How much a document is like one of two (or more) kinds of documents that a classifier was trained to tell apart."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from seedstock.corpus.signals.trained import Named

if TYPE_CHECKING:
    import pyarrow as pa

FASTTEXT = (".bin", ".ftz")


class Classifier(Named):
    """The probability of a label, as a trained model sees it: a score to compare, never a verdict.

    score   probability of ``label``: by default, of the positive files that the model was trained on
    top     the most probable label

    ``model`` is the folder of ``seedstock classifier train``, or a supervised fastText model (``.bin``, ``.ftz``),
    which sees line breaks as spaces, and for which ``label`` says what is scored.
    """

    version: ClassVar[int] = 1
    columns: ClassVar[dict[str, str]] = {"score": "float32", "top": "string"}
    kind: Literal["classifier"] = "classifier"
    label: str | None = None
    advice: ClassVar[str] = (
        "train one: seedstock classifier train --positive FILES --negative FILES --out FOLDER; "
        "or name a fastText model, FILE.bin"
    )

    def compute(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Scores each text of a batch."""
        import numpy as np

        labels, values = probabilities(self, batch.column("text"))
        at = self._column(labels)
        return self.batch(score=values[:, at], top=np.array(labels, object)[values.argmax(axis=1)].tolist())

    def _column(self, labels: list[str]) -> int:
        if self.label is None and len(labels) == 2 and not located_fasttext(self):
            return 1
        if self.label is None and len(labels) == 1:
            return 0
        if self.label in labels:
            return labels.index(self.label)
        from seedstock.errors import RecipeError

        what = "say which label's probability is the score" if self.label is None else f"no label {self.label!r}"
        raise RecipeError(what, where=f"signal {self.name!r}", fix=f"label: {' | '.join(labels[:20])}")


class Toxicity(Classifier):
    """How much a document is like what people labelled toxic; trained by the user, since what that is differs.

    score   probability of the toxic label, calibrated for equally many of both
    top     the more probable label

    Its errors are not the same for all groups of people: docs/corpus/signals.md has them measured. Look before
    dropping: the rule that says what is too toxic is the recipe's.
    """

    kind: Literal["toxicity"] = "toxicity"  # type: ignore[assignment]
    advice: ClassVar[str] = (
        "no model of toxicity comes with the package; train one on labelled texts: "
        "seedstock classifier train --positive TOXIC --negative OTHER --out FOLDER"
    )


def located_fasttext(signal: Classifier) -> bool:
    return signal.model.endswith(FASTTEXT)


def probabilities(signal: Classifier, text: pa.Array) -> tuple[list[str], Any]:
    """(labels, probabilities float64 [texts, labels]) of the model that a signal names."""
    import numpy as np

    model = _model(str(signal.path()), signal.sha256 or "")
    if located_fasttext(signal):
        return model.labels, model.probabilities(text)
    scores = model.scores(text)
    return list(model.labels), np.stack([1 - scores, scores], axis=1)


@lru_cache(maxsize=4)
def _model(path: str, sha256: str) -> Any:
    if path.endswith(FASTTEXT):
        from seedstock.corpus.classify.fasttext import FastText

        return FastText(Path(path))
    from seedstock.corpus.classify import linear

    return linear.load(Path(path))
