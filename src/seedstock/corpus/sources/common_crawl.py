"""Pages and WARC files by a list of addresses, fetched over HTTP as a good guest."""

from __future__ import annotations

import io
import json
import re
import tempfile
import time
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import Field, field_validator

from seedstock.config import Bytes
from seedstock.corpus.sources.base import LONGEST, Item, Partition, Source, Unreadable, needs, share
from seedstock.corpus.sources.fetch import Fetch, Fetcher, Refused
from seedstock.corpus.sources.files import find, printable, problem, stem, stream
from seedstock.corpus.sources.ranges import Piece
from seedstock.corpus.sources.streams import raw
from seedstock.corpus.sources.warc import Types, records
from seedstock.corpus.sources.webpage import TYPES, decoded, page
from seedstock.errors import DataError
from seedstock.ledger.ids import digest

STEP = 8 * 2**20  # bytes of a WARC file that are asked for at once
TOGETHER = 100  # pages or ranges of one partition
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)$")
_ABOUT = 30_000  # bytes that a page is taken for, before it is fetched


class Place(NamedTuple):
    """A page, a WARC file, or ``length`` bytes of one from ``offset`` on."""

    url: str
    offset: int | None = None
    length: int | None = None

    @property
    def archive(self) -> bool:
        return self.length is not None or stem(self.url).lower().endswith((".warc", ".wet"))


