"""The steps of ``corpus.select``: each chooses among the training documents that the phases before it left."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from seedstock import kinds
from seedstock.config import Bytes, Config, Count, Fraction
from seedstock.corpus.asked_runs import AsksRun
from seedstock.errors import nearest

Part = Literal["source", "domain", "language"]
Score = Annotated[str, Field(pattern=r"^(bytes|[^.\s]+\.[^.\s]+)$")]
NUMBERS = ("int", "uint", "float", "double", "half")


def _quantities(value: Any) -> Any:
    """A quantity alone is the budget of each group."""
    return {"*": value} if isinstance(value, int | float | str) else value


class Step(Config):
    """A step; ``asks`` says which documents it is asked about: all, those that are not token ids, those of text."""

    asks: ClassVar[Literal["all", "signals", "text"]] = "signals"
    kind: str


class Amount(Config):
    """How much is kept: ``documents``, a ``share`` of the documents, or ``bytes`` (never above, at most one document
    below). Exactly one of them."""

    documents: Annotated[Count, Field(ge=0)] | None = None
    share: Fraction | None = None
    bytes: Annotated[Bytes, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _one_amount(self) -> Amount:
        given = [name for name in self.amounts() if getattr(self, name) is not None]
        if len(given) != 1:
            found = f"this one has {' and '.join(given)}" if given else "this one has none"
            raise ValueError(f"say how much to keep by exactly one of {', '.join(self.amounts())}; {found}")
        return self

    @classmethod
    def amounts(cls) -> tuple[str, ...]:
        """The fields of which exactly one is given."""
        return tuple(name for name in ("documents", "share", "bytes", "at_least") if name in cls.model_fields)

    @property
    def amount(self) -> str:
        """How much is kept, as people read it."""
        if self.documents is not None:
            return f"{self.documents:,} documents"
        return f"{self.share:.6g} of the documents" if self.share is not None else f"{self.bytes:,} bytes"


class Dsir(Amount, Step):
    """``{kind: dsir, target: [FILES], share: 10 %}``: documents that are like the target's, by importance resampling.

    ``target`` names files or folders with texts (JSON lines, Parquet, plain text). Words and n-grams of up to ``words``
    words are hashed into ``buckets`` features; a document's weight is the likelihood ratio of its features under the
    target and under the corpus (Xie et al. 2023, arXiv 2302.03169, section 4).
    """

    asks: ClassVar[Literal["all", "signals", "text"]] = "text"
    kind: Literal["dsir"] = "dsir"
    target: Annotated[tuple[str, ...], Field(min_length=1)]
    words: Annotated[int, Field(ge=1, le=4)] = 2
    buckets: Annotated[Count, Field(ge=16, le=1 << 24)] = 10_000


class Classifier(Amount, Step):
    """``{kind: classifier, score: classifier.score, share: 10 %}``: the documents of the highest scores.

    ``at_least`` is a threshold in the place of an amount. ``by`` takes the amount of each group (``[language]``).
    """

    kind: Literal["classifier"] = "classifier"
    score: Score
    at_least: Annotated[float, Field(allow_inf_nan=False)] | None = None
    by: tuple[Part, ...] = ()

    @property
    def amount(self) -> str:
        return f"{self.at_least:g} and above" if self.at_least is not None else super().amount


class Perplexity(Step):
    """``{kind: perplexity, score: perplexity.perplexity, keep: middle, share: 50 %}``: a part of the distribution.

    ``keep`` is the ``low``, ``middle`` or ``high`` part by the column's rank (Marion et al. 2023, arXiv 2309.04564);
    ``by`` ranks inside each group (by language, as CCNet has it: Wenzek et al. 2020).
    """

    kind: Literal["perplexity"] = "perplexity"
    score: Score = "perplexity.perplexity"
    keep: Literal["low", "middle", "high"] = "middle"
    share: Fraction
    by: tuple[Part, ...] = ()


class Clusters(AsksRun, Step):
    """``{kind: clusters, share: 20 %}``: evenly from all kinds of content.

    Documents are clustered by k-means in two levels over embeddings (``model`` null: the hashed TF-IDF projection of
    the semantic deduplication; otherwise as there); ``budget`` gives every cluster equally many documents, or as many
    as the square root of its size, as far as it has them. ``clusters`` null is about the fourth root of the number of
    documents: the fewer, the more is levelled.
    """

    asks: ClassVar[Literal["all", "signals", "text"]] = "text"
    kind: Literal["clusters"] = "clusters"
    documents: Annotated[Count, Field(ge=0)] | None = None
    share: Fraction | None = None
    budget: Literal["equal", "sqrt"] = "equal"
    clusters: Annotated[Count, Field(ge=1)] | None = None
    model: str | None = None
    dimensions: Annotated[Count, Field(ge=16, le=1024, multiple_of=8)] = 256

    @model_validator(mode="after")
    def _one_amount(self) -> Clusters:
        if (self.documents is None) == (self.share is None):
            raise ValueError("say how much to keep by exactly one of documents, share")
        return self


class Quota(Step):
    """``{kind: quota, by: [source], bytes: {wiki: 5 MB, "*": 1 MB}}``: budgets by group, drawn by keyed hash.

    A name is a group or a pattern of groups (``wiki/*``, ``*/de``), which then share its budget; ``"*"`` alone is the
    budget of each group that no other name matches; a quantity in the place of the names means the same. Without
    ``"*"`` other groups are kept whole. A budget in ``bytes`` is never exceeded, and undershot by less than the next
    document; one in ``documents`` is exact. What a smaller budget keeps, a larger one keeps too.
    """

    asks: ClassVar[Literal["all", "signals", "text"]] = "all"
    kind: Literal["quota"] = "quota"
    by: tuple[Part, ...] = ("source",)
    bytes: dict[str, Annotated[Bytes, Field(ge=0)]] | None = None
    documents: dict[str, Annotated[Count, Field(ge=0)]] | None = None

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return {key: _quantities(value) if key in ("bytes", "documents") else value for key, value in values.items()}

    @model_validator(mode="after")
    def _one_unit(self) -> Quota:
        if (self.bytes is None) == (self.documents is None):
            raise ValueError("a quota's budgets are in bytes or in documents: give one of them")
        return self

    @property
    def budgets(self) -> dict[str, int]:
        """The budgets by name, whatever their unit."""
        found = self.bytes if self.bytes is not None else self.documents
        return found or {}


class Curriculum(Step):
    """``{kind: curriculum, score: gopher.words, bands: 4}``: drops nothing, and ranks what is kept.

    Every kept document gets its ``rank`` by the column, the lowest first (``descending``: the highest), and its
    ``band``: from 0, ``bands`` of about equal bytes. Bands divide strata, so that a mixture can weight them over time
    (``by: [band]``). ``by`` ranks inside each group. Documents without a value come last.
    """

    asks: ClassVar[Literal["all", "signals", "text"]] = "all"
    kind: Literal["curriculum"] = "curriculum"
    score: Score
    bands: Annotated[int, Field(ge=2, le=100)] = 4
    descending: bool = False
    by: tuple[Part, ...] = ()


AnyStep = Annotated[
    Annotated[Dsir, Tag("dsir")]
    | Annotated[Classifier, Tag("classifier")]
    | Annotated[Perplexity, Tag("perplexity")]
    | Annotated[Clusters, Tag("clusters")]
    | Annotated[Quota, Tag("quota")]
    | Annotated[Curriculum, Tag("curriculum")],
    Discriminator(lambda value: value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)),
]


def labels(steps: tuple[Any, ...]) -> list[str]:
    """The name of each step in decisions and in the summary: its kind, numbered where there are several."""
    found: list[str] = []
    for step in steps:
        earlier = sum(name.partition(" ")[0] == step.kind for name in found)
        found.append(f"{step.kind} {earlier + 1}" if earlier else step.kind)
    return found


def problem(steps: tuple[Any, ...], signals: tuple[Any, ...]) -> str | None:
    """What is wrong with steps over a policy's signals, or None."""
    if sum(isinstance(step, Curriculum) for step in steps) > 1:
        return "there is one curriculum at most"
    if any(isinstance(step, Curriculum) for step in steps[:-1]):
        return "the curriculum comes last: it ranks what the other steps keep"
    columns = {f"{one.name}.{column}": kind for one in signals for column, kind in one.types().items()}
    for step in steps:
        score = getattr(step, "score", "bytes")
        if score == "bytes":
            continue
        if score not in columns:
            close, name = nearest(score, columns), score.partition(".")[0]
            known = name in kinds.names("signals") and name not in {one.name for one in signals}
            hint = f"add {name!r} to signals" if known else f"did you mean {close!r}?" if close else ""
            listed = hint or f"columns: {', '.join(columns) or 'none'}"
            return f"{step.kind}: no listed signal of the policy has the column {score!r}; {listed}"
        if not columns[score].startswith(NUMBERS):
            return f"{step.kind}: {score} is no number"
    return None
