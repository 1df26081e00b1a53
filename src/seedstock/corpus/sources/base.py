"""What a source is: a register entry, a cheap listing of partitions, and a reader of one partition.

The smallest source lists what it has and reads it (register it under the entry-point group ``seedstock.sources``)::

    class Poems(Source):
        kind: Literal["poems"] = "poems"
        path: str

        def partitions(self) -> list[Partition]:
            return [Partition(name, fingerprint=sha256(text), bytes=len(text)) for name, text in shelf(self.path)]

        def read(self, partition: Partition) -> Iterator[Item]:
            yield Item(partition.name, raw=fetch(self.path, partition.name), licence="CC0-1.0")
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from pydantic import Field

from seedstock.config import Bytes, Config

LONGEST = 64 * 2**20  # bytes of one document: what is longer is a broken file or an archive, and would fill the memory


@dataclass(frozen=True, slots=True)
class Partition:
    """A piece of a source that one worker reads on its own; it travels to the worker by pickle.

    ``name`` is unique in the source and holds no local path, ``fingerprint`` changes when the content does, ``bytes``
    is about how much there is to read, ``payload`` is whatever ``read`` needs, ``budget`` is the most bytes of text to
    take from it (None: all).
    """

    name: str
    fingerprint: str
    bytes: int
    payload: Any = None
    budget: int | None = None


@dataclass(slots=True)
class Item:
    """One document as its source gives it: ``raw`` bytes in ``encoding``, or ``text``, and the ``media`` it speaks of.

    ``media`` are the bytes of a picture, sound, clip, episode or array; ``text``, perhaps empty, is its caption or
    description. ``media_type`` is the MIME type of ``media`` where there is one, else of ``raw``; None is plain text.
    ``locator`` says where in the source it lies, and holds no local path. ``None`` leaves a field to the source's
    register entry; an empty ``licence`` says that the entry's licence does not cover this document.
    """

    locator: str
    raw: bytes | None = None
    text: str | None = None
    encoding: str = "utf-8"
    media_type: str | None = None
    media: bytes | None = None
    url: str | None = None
    licence: str | None = None
    licence_evidence: str | None = None
    domain: str | None = None
    language: str | None = None
    title: str | None = None
    meta: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What a reader yields in the place of a document that it could not read; it goes to quarantine."""

    locator: str
    reason: str


class Source(Config):
    """The register entry of a source and how to read it; a kind adds where to look.

    ``licence`` (an SPDX expression) stands for documents that declare none. Raise ``version`` when a change of the
    code changes what is read.
    """

    version: ClassVar[int] = 1
    kind: str
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    description: str | None = None
    url: str | None = None
    licence: str | None = None
    licence_evidence: str | None = None
    acquisition: str | None = None
    period: str | None = None
    personal_data: str | None = None
    domain: str | None = None
    language: str | None = None
    limit: Annotated[Bytes, Field(gt=0)] | None = None

    def partitions(self) -> list[Partition]:
        """Lists what there is to read, always in the same order, without reading it. Raises DataError."""
        raise NotImplementedError

    def read(self, partition: Partition) -> Iterator[Item | Unreadable]:
        """The documents of one partition, always in the same order."""
        raise NotImplementedError

    def fingerprint(self) -> str:
        """A digest of what the source would read now."""
        return fingerprint(self.partitions())


def needs(module: str, what: str, extra: str) -> Any:
    """An optional module. Raises DataError, naming the extra that brings it, where it is not installed."""
    from importlib import import_module

    from seedstock.errors import DataError

    try:
        return import_module(module)
    except ImportError:
        raise DataError(f"{what} is not installed", fix=f"pip install 'seedstock[{extra}]'") from None


def fingerprint(partitions: list[Partition]) -> str:
    """The digest of a listing."""
    from seedstock.ledger.ids import digest

    return digest([[part.name, part.fingerprint, part.budget] for part in partitions])


def share(partitions: list[Partition], limit: int | None) -> list[Partition]:
    """Gives each partition its share of ``limit`` by its size, so that a cut takes some of each."""
    from dataclasses import replace

    total = sum(part.bytes for part in partitions)
    if limit is None or not total:
        return partitions
    return [replace(part, budget=-(-limit * part.bytes // total)) for part in partitions]


def sample(sizes: dict[str, int], limit: int | None) -> set[str]:
    """Names whose sizes fit into ``limit`` together, drawn in the order of their digests: some of every folder.

    A name keeps its place in the order whatever else is listed, so that a larger limit adds to a smaller one's sample.
    """
    from hashlib import blake2b

    if limit is None:
        return set(sizes)
    taken, total = set(), 0
    for name in sorted(sizes, key=lambda name: (blake2b(name.encode(), digest_size=16).digest(), name)):
        if total + sizes[name] <= limit:
            taken.add(name)
            total += sizes[name]
    return taken
