"""The papers say what the records say, name nobody's machine, and list what nobody said."""

import getpass
import html
import json
import re
import shutil
import socket
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from ruamel.yaml import YAML
from safetensors import safe_open

from seedstock.corpus.reader import Corpus
from seedstock.errors import DataError, SeedstockError
from seedstock.inputs.shards import Shards
from seedstock.ledger import manifest
from seedstock.ledger.chain import Chain
from seedstock.progress import Silent
from seedstock.provenance.close import close
from seedstock.provenance.forget import forget
from seedstock.provenance.verify import verify
from seedstock.release import papers
from seedstock.release.config import ReleaseConfig
from seedstock.release.facts import collect
from seedstock.release.missing import missing
from seedstock.release.records import Records
from seedstock.release.write import write

PAPERS = ["README.md", "model-card.html", "training-content.md", "training-content.html"]


@pytest.fixture(scope="session")
def facts(trained):
    return collect(Records(trained))


def rendered(records):
    facts = collect(records)
    return facts, *papers.render(facts, records.config, missing(records, facts["data"]["sources"]))


def numbers(value):
    """Every number in nested values."""
    if isinstance(value, dict):
        return [found for inner in value.values() for found in numbers(inner)]
    if isinstance(value, list):
        return [found for inner in value for found in numbers(inner)]
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else []


def strings(value):
    if isinstance(value, dict):
        return [found for key, inner in value.items() for found in [str(key), *strings(inner)]]
    if isinstance(value, list):
        return [found for inner in value for found in strings(inner)]
    return [value] if isinstance(value, str) else []


def test_every_printed_figure_is_a_fact_or_follows_from_facts(trained):
    records = Records(trained)
    facts, texts, printed = rendered(records)
    training, lacking = facts["training"], missing(records, facts["data"]["sources"])
    derived = [
        training["tokens"] / facts["model"]["parameters"],
        round(training["time"]["tokens_per_second"]),
        len(lacking),
        *(int(order) for order in facts["evaluation"]["count_models"]["orders"]),
        sum(row["documents"] for row in facts["data"]["steps"]["flow"] if row["phase"] == "decontaminate"),
    ]
    known = {float(number) for number in [*numbers(facts), *derived]}
    assert len(printed) > 300 and {float(value) for value, _ in printed} <= known
    # And nothing that looks like a figure was printed in another way.
    words = strings(facts) + strings(records.config.model_dump()) + strings(lacking) + strings(printed)
    words += [text for _, text in printed] + [path.read_text() for path in papers.TEMPLATES.glob("*.j2")]
    words += [(papers.TEMPLATES.parent / "rows.py").read_text(), papers.front_matter(facts, records.config)]
    allowed = set(re.findall(r"\d[\d.,e+-]*\d|\d", "\n".join(words)))
    for name, text in texts.items():
        text = re.sub(r"<style>.*</style>", "", text, flags=re.DOTALL)
        found = set(re.findall(r"\d[\d.,e+-]*\d|\d", html.unescape(re.sub(r"<[^>]*>", " ", text)).replace("\\", "")))
        assert found <= allowed, (name, sorted(found - allowed))