class CommonCrawl(Source):
    """Pages by a list of addresses; ``path`` names text files, plain or compressed, with one on each line:

    the address or path of a WARC or WET file, as Common Crawl publishes them; ``FILE OFFSET LENGTH``, or a line of its
    URL index (JSON with filename, offset and length); or the address of a page. Paths are below ``base``.

    ``fetch`` says who asks and how; robots.txt is obeyed, a host that is busy is asked again later, and one that opts
    out (X-Robots-Tag) is left alone. What is gone, forbidden, too long or of no known type goes to quarantine. What is
    found depends on the day: a list that is unchanged is taken to give what it gave, and is not fetched again.
    """

    version: ClassVar[int] = 2
    kind: Literal["common-crawl"] = "common-crawl"
    acquisition: str | None = "fetched over HTTP by a list of addresses"
    path: str | list[str]
    fetch: Fetch
    base: str = "https://data.commoncrawl.org/"
    status: tuple[int, ...] = (200,)
    content_types: Types = TYPES
    largest: Annotated[Bytes, Field(gt=0)] = 4 * 2**30

    @field_validator("base")
    @classmethod
    def _ends_with_a_slash(cls, base: str) -> str:
        return base if base.endswith("/") else f"{base}/"

    def partitions(self) -> list[Partition]:
        parts, seen = list[Partition](), set[Place]()
        for file in find(self.path, (".txt", ".urls", ".paths", ".tsv", ".cdx", ".jsonl"), f"source {self.name!r}"):
            chunk = list[Place]()
            for number, place in enumerate(self._places(file.path, file.name), 1):
                if place in seen:
                    continue
                seen.add(place)
                chunk.append(place)
                whole = place.archive and place.length is None
                if whole or len(chunk) >= TOGETHER:
                    parts.append(_partition(f"{file.name}:{number}", chunk))
                    chunk = []
            if chunk:
                parts.append(_partition(f"{file.name}:end", chunk))
        return share(parts, self.limit)

    def read(self, partition: Partition) -> Iterator[Item | Unreadable]:
        fetcher = Fetcher(self.fetch)
        for place in partition.payload:
            try:
                if place.archive:
                    yield from self._archive(place, fetcher)
                else:
                    yield self._page(place.url, fetcher)
            except (Refused, OSError, ValueError) as error:
                yield Unreadable(_locator(place), f"not fetched: {problem(error)}")

    def _places(self, path: str, name: str) -> Iterator[Place]:
        try:
            with stream(path) as file:
                for number, line in enumerate(io.TextIOWrapper(file, "utf-8"), 1):
                    if line.strip() and not line.startswith("#"):
                        try:
                            yield self._place(line.strip())
                        except (ValueError, KeyError, TypeError):
                            raise DataError(
                                "not an address, nor FILE OFFSET LENGTH, nor a line of a URL index",
                                where=f"source {self.name!r}: {name}:{number}",
                                fix="mend or remove the line",
                            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"cannot be read: {problem(error)}", where=f"source {self.name!r}: {name}") from error

    def _place(self, line: str) -> Place:
        if "{" in line[:300] and line.endswith("}"):
            record = json.loads(line[line.index("{") :])
            return Place(self._url(record["filename"]), int(record["offset"]), int(record["length"]))
        words = line.split()
        if len(words) == 3:
            place = Place(self._url(words[0]), int(words[1]), int(words[2]))
            if not (place.offset or 0) >= 0 < (place.length or 0):
                raise ValueError(line)
            return place
        if len(words) != 1 or ("://" not in line and not Place(line).archive):
            raise ValueError(line)
        return Place(self._url(line))

    def _url(self, path: str) -> str:
        return path if "://" in path else self.base + path.lstrip("/")

    def _page(self, url: str, fetcher: Fetcher) -> Item | Unreadable:
        answer = fetcher.fetch(url)
        kind, _, rest = answer.headers.get("content-type", "").partition(";")
        kind = kind.strip().lower()
        if kind not in self.content_types:
            return Unreadable(printable(url), f"its type is {kind[:80] or 'not told'}")
        charset = re.search(r"charset=[\"']?([A-Za-z0-9._:-]+)", rest)
        body = decoded(answer.data, answer.headers, self.fetch.longest)
        if len(body) > self.fetch.longest:
            return Unreadable(printable(url), f"longer than {self.fetch.longest} bytes")
        meta = {"date": answer.headers.get("date") or time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())}
        return page(printable(url), body, answer.url, kind, charset[1] if charset else None, answer.headers, meta)

    def _archive(self, place: Place, fetcher: Fetcher) -> Iterator[Item | Unreadable]:
        warc = needs("fastwarc.warc", "fastwarc, which reads WARC files,", "web")
        name = place.url.removeprefix(self.base)
        suffix = "".join(re.findall(r"\.[a-z0-9]{1,5}$", place.url.lower())) or ".gz"
        with tempfile.NamedTemporaryFile(prefix="seedstock-", suffix=suffix) as kept:
            for block in self._blocks(place, fetcher):
                kept.write(block)
            kept.flush()
            piece = Piece(kept.name, printable(name), "")
            with open(kept.name, "rb") as file, raw(kept.name) as beside:  # noqa: PTH123
                yield from records(file, beside, piece, self, warc, place.offset or 0)

    def _blocks(self, place: Place, fetcher: Fetcher) -> Iterator[bytes]:
        """The bytes of a file or of a range of it, in steps, so that one that fails is asked for again alone."""
        at = place.offset or 0
        end = at + min(place.length, LONGEST) if place.length is not None else None
        if place.length is not None and place.length > LONGEST:
            raise Refused(f"the range is longer than {LONGEST} bytes")
        mark: str | None = None
        while end is None or at < end:
            last = min(at + STEP, end or at + STEP) - 1
            headers = {"Range": f"bytes={at}-{last}"} | ({"If-Range": mark} if mark else {})
            answer = fetcher.fetch(place.url, headers, STEP)
            told = _RANGE.match(answer.headers.get("content-range", ""))
            if answer.status != 206 or told is None:
                if at == (place.offset or 0) == 0 and end is None:
                    yield answer.data  # a small file on a server that knows no ranges
                    return
                raise Refused("the server gives no ranges, or the file changed while it was fetched")
            if int(told[1]) != at or len(answer.data) != int(told[2]) - at + 1:
                raise Refused("the server gives another range than was asked for")
            size = int(told[3]) if told[3].isdigit() else None
            if end is None:
                if size is None or size > self.largest:
                    raise Refused(f"the file is longer than {self.largest} bytes")
                end = size
            mark = answer.headers.get("etag") if not answer.headers.get("etag", "W/").startswith("W/") else None
            yield answer.data
            at += len(answer.data)


def _partition(name: str, places: list[Place]) -> Partition:
    size = sum(place.length or (_ABOUT if not place.archive else LONGEST) for place in places)
    return Partition(name, digest([list(place) for place in places]), size, places)


def _locator(place: Place) -> str:
    return printable(place.url) + (f"@{place.offset}" if place.offset is not None else "")
