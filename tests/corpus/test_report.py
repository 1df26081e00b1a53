"""The summary, the page and the table of a corpus that was really built."""

import base64
import html
import json
import re
import shutil
from collections import Counter
from html.parser import HTMLParser

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from seedstock.corpus import report, samples
from seedstock.corpus.build import build
from seedstock.corpus.config import CorpusConfig
from seedstock.corpus.media import pictures
from seedstock.corpus.phases import FAILED
from seedstock.corpus.signals.emails import Emails
from seedstock.corpus.sources.jsonl import JsonLines
from seedstock.ledger.store import Store
from seedstock.progress import Silent

PROSE = "The gardener of bed {n} keeps her seeds in paper bags, and writes on each of them where plant {n} was found. "
TOKEN = "gh" + "p_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7cF0iL3oR6"
ROWS = [
    *(
        {"id": f"good{n}", "text": PROSE.format(n=n) * 2, "license": "MIT" if n % 2 else "ISC OR GPL-3.0-only"}
        for n in range(12)
    ),
    {"id": "address", "text": "Ask ann.lee@firm.co.uk, she knows. " + PROSE.format(n=78), "license": "MIT"},
    {"id": "key", "text": f"Do not show {TOKEN} to anybody at all. " + PROSE.format(n=79), "license": "MIT"},
    {"id": "kim@firm.co.uk", "text": "Too short.", "license": "MIT"},
    {"id": "free", "text": "<script>alert('x')</script> & more " + PROSE.format(n=80), "license": "GPL-3.0-only"},
    {"id": "lost", "text": f"Write to lou@firm.co.uk\u202e about {TOKEN}. \x1b[31m" + PROSE.format(n=81)},
    *({"id": f"copy{n}", "text": PROSE.format(n=3) * 2, "license": "MIT"} for n in range(3)),
    {"id": "near", "text": (PROSE.format(n=5) * 2) + "Indeed.", "license": "MIT"},
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("report")
    path = place / "web.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS) + "not json\n")
    config = CorpusConfig(policy="code-and-docs", held_out="20 %")
    source = JsonLines(name="web", path=str(path), domain="docs")
    return build([source], config, seed=1, key=b"k" * 32, store=Store(place), reporter=Silent(), workers=0)


@pytest.fixture(scope="module")
def summary(folder):
    return report.summarise(folder)


def tables(folder, name):
    return pa.concat_tables([pq.read_table(path) for path in sorted((folder / name).glob("*.parquet"))]).to_pylist()


def test_the_summary_counts_what_the_tables_say(folder, summary):
    documents, decisions = tables(folder, "documents"), tables(folder, "decisions")
    pairs = list(zip(documents, decisions, strict=True))

    def count(chosen):
        found = [document["bytes"] for document, decision in pairs if chosen(decision)]
        return {"documents": len(found), "bytes": sum(found)}

    assert summary["read"] == count(lambda row: True) == {"documents": len(ROWS), "bytes": summary["read"]["bytes"]}
    assert summary["kept"] == count(lambda row: row["decision"] != "dropped")
    assert summary["changed"] == count(lambda row: row["decision"] == "changed")
    assert summary["dropped"] == count(lambda row: row["decision"] == "dropped")
    assert summary["held_out"] == count(lambda row: row["split"] == "held_out")
    assert summary["quarantine"] == 1
    steps = Counter((row["phase"], row["step"], row["reason"]) for row in decisions if row["decision"] == "dropped")
    assert {(row["phase"], row["step"], row["reason"]): row["documents"] for row in summary["flow"]} == steps
    assert sum(row["bytes"] for row in summary["flow"]) == summary["dropped"]["bytes"]
    for name in ("by_source", "by_domain", "by_language", "by_licence"):
        groups = summary[name].values()
        assert sum(group["bytes"] for group in groups) == summary["read"]["bytes"]
        assert sum(group["kept_documents"] for group in groups) == summary["kept"]["documents"]
    assert {"ISC OR GPL-3.0-only", "MIT", "GPL-3.0-only", "undeclared"} == set(summary["by_licence"])
    assert summary["edits"]["emails"] == {"edits": 1, "documents": 1}


def test_the_summary_counts_clusters(folder, summary):
    clusters = Counter(row["cluster"] for row in tables(folder, "decisions") if row["cluster"] >= 0)
    found = summary["duplicates"]
    assert found["clusters"] == len(clusters) and found["documents"] == sum(clusters.values())
    assert found["removed"] == found["documents"] - found["clusters"] == 4
    assert found["sizes"] == {str(size): count for size, count in Counter(clusters.values()).items()}
    assert [row["size"] for row in found["largest"]] == sorted(clusters.values(), reverse=True)


def test_the_summary_is_what_the_corpus_keeps_and_holds_no_text(folder, summary):
    assert json.loads((folder / "summary.json").read_text()) == summary
    assert "gardener" not in json.dumps(summary) and "good1" not in json.dumps(summary)


class Page(HTMLParser):
    """Collects the text, and checks that every element is closed in order."""

    VOID = ("meta", "br", "link", "img", "hr")

    def __init__(self, page):
        super().__init__()
        self.open, self.text, self.tags = [], [], Counter()
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        assert not any(name == "src" or name.startswith("on") for name, _ in attrs)
        assert all(value.startswith("#") for name, value in attrs if name == "href")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def page(folder):
    return (folder / "report.html").read_text(encoding="utf-8")


def test_the_page_is_well_formed_and_stands_alone(page):
    found = Page(page)
    assert found.tags["script"] == 0 and found.tags["h1"] == found.tags["main"] == 1
    assert found.tags["caption"] == found.tags["table"]
    assert '<html lang="en">' in page and "http" not in page.replace("http-equiv", "")


def test_the_page_shows_steps_reasons_and_samples(page, summary):
    text = " ".join(Page(page).text)
    for row in summary["flow"]:
        assert row["reason"] in text
    assert "web.jsonl#free" in text and "gardener of bed 80" in text
    for name in summary["by_licence"]:
        assert name in text


def test_a_document_cannot_write_into_the_page(page):
    assert html.escape("<script>alert(") in page
    assert "<script>" not in page and "\u202e" not in page and "\x1b" not in page


def test_no_personal_data_is_shown(page):
    assert "firm.co.uk" not in page and TOKEN not in page
    assert "&lt;email&gt;" in page and "&lt;secret&gt;" in page


def test_redaction_takes_out_all_and_nothing_else():
    text = f"größe ann@here.org and {TOKEN}: user://x:hunter-two9@host.net/ end"
    assert samples.redacted(text) == "größe <email> and <secret>: user://x:<secret>@host.net/ end"
    assert samples.redacted("") == "" and samples.redacted("nothing") == "nothing"


def test_what_the_signals_fail_on_is_not_shown_and_stops_nothing(folder, summary, monkeypatch):
    whole = Emails.compute

    def compute(self, batch):
        if "bed 3 " in batch["text"][0].as_py():
            raise RecursionError
        return whole(self, batch)

    monkeypatch.setattr(Emails, "compute", compute)
    found, drawn = samples.draw(folder, each=100), [*summary["duplicates"]["largest"]]
    texts = [sample.excerpt for group in found.values() for sample in group]
    assert texts and not any("bed 3 " in text for text in texts)
    assert len(samples.largest_clusters(folder, drawn)) == len(drawn)


def test_documents_that_a_signal_failed_on_are_not_read_again(tmp_path, monkeypatch):
    def compute(self, batch):
        if "POISON" in "".join(batch["text"].to_pylist()):
            raise ValueError
        return self.batch(spans=[[]] * len(batch), count=[0] * len(batch))

    monkeypatch.setattr(Emails, "compute", compute)
    path, read = tmp_path / "web.jsonl", []
    path.write_text("".join(json.dumps({"text": PROSE.format(n=n) + "POISON" * (n == 7)}) + "\n" for n in range(9)))
    config = CorpusConfig(policy={"signals": [{"kind": "emails"}]}, dedup=None, held_out="10 %")
    monkeypatch.setattr(samples, "redacted", lambda text: read.append(text) or text)
    folder = build(
        [JsonLines(name="web", path=str(path), licence="MIT")],
        config,
        seed=1,
        key=b"k" * 32,
        store=Store(tmp_path),
        reporter=Silent(),
        workers=0,
    )
    assert read and not any("POISON" in text for text in read)
    assert [row["reason"] for row in report.summarise(folder)["flow"]] == [FAILED]


def test_an_excerpt_is_short():
    long = samples.excerpt("word " * 10_000 + "\n" * 50)
    assert len(long) <= samples.CHARACTERS + 2 and long.endswith(" …")
    assert samples.excerpt("\n\n a\n\n b \n") == "a\n b"
    assert samples.excerpt("1\n" * 50).count("\n") == samples.LINES - 1


def test_the_page_is_the_same_whenever_it_is_written(folder, page, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / "report.html").unlink()
    # A summary that comes back from JSON has its names in another order.
    report.write_report(copy, json.loads((copy / "summary.json").read_text()))
    assert (copy / "report.html").read_text(encoding="utf-8") == page


def test_the_table_shows_the_same_numbers(summary):
    console = Console(width=140, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    console.print(report.table(summary))
    text = console.export_text()
    assert all(row["reason"] in text for row in summary["flow"])
    assert report.number(summary["kept"]["documents"]) in text and report.size(summary["kept"]["bytes"]) in text


def test_a_corpus_without_documents(tmp_path):
    summary = report.summarise(tmp_path)
    assert summary["read"] == {"documents": 0, "bytes": 0}
    report.write_report(tmp_path, summary)
    assert "Nothing was kept" in (tmp_path / "report.html").read_text()
    Console(file=open("/dev/null", "w")).print(report.table(summary))  # noqa: SIM115, PTH123


def test_long_groups_are_cut_and_added_up():
    groups = {f"l{n}": {"documents": 1, "bytes": n, "kept_documents": 1, "kept_bytes": n} for n in range(40)}
    shown = report._shown(groups)
    assert len(shown) == report.SHOWN + 1 and shown[0][0] == "l39" and shown[-1][0] == "15 others"
    assert sum(counts["bytes"] for _, counts in shown) == sum(range(40))


@pytest.mark.parametrize(
    "value, text", [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (24_000_000, "24.0 MB"), (3e12, "3.0 TB")]
)
def test_sizes_are_decimal(value, text):
    assert report.size(value) == text


def test_the_page_shows_pictures_small_and_without_what_was_written_beside_them(tmp_path):
    from made_media import picture

    from seedstock.corpus.sources.images import Images

    for number, label in enumerate(("cats", "dogs", "cats", "dogs")):
        folder = tmp_path / "pictures" / label
        folder.mkdir(parents=True, exist_ok=True)
        data = picture("JPEG", (400, 300), seed=number, comment=b"taken by ann at home")
        (folder / f"{number}.jpg").write_bytes(data)
    config = CorpusConfig(policy="none", dedup=None, held_out=0)
    source = Images(name="pictures", path=str(tmp_path / "pictures"))
    folder = build([source], config, seed=1, key=b"k" * 32, store=Store(tmp_path), reporter=Silent(), workers=0)
    page = (folder / "report.html").read_text(encoding="utf-8")
    shown = [base64.b64decode(one) for one in re.findall(r'<img src="data:image/jpeg;base64,([^"]+)" alt="">', page)]
    assert len(shown) == 3
    for one in shown:
        assert pictures.describe(one)["width"] == 160 and b"ann" not in one


@pytest.fixture(scope="module")
def selected(tmp_path_factory):
    place = tmp_path_factory.mktemp("selected")
    path = place / "web.jsonl"
    rows = [
        {"id": n, "text": PROSE.format(n=n) * 2, "lang": ("en", "sco")[n % 3 == 0], "domain": f"d{n % 2}"}
        for n in range(60)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    steps = [
        {"kind": "quota", "by": ["language"], "documents": {"en": 20, "*": 5}},
        {"kind": "curriculum", "score": "gopher.words", "bands": 2},
    ]
    config = CorpusConfig(policy={"signals": ["gopher"]}, dedup=None, held_out="10 %", select=steps)
    source = JsonLines(name="web", path=str(path), fields={"language": "lang"})
    return build([source], config, seed=1, key=b"k" * 32, store=Store(place), reporter=Silent(), workers=0)


def test_the_page_shows_what_a_selection_kept(selected):
    page = (selected / "report.html").read_text(encoding="utf-8")
    decisions = tables(selected, "decisions")
    text = " ".join(Page(page).text)
    assert '<a href="#selection">' in page and '<h2 id="selection">' in page
    found = json.loads((selected / "summary.json").read_text())["select"]
    assert [entry["step"] for entry in found] == ["quota"]
    kept = [row for row in decisions if row["split"] == "train"]
    assert found[0]["kept_documents"] == len(kept) == 25
    assert found[0]["documents"] == len(kept) + sum(row["phase"] == "select" for row in decisions)
    by = Counter(row["language"] for row in kept)
    assert by == {"en": 20, "sco": 5}
    assert {name: counts["kept_documents"] for name, counts in found[0]["by_language"].items()} == by
    assert "quota: by domain and language" in text and "language: sco" in text
    rows = re.findall(r'<tr><th scope="row">quota.*?</tr>', page)
    assert next(re.sub(r"<[^>]+>", " ", row).split() for row in rows)[:3] == ["quota", str(found[0]["documents"]), "25"]
