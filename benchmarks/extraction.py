"""Every way of extraction beside its peers: agreement with labelled pages, and pages a second on one core.

``OMP_NUM_THREADS=1 python benchmarks/extraction.py --articles TAR [--pages WCXB] [--peers justext,readability]
[--plot FILE]``.
Each extractor reads the same bytes in one process; passes alternate, and the best of ``--rounds`` counts (CPU time).
``text`` is text alone; ``all`` adds title, author, date, rights and, for ours, the map back to the bytes.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import extraction_data as data

from seedstock.corpus.extract import page as ours
from seedstock.corpus.extract.config import ExtractConfig
from seedstock.corpus.extract.encoding import decode
from seedstock.corpus.extract.reading import Reading

Extractor = Callable[[bytes], str]


def text_alone(kind: str) -> Extractor:
    config = ExtractConfig(kind=kind)
    return lambda raw: ours._take(Reading(raw, decode(raw)), config)[0].text


def everything(kind: str) -> Extractor:
    config = ExtractConfig(kind=kind)
    return lambda raw: ours.extract(raw, config).text


def extractors(peers: list[str]) -> dict[str, Extractor]:
    import trafilatura
    from resiliparse.extract.html2text import extract_plain_text

    def plain(raw: bytes) -> str:
        return raw.decode("utf-8", "replace")

    def with_facts(raw: bytes) -> str:
        found = trafilatura.bare_extraction(plain(raw), include_comments=False, with_metadata=True)
        return (found.text if found else "") or ""

    def take(**options: bool) -> Extractor:
        return lambda raw: trafilatura.extract(plain(raw), include_comments=False, **options) or ""

    found: dict[str, Extractor] = {
        "trafilatura, default": take(),
        "trafilatura, default, all": with_facts,
        "trafilatura, fast": take(fast=True),
        "trafilatura, precision": take(favor_precision=True),
        "resiliparse, main content": lambda raw: extract_plain_text(plain(raw), main_content=True, comments=False),
    }
    if "justext" in peers:
        justext = import_module("justext")
        stop = justext.get_stoplist("English")
        found["jusText"] = lambda raw: "\n".join(p.text for p in justext.justext(raw, stop) if not p.is_boilerplate)
    if "readability" in peers:
        readability, html = import_module("readability"), import_module("lxml.html")
        found["readability-lxml"] = lambda raw: html.fromstring(
            readability.Document(plain(raw)).summary() or "<p></p>"
        ).text_content()
    if "inscriptis" in peers:
        inscriptis = import_module("inscriptis")
        found["inscriptis"] = lambda raw: inscriptis.get_text(plain(raw))
    for kind in ("router", "lines", "fast", "quality", "union", "all-text"):
        found[f"ours, {kind}, text"] = text_alone(kind)
    found["ours, router, all"] = everything("router")
    return found


def tried(take: Extractor, raw: bytes) -> str:
    try:
        return take(raw)
    except Exception:  # a peer that fails on a page scores nothing there
        return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--articles", type=Path, required=True)
    parser.add_argument("--pages", type=Path)
    parser.add_argument("--peers", default="")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="a regular expression of the names to measure")
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    articles = data.articles(options.articles)
    _, report = data.halves(articles)
    others = data.kinds_of_pages(options.pages, "test") if options.pages else []
    every = extractors(options.peers.split(","))
    chosen = {name: take for name, take in every.items() if re.search(options.only, name)}
    seconds = dict.fromkeys(chosen, float("inf"))
    texts: dict[str, dict[str, str]] = {}
    for _ in range(options.rounds):
        for name, take in chosen.items():
            began = time.process_time()
            texts[name] = {page.name: tried(take, page.html) for page in articles}
            seconds[name] = min(seconds[name], time.process_time() - began)
    base = seconds.get("trafilatura, default")
    print("| | F1 | P | R | F1, reported half | pages/s | of trafilatura | " + "WCXB test | articles |" * bool(others))
    points = []
    for name, take in chosen.items():
        f1, precision, recall = data.mean_f1(articles, lambda page, name=name: texts[name][page.name])
        half = data.mean_f1(report, lambda page, name=name: texts[name][page.name])[0]
        speed = len(articles) / seconds[name]
        row = f"| {name} | {f1:.4f} | {precision:.4f} | {recall:.4f} | {half:.4f} | {speed:.0f} "
        row += f"| {base / seconds[name]:.2f} |" if base else "| |"
        if others and not name.endswith(", all"):
            scores = {page.name: data.word_f1(tried(take, page.html), page.text) for page in others}
            kinds = sorted({page.kind for page in others})
            by = {kind: [scores[page.name] for page in others if page.kind == kind] for kind in kinds}
            row += f" {sum(scores.values()) / len(scores):.3f} | "
            row += ", ".join(f"{kind} {sum(own) / len(own):.3f}" for kind, own in by.items()) + " |"
        print(row, flush=True)
        points.append((name, speed, f1))
    if options.plot:
        draw(points, options.plot)


def draw(points: list[tuple[str, float, float]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4.5))
    for name, speed, f1 in points:
        mine = name.startswith("ours")
        axes.plot(speed, f1, "o" if mine else "s", color="tab:blue" if mine else "tab:gray")
        axes.annotate(name, (speed, f1), textcoords="offset points", xytext=(5, 4), fontsize=7)
    axes.set(xscale="log", xlabel="pages a second, one core", ylabel="F1, 181 articles")
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path)


if __name__ == "__main__":
    main()