def test_the_facts_of_the_data_are_those_of_the_tables(trained, facts):
    records = Records(trained)
    corpus, shards = records.stage("corpus"), Shards(records.stage("shards"))
    tokens = {}
    for split in ("train", "held_out"):
        for stratum in shards.strata(split):
            ids, starts = shards.documents(split, stratum.stratum)
            for identity, count in zip(ids, np.diff(starts), strict=True):
                tokens[split, identity.tobytes()] = int(count)
    sums, drops = Counter(), Counter()
    for part in sorted(path.name for path in (corpus / "documents").glob("*.parquet")):
        rows = zip(
            pq.read_table(corpus / "documents" / part).to_pylist(),
            pq.read_table(corpus / "decisions" / part).to_pylist(),
            pq.read_table(next(corpus.glob("signals/licence@*")) / part).to_pylist(),
            strict=True,
        )
        for document, decision, licence in rows:
            if decision["split"]:
                count = tokens.pop((decision["split"], document["id"]))
                groups = [("split", decision["split"])]
                if decision["split"] == "train":
                    groups += [("source", document["source"]), ("licence", licence["expression"])]
                    groups += [("language", decision["language"]), ("domain", document["domain"])]
                for group in groups:
                    sums[(*group, "tokens")] += count
                    sums[(*group, "bytes")] += document["bytes"]
                    sums[(*group, "documents")] += 1
            if decision["decision"] == "dropped":
                drops[decision["phase"], decision["step"], decision["reason"]] += 1
    assert not tokens  # every document in the shards is one that the corpus put there
    data, shown = facts["data"], {}
    for split in ("train", "held_out"):
        shown |= {("split", split, name): data["splits"][split][name] for name in ("tokens", "bytes", "documents")}
    for group in ("source", "licence", "language", "domain"):
        for one in data[f"by_{group}"]:
            shown |= {(group, one["name"], name): one[name] for name in ("tokens", "bytes", "documents")}
            assert one["share"] == one["tokens"] / data["splits"]["train"]["tokens"]
    assert shown == dict(sums)
    assert {(row["phase"], row["step"], row["reason"]): row["documents"] for row in data["steps"]["flow"]} == dict(
        drops
    )
    assert {one["name"]: one["trained"]["tokens"] for one in data["sources"]} == {
        name: sums["source", name, "tokens"] for name in ("modules", "notes")
    }
    assert data["edits"]["email"]["documents"] if "email" in data["edits"] else data["edits"]


def test_the_facts_of_model_training_and_scores_are_those_of_the_files(trained, facts):
    records = Records(trained)
    newest = trained / "checkpoints" / (trained / "checkpoints/latest").read_text().strip()
    with safe_open(newest / "model.safetensors", "np") as tensors:
        count = sum(tensors.get_tensor(name).size for name in tensors.keys())  # noqa: SIM118 - not a dict
    assert facts["model"]["parameters"] == count == sum(facts["model"]["parts"].values())
    state = json.loads((newest / "state.json").read_text())
    training = facts["training"]
    assert (training["step"], training["examples"], training["tokens"]) == (8, state["example"], state["tokens"])
    assert training["tokens"] == training["examples"] * facts["model"]["context"]
    events = [json.loads(line) for line in (trained / "events.jsonl").read_text().splitlines()]
    steps = [event for event in events if event["event"] == "step"]
    assert training["time"]["seconds"] == sum(event["seconds"] for event in steps)
    embedding = facts["model"]["parts"]["embedding"]
    multiplied = count - facts["model"]["parts"].get("vectors", 0) - embedding + 64 * facts["model"]["vocab_size"]
    assert facts["model"]["flops_a_token"]["training"] == 6 * multiplied + 12 * 2 * 64 * 64
    assert training["flops"] == facts["model"]["flops_a_token"]["training"] * training["tokens"]
    assert sum(one["examples"] for one in facts["data"]["strata"]) == training["examples"]
    rows = np.load(trained / "evaluation/documents.npy")
    held_out = facts["evaluation"]["held_out"]
    assert held_out["bits_per_byte"] == pytest.approx(rows["nats"].sum() / np.log(2) / rows["bytes"].sum())
    assert held_out["documents"] == len(rows) == facts["data"]["splits"]["held_out"]["documents"]
    assert facts["records"] == len(records.chain.records) and facts["head"] == records.chain.head


def test_a_release_is_sealed_recorded_and_verified_to_the_last_file(run):
    model = run.parent / "exported"
    model.mkdir()
    (model / "config.json").write_text("{}")
    target = write(run, model_export=model)
    shutil.rmtree(model)
    close(run)
    assert verify(run) == [] and verify(run).closed
    assert sorted(path.name for path in target.iterdir()) == sorted(
        [*PAPERS, "evidence", "facts.json", "manifest.json", "missing.json", "model", "tokenizer"]
    )
    assert manifest.problems(target) == []
    for path in sorted(path for path in target.rglob("*") if path.is_file()):
        data = path.read_bytes()
        path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
        assert str(path) in {problem.file for problem in verify(run)}
        path.write_bytes(data)
    documents = pq.read_table(target / "evidence/documents.parquet")
    names = {"id", "split", "source", "domain", "language", "licence", "bytes", "tokens"}
    assert set(documents.column_names) == names and documents.num_rows == len(set(documents["id"].to_pylist()))
    before = Chain(target / "evidence/chain.jsonl").records
    assert Chain(run / "ledger/chain.jsonl").records[: len(before)] == before
    assert json.loads((target / "facts.json").read_text())["head"] == before[-1]["digest"]


