"""How duplicates are found: a list of steps, each of one kind, done in their order."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, field_validator, model_validator

from seedstock.config import Bytes, Config, Count, Fraction
from seedstock.corpus.asked_runs import AsksRun


def _above_zero(value: float) -> float:
    if value <= 0:
        raise ValueError("a threshold of 0 would call every two documents duplicates; write 0.8 or 80 %")
    return value


class KeepSources(Config):
    """The document of the source that is named first stays."""

    sources: Annotated[tuple[str, ...], Field(min_length=1)]


class KeepScore(Config):
    """The document with the largest value of a signal's column (``gopher.words``) stays."""

    score: Annotated[str, Field(pattern=r"^[^.]+\.[^.]+$")]


def _form(value: Any) -> str:
    if isinstance(value, dict):
        return "score" if "score" in value else "sources"
    return "score" if isinstance(value, KeepScore) else "sources" if isinstance(value, KeepSources) else "name"


Keep = Annotated[
    Annotated[Literal["longest", "first", "newest"], Tag("name")]
    | Annotated[KeepSources, Tag("sources")]
    | Annotated[KeepScore, Tag("score")],
    Discriminator(_form),
]


class Step(Config):
    """A step that compares whole documents; one of each cluster stays."""

    compares: ClassVar[str] = "text"  # text or media
    kind: str
    keep: Keep = "longest"


class Exact(Step):
    """``{kind: exact}``: equal texts; with ``normalise`` also those equal but for case and white space."""

    kind: Literal["exact"] = "exact"
    normalise: bool = False


class Url(Step):
    """``{kind: url}``: documents of one address, whatever their texts (see ``urls.normal``)."""

    kind: Literal["url"] = "url"
    keep: Keep = "newest"


class MinHash(Step):
    """``{kind: minhash, threshold: 0.8}``: equal texts, and texts that share most word shingles.

    ``threshold`` is the Jaccard similarity of the sets of ``shingle``-word sequences from which two documents count as
    duplicates. ``permutations`` is the length of the signatures that propose pairs; every pair is then compared
    exactly. With ``linkage: direct`` a document goes only where it is that similar to the one that stays for it; with
    ``single``, as elsewhere, also where a chain of similar documents leads there.
    """

    kind: Literal["minhash"] = "minhash"
    threshold: Annotated[Fraction, AfterValidator(_above_zero)] = 0.8
    shingle: Annotated[int, Field(ge=1, le=32)] = 5
    permutations: Annotated[Count, Field(ge=16, le=1024)] = 112
    linkage: Literal["direct", "single"] = "direct"


class Semantic(AsksRun, Step):
    """``{kind: semantic, threshold: 0.95}``: texts whose embeddings point the same way (cosine), SemDeDup.

    ``model`` null is the built-in hashed TF-IDF projection of ``dimensions``; ``module:function`` or a name of the
    entry-point group ``seedstock.embeddings`` is a callable from a list of texts to an array [texts, dimensions];
    ``run:NAME`` or ``run:NAME@step`` is the mean of another run's last hidden states.
    ``clusters`` null is about the square root of the number of documents.
    """

    kind: Literal["semantic"] = "semantic"
    threshold: Annotated[Fraction, AfterValidator(_above_zero)] = 0.95
    model: str | None = None
    dimensions: Annotated[Count, Field(ge=16, le=1024, multiple_of=8)] = 256
    clusters: Annotated[Count, Field(ge=1)] | None = None


class Pictures(Step):
    """``{kind: pictures, distance: 4}``: pictures whose perceptual hashes differ in at most so many of 64 bits.

    ``hash`` is ``phash`` (discrete cosine transform) or ``dhash`` (differences of neighbours).
    """

    compares: ClassVar[str] = "media"
    kind: Literal["pictures"] = "pictures"
    keep: Keep = "longest"
    hash: Literal["phash", "dhash"] = "phash"
    distance: Annotated[int, Field(ge=0, le=7)] = 4


