"""What the sources of pictures, sounds and clips share: a file is a document, what lies beside it is its caption."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator

from seedstock.corpus.media.types import Undecodable, sniff
from seedstock.corpus.sources.base import Item, Partition, Source, Unreadable, share
from seedstock.corpus.sources.captions import MediaFields, captions, table
from seedstock.corpus.sources.members import Group, groups, partitions, suffix_of

BESIDE = (".txt", ".json", ".cls")
_SPECIAL = ("text", "language", "group", "title")  # named groups of a pattern that are more than meta


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is not a regular expression: {error}") from None
    return text


class MediaFiles(Source):
    """Files in folders, globs and tar archives (plain or compressed), decoded once to know that they can be.

    What says more of a file: ``NAME.txt``, ``NAME.json`` and ``NAME.cls`` (its label) beside it; ``captions``, a table
    for a folder (JSONL, CSV, TSV, Parquet) whose ``fields.file`` names the files; ``pattern``, a regular expression
    over the file's name, whose named groups go into its meta (``text``, ``language``, ``title`` and ``group`` have
    their meaning); ``label: folder``, the name of the folder that it lies in. Where several give a caption the first of
    these is taken.
    ``limit`` counts files as they are stored, and takes a share of each partition.
    """

    path: str | list[str]
    captions: str | None = None
    fields: MediaFields = MediaFields()
    pattern: Annotated[str, AfterValidator(_pattern)] | None = None
    label: Literal["folder"] | None = None
    languages: tuple[str, ...] | None = None

    suffixes: ClassVar[tuple[str, ...]] = ()
    family: ClassVar[str] = "application"  # what a file is taken for: the first half of its MIME type, for who reads it
    types: ClassVar[tuple[str, ...]] = ()  # beginnings of the MIME types that it takes
    thing: ClassVar[str] = "file"
    paired: ClassVar[bool] = False  # whether nothing is a document without a caption

    def described(self, data: bytes) -> dict[str, Any]:
        """What is inside, as meta. Raises Undecodable."""
        raise NotImplementedError

    def partitions(self) -> list[Partition]:
        where = f"source {self.name!r}"
        if self.captions is None:
            return share(partitions(self.path, (*self.suffixes, *BESIDE), where), self.limit)
        records = table(self.captions, self.fields, where)
        listed = partitions(self.path, self.suffixes, where, records)
        present = {name for part in listed if part.payload[0] == "files" for _, name in part.payload[1]}
        lost = sorted(records.keys() - present)
        if lost:
            listed.append(Partition("captions", _mark(lost), 0, ("lost", lost)))
        return share(listed, self.limit)

    def read(self, partition: Partition) -> Iterator[Item | Unreadable]:
        if partition.payload[0] == "lost":
            for name in partition.payload[1]:
                yield Unreadable(name, f"a caption without its {self.thing}")
            return
        for group in groups(partition):
            if isinstance(group, Unreadable):
                yield group
            else:
                yield from self._documents(group)

    def _documents(self, group: Group) -> Iterator[Item | Unreadable]:
        own = [name for name in group.members if suffix_of(name) in self.suffixes]
        beside = {suffix_of(name): data for name, data in group.members.items() if suffix_of(name) in BESIDE}
        if not own:
            if beside:  # else a member of another kind, which is none of this source's
                yield Unreadable(group.key, f"a caption without its {self.thing}")
            return
        try:
            record = self._record(group, beside)
        except ValueError as error:
            yield Unreadable(group.key, f"what lies beside it cannot be read: {str(error).splitlines()[0]}")
            return
        for name in own:
            yield from self.items(name, group.members[name], record)

    def _record(self, group: Group, beside: dict[str, bytes]) -> dict[str, Any]:
        record = dict(group.record or {})
        if ".json" in beside:
            loaded = json.loads(beside[".json"].decode())
            if not isinstance(loaded, dict):
                raise ValueError("the .json is not an object")
            record |= loaded
        if ".txt" in beside:
            record[self.fields.text] = beside[".txt"].decode().strip()
        if ".cls" in beside:
            record["label"] = beside[".cls"].decode().strip()
            if not self.paired:
                record.setdefault(self.fields.text, record["label"])
        return record

    def items(self, name: str, data: bytes, record: dict[str, Any]) -> Iterator[Item | Unreadable]:
        """The documents of one file: one, or one a language where its captions come in several."""
        kind = sniff(data)
        try:
            if kind is not None and not kind.startswith(self.types):
                raise Undecodable(f"its bytes are {kind}, not a {self.thing}")
            meta = self.described(data)
        except Undecodable as error:
            yield Unreadable(name, str(error))
            return
        named = self._named(name)
        texts = captions(self.fields, record)
        if self.languages is not None:
            texts = [entry for entry in texts if entry[1] is None or entry[1] in self.languages]
        if not texts and named.get("text"):
            texts = [(named["text"], None, [])]
        if self.paired and not texts:
            yield Unreadable(name, f"a {self.thing} without its caption")
            return
        own = self.fields.rest(record)
        meta |= own | {key: value for key, value in named.items() if key not in _SPECIAL}
        if own.get("label") is not None and self._folder(name) == named.get("label"):
            meta["label"] = own["label"]  # what is said of a file itself stands before the folder that it lies in
        group = self.fields.take(record, "group") or named.get("group") or (name if len(texts) > 1 else None)
        if group is not None:
            meta["split_group"] = str(group)
        licence = self.fields.take(record, "licence")
        evidence = self.fields.take(record, "licence_evidence")
        title = self.fields.take(record, "title") or named.get("title")
        url = self.fields.take(record, "url")
        for text, language, others in texts or [("", None, [])]:
            yield Item(
                locator=f"{name}#{language}" if len(texts) > 1 else name,
                text=text,
                media_type=self._type(name, kind),
                media=data,
                url=str(url) if url else None,
                licence=str(licence) if licence else None,
                licence_evidence=str(evidence or f"the field {self.fields.licence!r} of its record")
                if licence
                else None,
                language=language or named.get("language") or self.language,
                title=str(title) if title else None,
                meta=meta | ({"captions": others} if others else {}),
            )

    def _type(self, name: str, kind: str | None) -> str:
        """A GIF or an Ogg file that is taken for a clip is ``video/x-gif`` or ``video/x-ogg``."""
        if kind is not None and kind.startswith(f"{self.family}/"):
            return kind
        return f"{self.family}/x-{(kind or suffix_of(name)).replace('.', '/').rpartition('/')[2]}"

    def _named(self, name: str) -> dict[str, str]:
        """What the file's name says of it."""
        found: dict[str, str] = {}
        if folder := self._folder(name):
            found["label"] = found["text"] = folder
        if self.pattern and (match := re.search(self.pattern, PurePosixPath(name).name)):
            found |= {key: value for key, value in match.groupdict().items() if value is not None}
        return found

    def _folder(self, name: str) -> str | None:
        """The folder that a file lies in, where that is its label."""
        folder = PurePosixPath(name).parent.name
        return folder if self.label == "folder" and folder and not folder.endswith(".tar") else None


def _mark(names: list[str]) -> str:
    from seedstock.ledger.ids import digest

    return digest(names)