def test_nothing_private_is_released(run):
    target = write(run, model_export=None)
    secrets = [str(Path.home()), str(run.parent), "private-place", str(Path.cwd())]
    for path in target.rglob("*"):
        if path.is_file() and path.suffix != ".parquet":
            text = path.read_text(errors="replace")
            for secret in secrets:
                assert not re.search(re.escape(secret) + r"(?![\w.-])", text), (path, secret)
            if path.parent.name != "tokenizer":
                for name in {socket.gethostname(), getpass.getuser()} - {"root", "user", "runner"}:
                    assert not re.search(rf"\b{re.escape(name)}\b", text), (path, name)
    assert "modules.jsonl" in (target / "evidence/recipe.yaml").read_text()


def test_a_private_path_in_a_persons_words_is_refused_and_the_old_release_stays(run):
    target = write(run, model_export=None)
    before = (target / "README.md").read_bytes()
    recipe = run / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("The Tests", f"see {Path.home()}/me"))
    with pytest.raises(SeedstockError, match="public") as caught:
        write(run, model_export=None)
    assert caught.value.where in PAPERS
    assert (target / "README.md").read_bytes() == before and not list(run.glob(".release*"))


def test_what_nobody_said_is_listed_and_never_guessed(run):
    said = []

    class Listener(Silent):
        def say(self, text):
            said.append(text)

    target = write(run, model_export=None, reporter=Listener())
    fields = {one["field"] for one in json.loads((target / "missing.json").read_text())}
    assert {"release.contact", "release.data.crawled_by_provider", "sources[1].acquisition"} <= fields
    assert not fields & {"release.provider", "release.licence", "release.data.synthetic", "sources[0].acquisition"}
    assert all(any(field in line for line in said) for field in fields)
    text = (target / "training-content.md").read_text()
    assert "| Was any data generated by a model? | no |" in text
    assert "| Did the provider crawl or scrape any of it? | not answered |" in text
    everything = ReleaseConfig(
        **{name: "said" for name in ReleaseConfig.model_fields if name not in ("data", "energy", "date")}
        | {name: ["said"] for name in ("channels", "intended_uses", "out_of_scope_uses", "limitations")}
        | {"date": "2026-01-31", "energy": {"watts": 40.0}},
        data=dict.fromkeys(("details", "collection_period", "rights_reservations", "unlawful_content"), "said")
        | {"commercially_licensed": False, "private_third_party": False, "crawled_by_provider": False}
        | {"user_interactions": False, "synthetic": False, "personal_data": True, "continues": False},
    )
    records = Records(run)
    records.__dict__["config"] = everything
    assert {one["field"].split("[")[0] for one in missing(records, collect(records)["data"]["sources"])} <= {"sources"}


def test_the_front_matter_is_what_the_hub_reads(trained):
    _, texts, _ = rendered(Records(trained))
    head = YAML(typ="safe").load(texts["README.md"].split("---\n")[1])
    assert head["license"] == "apache-2.0" and head["library_name"] == "transformers" and head["language"] == ["en"]
    [result] = head["model-index"][0]["results"]
    assert result["metrics"][0]["type"] == "bits_per_byte"
    facts = collect(Records(trained))
    other = papers.front_matter(facts, ReleaseConfig(licence="BlueOak-1.0.0", licence_url="https://example.org/l"))
    assert "license: other" in other and "license_name: blueoak-1.0.0" in other and "license_link:" in other
    assert "license" not in papers.front_matter(facts, ReleaseConfig())