class Lines(Config):
    """``{kind: lines}``: a line that an earlier document has is cut out, where it is of ``minimum`` bytes or more.

    Only lines of at least ``documents`` documents are, whose first keeps all of its own. Lines are compared without
    the case of ASCII letters and without the white space around them.
    """

    kind: Literal["lines"] = "lines"
    minimum: Annotated[Bytes, Field(ge=1)] = 40
    documents: Annotated[Count, Field(ge=2)] = 2


class Paragraphs(Lines):
    """``{kind: paragraphs}``: the same for runs of lines between empty lines."""

    kind: Literal["paragraphs"] = "paragraphs"  # type: ignore[assignment]
    minimum: Annotated[Bytes, Field(ge=1)] = 100


class Substring(Config):
    """``{kind: substring, minimum: 200}``: bytes inside a run of ``minimum`` bytes that stood earlier are cut out.

    200 bytes are about 50 tokens. What is cut is shrunk to whole words, or to whole lines (``snap``).
    """

    kind: Literal["substring"] = "substring"
    minimum: Annotated[Bytes, Field(ge=32, le=1 << 16)] = 200
    snap: Literal["word", "line"] = "word"


STEPS: tuple[type[Config], ...] = (Exact, Url, MinHash, Semantic, Pictures, Lines, Paragraphs, Substring)
EDITS = (Lines, Substring)  # Paragraphs are Lines
DEFAULT = "minhash"


def _kind(value: Any) -> str | None:
    return value.get("kind", DEFAULT) if isinstance(value, dict) else getattr(value, "kind", DEFAULT)


AnyStep = Annotated[
    Annotated[Exact, Tag("exact")]
    | Annotated[Url, Tag("url")]
    | Annotated[MinHash, Tag("minhash")]
    | Annotated[Semantic, Tag("semantic")]
    | Annotated[Pictures, Tag("pictures")]
    | Annotated[Lines, Tag("lines")]
    | Annotated[Paragraphs, Tag("paragraphs")]
    | Annotated[Substring, Tag("substring")],
    Discriminator(_kind),
]

# Cluster size → repeats: Penedo et al. 2025 (FineWeb2, arXiv 2506.20920), as in its recipe.
FINEWEB2: tuple[tuple[int, int], ...] = ((1000, 1), (100, 8), (5, 5), (4, 3))


class DedupConfig(Config):
    """The steps, one (``{kind: minhash, threshold: 0.8}``), a list of them, or written out as ``{steps: […], …}``.

    ``against`` lists earlier corpora (folders, or ``run:NAME``): what they kept is not taken again; steps of the kinds
    exact, url and minhash look at them. ``rehydrate: fineweb2`` makes strata of how often a kept document is to be
    repeated, by the size of its cluster.
    """

    steps: tuple[AnyStep, ...] = (MinHash(),)
    against: tuple[str, ...] = ()
    rehydrate: Literal["fineweb2"] | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_step(cls, values: Any) -> Any:
        if isinstance(values, list | tuple):
            return {"steps": values}
        if isinstance(values, dict) and "steps" not in values:
            own = {key: value for key, value in values.items() if key in cls.model_fields}
            step = {key: value for key, value in values.items() if key not in own}
            return {**own, "steps": [step]} if step else own
        return values

    @field_validator("steps")
    @classmethod
    def _documents_first(cls, steps: tuple[Any, ...]) -> tuple[Any, ...]:
        if not steps:
            raise ValueError("list a step, such as {kind: minhash}, or write dedup: null")
        edits = [isinstance(step, EDITS) for step in steps]
        if edits != sorted(edits):
            raise ValueError("steps that cut spans out (lines, paragraphs, substring) come after those on documents")
        for at, step in enumerate(steps):
            if step in steps[:at]:
                raise ValueError(f"the step {step.kind!r} is listed twice")
        return steps

    @property
    def documents(self) -> tuple[Step, ...]:
        """The steps that compare whole documents."""
        return tuple(step for step in self.steps if isinstance(step, Step))

    @property
    def spans(self) -> tuple[Any, ...]:
        """The steps that cut spans out."""
        return tuple(step for step in self.steps if isinstance(step, EDITS))
