"""The two labelled sets of pages that extraction is fitted and scored on, and their measures of agreement."""

from __future__ import annotations

import gzip
import io
import json
import re
import tarfile
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse

WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Page:
    """A page with the text that people marked as its content; ``kind`` is article, forum, product, …."""

    name: str
    url: str
    html: bytes
    text: str
    kind: str = "article"


def articles(tar: Path) -> list[Page]:
    """The 181 news pages of the article extraction benchmark (Scrapinghub 2020), from an archive of it."""
    with tarfile.open(tar) as archive:
        files = {Path(member.name).name: archive.extractfile(member).read() for member in archive if member.isfile()}  # type: ignore[union-attr]
    truth = json.loads(files["ground-truth.json"])
    return [
        Page(name, truth[name]["url"], gzip.decompress(files[f"{name}.html.gz"]), truth[name]["articleBody"])
        for name in sorted(truth)
    ]


def halves(pages: list[Page]) -> tuple[list[Page], list[Page]]:
    """(to tune on, to report), by the first digit of a page's name, which is a digest."""
    return [p for p in pages if int(p.name[0], 16) % 2 == 0], [p for p in pages if int(p.name[0], 16) % 2 == 1]


def kinds_of_pages(folder: Path, split: str) -> list[Page]:
    """A split ("dev" or "test") of WCXB (Foley 2026): pages of seven kinds, CC-BY-4.0."""
    found = []
    for path in sorted((folder / split / "ground-truth").glob("*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        text = record["ground_truth"].get("main_content") or ""
        kind = record.get("_internal", {}).get("page_type", {}).get("primary", "")
        data = (folder / split / "html" / f"{path.stem}.html.gz").read_bytes()
        html = gzip.GzipFile(fileobj=io.BytesIO(data)).read()
        if len(text) > 50:
            found.append(Page(f"{split}/{path.stem}", record.get("url") or "", html, text, kind))
    return found


def without(pages: list[Page], others: Iterable[Page]) -> list[Page]:
    """Those pages whose host has no page among the others."""
    hosts = {urlparse(page.url).netloc for page in others}
    return [page for page in pages if urlparse(page.url).netloc not in hosts]


def shingles(text: str) -> Counter[tuple[str, ...]]:
    """The multiset of four words in a row (of all words where there are fewer)."""
    words = WORD.findall(text)
    return Counter(tuple(words[at : at + 4]) for at in range(max(1, len(words) - 3))) if words else Counter()


def shingle_score(found: str, truth: str) -> tuple[float, float]:
    """(precision, recall) of shingles: the measure of the article extraction benchmark."""
    ours, theirs = shingles(found), shingles(truth)
    both = (ours & theirs).total()
    if ours == theirs:
        return 1.0, 1.0
    return both / max(1, ours.total()), both / max(1, theirs.total())


def mean_f1(pages: list[Page], extract: Callable[[Page], str]) -> tuple[float, float, float]:
    """(F1 of the means, mean precision, mean recall) over pages, by shingles."""
    scores = [shingle_score(extract(page), page.text) for page in pages]
    precision, recall = (sum(column) / len(scores) for column in zip(*scores, strict=True))
    return 2 * precision * recall / (precision + recall), precision, recall


def word_f1(found: str, truth: str) -> float:
    """F1 of the multisets of lower-case words: the measure of WCXB."""
    ours, theirs = (Counter(WORD.findall(text.lower())) for text in (found, truth))
    both = (ours & theirs).total()
    return 2 * both / (ours.total() + theirs.total()) if both else 0.0
