"""The recipe's ``tokenizer``: byte-level BPE, Unigram or WordPiece, bytes, characters, or one that exists already."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from seedstock.config import Bytes, Config, Count

MULTIPLE = 64  # vocabularies are padded to it: matrix kernels and splits over devices want it

Part = Literal["source", "domain", "language"]


class _TokenizerConfig(Config):
    reserved: Annotated[Count, Field(ge=0)] = 16
    specials: tuple[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], ...] = Field(
        default=(), description="names of further special tokens; those that the objective needs are added to them"
    )


class _TrainedConfig(_TokenizerConfig):
    """What every vocabulary that is learnt from counts of words has.

    ``vocab_size`` counts everything: specials, ``reserved`` spare specials, 256 bytes and what is learnt. ``balance``
    and ``temperature`` weigh the counts: groups of strata (by ``source``, ``domain`` or ``language``) count by their
    bytes to the power 1 / ``temperature`` (1: as they come; 3.3: as in XLM-R, Conneau et al. 2020, arXiv 1911.02116;
    larger: flatter). ``sample`` is how much of the training text is counted, null for all of it; ``words`` how many
    distinct words, the most frequent ones, the vocabulary is learnt from, which bounds memory.
    """

    vocab_size: Annotated[Count, Field(ge=320)] = 8192
    balance: list[Part] = Field(["language"], min_length=1)
    temperature: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 1.0
    sample: Annotated[Bytes, Field(gt=0)] | None = None
    words: Annotated[Count, Field(ge=1)] = 500_000

    @field_validator("vocab_size")
    @classmethod
    def _padded(cls, size: int) -> int:
        if size % MULTIPLE:
            below = size - size % MULTIPLE
            raise ValueError(f"{size} is not a multiple of {MULTIPLE}; write {below} or {below + MULTIPLE}")
        return size


class BpeConfig(_TrainedConfig):
    """Byte-level byte-pair encoding (Sennrich et al. 2016, arXiv 1508.07909; on bytes: Radford et al. 2019).

    ``min_frequency`` is how often a merged pair must occur.
    """

    kind: Literal["bpe"] = "bpe"
    min_frequency: Annotated[Count, Field(ge=1)] = 2


class WordPieceConfig(_TrainedConfig):
    """Byte-level WordPiece (Schuster and Nakajima 2012): merges are learnt as in BPE, words cut by longest match."""

    kind: Literal["wordpiece"] = "wordpiece"
    min_frequency: Annotated[Count, Field(ge=1)] = 2


class UnigramConfig(_TrainedConfig):
    """Byte-level Unigram language model (Kudo 2018, arXiv 1804.10959)."""

    kind: Literal["unigram"] = "unigram"


class WordsConfig(_TrainedConfig):
    """One token a word: a run of letters with their marks. What stands between words is dropped; the rarer words are
    ``<|unk|>``. For word embeddings: a text does not come back from it.

    ``min_frequency`` is how often a word must occur; ``lowercase`` makes one word of those that differ by it.
    """

    kind: Literal["words"] = "words"
    min_frequency: Annotated[Count, Field(ge=1)] = 5
    lowercase: bool = True


class BytesConfig(_TokenizerConfig):
    """One token a UTF-8 byte."""

    kind: Literal["bytes"] = "bytes"


class CharactersConfig(_TokenizerConfig):
    """One token a Unicode character of the training text; any other character becomes ``<|unk|>``."""

    kind: Literal["characters"] = "characters"


class ImportedConfig(_TokenizerConfig):
    """A tokenizer that exists already: its ids stay, and the specials that it lacks are appended.

    ``path`` is a folder with ``tokenizer.json``, or a ``tokenizer.json``, a tiktoken file of ranks (``.tiktoken``) or a
    sentencepiece ``.model``. ``named`` says which of its tokens are ours (``{bos: <s>, eos: </s>}``), where they are
    not found by their usual names. ``pattern`` is how a tiktoken file's texts are cut into words: ``gpt2``,
    ``cl100k``, ``o200k`` or a regular expression.
    """

    kind: Literal["imported"] = "imported"
    path: str
    named: dict[str, str] = Field({})
    pattern: str = "cl100k"


TokenizerConfig = (
    BpeConfig | UnigramConfig | WordPieceConfig | WordsConfig | BytesConfig | CharactersConfig | ImportedConfig
)