class Page(HTMLParser):
    """What is on a page: tags in order, and whether each that is opened is closed."""

    VOID = ("meta", "link", "br", "img", "input", "hr")

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.ids, self.targets = [], Counter(), set(), []

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.tags[tag] += 1
        self.ids |= {given["id"]} if "id" in given else set()
        self.targets += [given[name] for name in ("href", "src") if name in given]
        if tag == "th":
            assert given["scope"] in ("row", "col")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_pages_stand_alone_and_are_accessible(trained):
    _, texts, _ = rendered(Records(trained))
    for name in ("model-card.html", "training-content.html"):
        page = Page()
        page.feed(texts[name])
        assert not page.open and not page.tags["script"] and not page.tags["img"] and not page.tags["link"]
        assert page.tags["h1"] == page.tags["main"] == page.tags["nav"] == 1
        assert page.tags["caption"] == page.tags["table"] > 5 and page.tags["thead"] == page.tags["table"]
        assert '<html lang="en">' in texts[name] and 'name="viewport"' in texts[name]
        assert {target[1:] for target in page.targets if target.startswith("#")} <= page.ids
        assert not re.search(r"url\(|@import", texts[name])


def test_what_people_say_is_escaped_in_both_formats(trained):
    records = Records(trained)
    facts = collect(records)
    config = ReleaseConfig(summary="<b>5 | 6</b> & *more*", intended_uses=["[x](javascript:1)"], licence="MIT")
    texts, _ = papers.render(facts, config, [])
    assert "<b>" not in texts["model-card.html"] and "&lt;b&gt;5 | 6&lt;/b&gt; &amp; *more*" in texts["model-card.html"]
    assert r"\<b\>5 \| 6\</b\> & \*more\*" in texts["README.md"] and r"\[x\](javascript:1)" in texts["README.md"]


def test_the_same_records_give_the_same_release(run):
    first = {path.name: path.read_bytes() for path in write(run, model_export=None).rglob("*.*")}
    chain = run / "ledger/chain.jsonl"
    chain.write_bytes(b"".join(chain.read_bytes().splitlines(keepends=True)[:-1]))
    assert {path.name: path.read_bytes() for path in write(run, model_export=None).rglob("*.*")} == first


def test_a_run_without_weights_cannot_be_released(run):
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(DataError, match="no checkpoint"):
        write(run, model_export=None)


def test_after_a_forget_the_papers_still_add_up(run):
    write(run, model_export=None)
    close(run)
    before = collect(Records(run))
    corpus = Corpus(Records(run).stage("corpus"))
    first = next(corpus.texts("train")).slice(0, 1).to_pylist()[0]
    forget(run, [first["id"]], reason="asked for", date="2026-01-31", twins=False)
    assert verify(run) == []
    after = collect(Records(run))
    assert after["data"]["forgotten"] == 1
    assert after["data"]["splits"]["train"] == before["data"]["splits"]["train"]
    assert after["data"]["steps"] == before["data"]["steps"]
    target = write(run, model_export=None)
    assert "1 documents that were erased since" in (target / "README.md").read_text()
    close(run)
    assert verify(run) == []


def test_who_was_left_out_is_said(run, facts):
    records = Records(run)
    audit = json.loads((records.stage("corpus") / "summary.json").read_text())["audit"]
    assert facts["data"]["audit"]["test"] == audit["test"] and facts["data"]["audit"]["by"] == list(audit["by"])
    step = {"phase": "filter", "step": "gopher.words", "reason": "too few words"}
    flag = {"by": "language", "name": "zh", "documents": 16, "survival": 0.25, "overall": 0.9, "certain": True}
    told = {**facts["data"]["audit"], "flags": [{**flag, "at": step}, {**flag, "name": "", "at": None}]}
    given = {**facts, "data": {**facts["data"], "audit": told}}
    files, _ = papers.render(given, records.config, [])
    for name in ("training-content.md", "training-content.html"):
        page = html.unescape(files[name])
        assert "language: zh" in page and "too few words" in page and "25.0 %" in page and "language: unknown" in page
    before, _ = papers.render({**facts, "data": {**facts["data"], "audit": None}}, records.config, [])
    assert "left out more often" not in before["training-content.md"]
