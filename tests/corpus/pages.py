"""Pages of HTML for tests: written by hand, damaged on purpose, and the labelled ones of the data pack."""

from __future__ import annotations

import gzip
import json
import tarfile
from pathlib import Path

PROSE = [
    "The harbour was quiet when the first boats came in, and nobody on the quay asked what they carried.",
    "By noon the market had filled, and the price of herring was lower than it had been in ten years.",
    "Old Marta counted the crates twice, wrote the number down, and shut the book without a word.",
    "It was said afterwards that the storm had been seen from the lighthouse long before it came.",
]
PAGE = """<!DOCTYPE html><html lang="en"><head><title>The harbour | Coast News</title>
<meta charset="utf-8"><meta name="author" content="A. Writer"><meta property="og:title" content="The harbour">
<meta property="article:published_time" content="2024-05-06T07:08:09Z"><link rel="canonical" href="/harbour">
<link rel="license" href="https://creativecommons.org/licenses/by/4.0/"><meta name="robots" content="noai">
<script>var a = "<p>never a text</p>";</script></head><body>
<nav class="menu"><ul><li><a href="/">Home</a></li>
<li><a href="/news">News</a></li><li><a href="/x">Sport</a></li></ul></nav>
<main><article class="article-body"><h1>The harbour</h1>
%s
<pre>one
  two</pre></article></main>
<aside class="sidebar related"><ul>
<li><a href="/1">Ten boats you must see</a></li><li><a href="/2">More news</a></li></ul></aside>
<footer class="footer"><p>Copyright Coast News. <a href="/legal">Legal</a></p></footer></body></html>"""


def page(paragraphs: list[str] = PROSE) -> str:
    """A plain article with navigation around it."""
    return PAGE % "\n".join(f"<p>{text}</p>" for text in paragraphs)


def labelled(data_pack: Path, every: int = 1) -> dict[str, tuple[bytes, str]]:
    """(page, article text) of the labelled pages of the data pack, by name."""
    with tarfile.open(data_pack / "web" / "article-extraction-benchmark.tar") as archive:
        files = {Path(one.name).name: archive.extractfile(one).read() for one in archive if one.isfile()}
    truth = json.loads(files["ground-truth.json"])
    names = sorted(truth)[::every]
    return {name: (gzip.decompress(files[f"{name}.html.gz"]), truth[name]["articleBody"]) for name in names}
