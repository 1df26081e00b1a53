"""The place of extraction in reading: items of HTML come out with their text, facts and map; others as they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from seedstock.corpus.extract.config import ExtractConfig
from seedstock.corpus.sources.base import Item, Unreadable
from seedstock.corpus.sources.webpage import HTML
from seedstock.errors import SeedstockError

if TYPE_CHECKING:
    from seedstock.corpus.extract.spans import SpanMap


@dataclass(slots=True)
class Traced(Item):
    """A document whose text was made from its raw bytes, with the map back."""

    map: SpanMap | None = None


def extracted(items: Iterable[Item | Unreadable], config: ExtractConfig) -> Iterator[Item | Unreadable]:
    """Pages with their text; a page that cannot be extracted becomes ``Unreadable``, and the rest goes on."""
    for item in items:
        if isinstance(item, Item) and item.media_type in HTML and item.raw is not None and item.text is None:
            try:
                yield _extract(item, item.raw, config)
            except SeedstockError:
                raise
            except Exception as error:  # the extractors of other packages promise nothing
                said = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
                yield Unreadable(item.locator, f"cannot be extracted: {said[:300]}")
        else:
            yield item


def _extract(item: Item, raw: bytes, config: ExtractConfig) -> Traced:
    from seedstock.corpus.extract.page import extract

    charset = item.meta.get("charset") or (item.encoding if item.encoding != "utf-8" else None)
    found = extract(raw, config, charset=charset, url=item.url)
    made = Traced(**{each.name: getattr(item, each.name) for each in fields(Item)}, map=found.map)
    made.text = found.text
    made.title = item.title or found.facts.get("title")
    facts = {name: value for name, value in found.facts.items() if name != "title" or value != made.title}
    made.meta = {**item.meta, "extract": found.meta(), **({"page": facts} if facts else {})}
    if found.rights:
        made.meta["rights"] = found.rights
    return made
