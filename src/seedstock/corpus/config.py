"""The ``corpus:`` part of a recipe."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, model_serializer, model_validator

from seedstock.config import Bytes, Config, Fraction, Seconds
from seedstock.corpus.dedup.config import DedupConfig
from seedstock.corpus.extract.config import ExtractConfig
from seedstock.corpus.policy import PolicyField
from seedstock.corpus.selection.config import AnyStep, problem


class Tail(Config):
    """Holds out the last part of each document, by characters: for a corpus that is one document."""

    tail: Annotated[Fraction, Field(gt=0, lt=1)]


class Decontamination(Config):
    """Evaluation files that no training document may share ``words`` words in a row with; a list is its ``files``.

    Items too short for that are matched by their whole strings of ``shortest`` words and more. A run of words that more
    than ``common`` documents hold (null: no such bound) counts only where half of the item is there. ``quote`` puts the
    words that matched into the reason.
    """

    files: tuple[str, ...] = ()
    words: Annotated[int, Field(ge=4, le=100)] = 13
    shortest: Annotated[int, Field(ge=1)] = 8
    common: Annotated[int, Field(ge=1)] | None = 10
    quote: bool = False

    @model_validator(mode="before")
    @classmethod
    def _list(cls, value: Any) -> Any:
        return {"files": value} if isinstance(value, list | tuple) else value

    @model_serializer(mode="wrap")
    def _as_written(self, dump: Any) -> Any:
        found = dump(self)
        plain = self == Decontamination(files=self.files)
        return found["files"] if plain else found


def _form(value: Any) -> str:
    return "tail" if isinstance(value, dict | Tail) else "fraction"


class CorpusConfig(Config):
    """How raw documents become a corpus.

    ``extract`` says how pages of HTML become text; ``policy`` is a preset's name or a policy written out; ``dedup`` may
    be null; ``held_out`` is a share of the documents, or ``{tail: 10 %}`` of each document; ``decontaminate`` lists
    evaluation files that no training document may share 13 words in a row with, or is a ``Decontamination`` written
    out; ``select`` lists steps that choose among the training documents that are left (``docs/corpus/selection.md``).
    ``timeout`` is how long a worker may be silent, ``memory`` how many bytes it may grow by (4 GiB where null, or
    its share of the machine where that is less), ``engine`` where shard tasks are done: on this machine, on a Ray
    cluster, by a Slurm array. These three change nothing but what is done with a document that breaks a worker.
    """

    how: ClassVar[tuple[str, ...]] = ("timeout", "memory", "engine")  # a corpus is built; not which one it is

    extract: ExtractConfig = ExtractConfig()
    policy: PolicyField = Field(default="code-and-docs", validate_default=True)
    dedup: DedupConfig | None = DedupConfig()
    held_out: Annotated[
        Annotated[Fraction, Field(lt=1), Tag("fraction")] | Annotated[Tail, Tag("tail")], Discriminator(_form)
    ] = 0.01
    decontaminate: Decontamination = Decontamination()
    select: tuple[AnyStep, ...] = ()
    timeout: Annotated[Seconds, Field(gt=0)] = 120.0
    memory: Annotated[Bytes, Field(gt=0)] | None = None
    engine: Literal["local", "ray", "slurm"] = "local"

    @model_validator(mode="after")
    def _scores_are_measured(self) -> CorpusConfig:
        if self.select and (found := problem(self.select, self.policy.signals)):
            raise ValueError(f"select: {found}")
        return self

    @property
    def tail(self) -> float:
        """The share that is cut off the end of each document, 0 where whole documents are held out."""
        return self.held_out.tail if isinstance(self.held_out, Tail) else 0.0
