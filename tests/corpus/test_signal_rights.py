"""Opt-outs, exclusion lists, and the licence of a document as its text, its page and its source tell it."""

import gzip
import hashlib
import json
import tempfile
from pathlib import Path

import pyarrow as pa
import pytest
from batches import documents
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from seedstock.corpus.policy import Policy
from seedstock.corpus.rights.heard import Heard
from seedstock.corpus.signals import spdx
from seedstock.corpus.signals.excluded import Excluded
from seedstock.corpus.signals.licence import Licence
from seedstock.corpus.signals.optout import OptOut


def batch(**columns):
    rows = max(len(value) for value in columns.values())
    found = documents(
        columns.pop("text", ["text"] * rows), meta=[json.dumps(m) for m in columns.pop("meta", [{}] * rows)]
    )
    for name, values in columns.items():
        found = found.append_column(name, pa.array(values))
    return found


def optout(meta, url="https://x.org/a", **options):
    row = OptOut(**options).compute(batch(meta=[meta], url=[url])).to_pylist()[0]
    return {name for name, value in row.items() if value is True and name != "any"}, row


@pytest.mark.parametrize(
    "meta, mechanisms",
    [
        ({"headers": {"Content-Usage": "train-ai=n, search=y"}}, {"content_usage"}),
        ({"headers": {"content-usage": 'bots=y, train-ai="n"'}}, {"content_usage"}),
        ({"headers": {"TDM-Reservation": "1"}}, {"tdmrep"}),
        ({"rights": {"tdm_reservation": "1"}}, {"tdmrep"}),
        ({"headers": {"x-robots-tag": "noindex, NOAI"}}, {"x_robots_tag"}),
        ({"headers": {"x-robots-tag": "GPTBot: noai"}}, {"x_robots_tag"}),
        ({"headers": [["X-Robots-Tag", "noindex"], ["X-Robots-Tag", "noml"]]}, {"x_robots_tag"}),
        ({"rights": {"robots": ["index, noai"]}}, {"meta_robots"}),
        ({"headers": {"tdm-reservation": "0"}, "rights": {"tdm_reservation": "1"}}, {"tdmrep"}),
    ],
)
def test_each_protocol_is_heard(meta, mechanisms):
    found, row = optout(meta)
    assert found == mechanisms and row["any"] is True
    assert [line.partition(":")[0] for line in row["evidence"]] == sorted(mechanisms)


@pytest.mark.parametrize(
    "meta, column",
    [
        ({"headers": {"content-usage": "train-ai=y"}}, "content_usage"),
        ({"headers": {"content-usage": "search=n"}}, "content_usage"),
        ({"headers": {"tdm-reservation": "0"}}, "tdmrep"),
        ({"headers": {"x-robots-tag": "noindex, nofollow"}}, "x_robots_tag"),
        ({"headers": {"x-robots-tag": "otherbot: noai"}}, "x_robots_tag"),
        ({"headers": {"x-robots-tag": "noimageai"}}, "x_robots_tag"),
        ({"headers": {"x-robots-tag": "unavailable_after: 2 Jan 2026, max-snippet:-1"}}, "x_robots_tag"),
    ],
)
def test_what_does_not_ask_is_false_and_not_unknown(meta, column):
    _, row = optout(meta)
    assert row[column] is False and row["any"] is False and row["evidence"] == []


@pytest.mark.parametrize(
    "meta", [{}, {"headers": None}, {"headers": 3, "rights": [1]}, {"headers": [["a"]], "rights": "x"}]
)
def test_where_nothing_is_on_record_nothing_is_said(meta):
    _, row = optout(meta, url=None)
    assert set(map(str, row.values())) <= {"None", "[]"}


def test_pictures_are_not_to_be_used_where_noimageai_says_so():
    found = batch(meta=[{"headers": {"x-robots-tag": "noimageai"}}], media_type=["image/png"])
    assert OptOut().compute(found).column("x_robots_tag").to_pylist() == [True]


def test_hosts_are_asked_by_their_files(tmp_path):
    pytest.importorskip("protego")
    lines = [
        {"host": "x.org", "robots": "User-agent: CCBot\nDisallow: /no/", "ai": "User-Agent: *\nDisallow: /art/"},
        {
            "host": "y.org",
            "robots": "User-agent: *\nContent-Usage: train-ai=n",
            "tdmrep": [{"location": "/", "tdm-reservation": 1}],
        },
    ]
    path = tmp_path / "hosts.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    signal = OptOut(hosts=[str(path)])
    urls = [
        "https://x.org/no/a",
        "https://x.org/art/b",
        "https://x.org/c",
        "https://Y.org/",
        "https://z.org/",
        "http://[bad",
        None,
    ]
    rows = signal.compute(batch(url=urls)).to_pylist()
    said = [{name for name, value in row.items() if value is True} - {"any"} for row in rows]
    assert said == [{"robots"}, {"ai_txt"}, set(), {"content_usage", "tdmrep"}, set(), set(), set()]
    assert rows[2]["robots"] is False and rows[4]["robots"] is None
    assert OptOut.model_validate(signal.model_dump()) == signal
    path.write_text("{}")
    with pytest.raises(ValidationError, match="has changed"):
        OptOut.model_validate(signal.model_dump())
    with pytest.raises(ValidationError, match="no such file"):
        OptOut(hosts=[str(tmp_path / "missing.jsonl")])


LINES = st.sampled_from(
    [
        *("User-agent: *", "User-agent: CCBot", "User-agent: GPTBot", "user-agent: Other", ""),
        *("Disallow: /", "Disallow: /no/", "Allow: /no/yes", "Disallow:", "Allow: /"),
        *("Content-Usage: train-ai=n", "Content-Usage: /no/ train-ai=y", "Content-Usage: search=y"),
    ]
)


@given(st.lists(LINES, max_size=12), st.sampled_from(["/", "/no/", "/no/yes", "/art/"]))
def test_what_a_crawl_hears_is_what_its_hosts_files_say(lines, path):
    pytest.importorskip("protego")
    text, url = "\n".join(lines), f"https://x.org{path}"
    reserved = json.dumps([{"location": "/art/*", "tdm-reservation": 1}])
    heard = Heard()
    heard.take("https://x.org/robots.txt", text.encode())
    heard.take("https://X.org/.well-known/tdmrep.json", reserved.encode())
    heard.take("https://x.org/ai.txt", b"User-Agent: *\nDisallow: /art/")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "hosts.jsonl"
        record = {"host": "x.org", "robots": text, "tdmrep": reserved, "ai": "User-Agent: *\nDisallow: /art/"}
        file.write_text(json.dumps(record))
        for agents in (("GPTBot", "CCBot"), ("CCBot", "Unheard"), ("Unheard",)):
            files = OptOut(agents=agents, hosts=[str(file)]).compute(batch(url=[url])).to_pylist()[0]
            crawl = OptOut(agents=agents).compute(batch(url=[url], meta=[{"host": heard.about(url)}])).to_pylist()[0]
            assert crawl == files
    assert heard.about("https://other.org/") == {} == heard.about(None) == heard.about("http://[bad")


def test_of_many_hosts_the_last_are_remembered(monkeypatch):
    monkeypatch.setattr("seedstock.corpus.rights.heard.MEMORY", 1000)
    heard = Heard()
    for number in range(100):
        heard.take(f"https://h{number}.org/robots.txt", b"User-agent: *\nDisallow: /\n")
    assert heard.bytes <= 1000 and len(heard.hosts) < 50
    assert heard.about("https://h99.org/a")["robots"]["refused"] == ["*"] and not heard.about("https://h0.org/a")
    heard.take("https://h99.org/robots.txt", b"")
    assert heard.about("https://h99.org/a")["robots"]["refused"] == []


def excluded(lists, **columns):
    found = Excluded(lists=lists).compute(batch(**columns))
    return found.to_pylist()


def test_lists_of_domains_hold_everything_below_them(tmp_path):
    path = tmp_path / "domains.txt.gz"
    path.write_bytes(gzip.compress(b"# no\nbad.com\n*.Worse.co.uk # why\n\n"))
    urls = [
        "https://bad.com/x",
        "http://a.b.BAD.com:8080/",
        "https://notbad.com",
        "//worse.co.uk/",
        "https://com",
        None,
        "x",
    ]
    rows = excluded([{"path": str(path), "reason": "asked to be left out"}], url=urls)
    assert [row["excluded"] for row in rows] == [True, True, False, True, False, False, False]
    digest = hashlib.sha256(b"# no\nbad.com\n*.Worse.co.uk # why\n\n").hexdigest()
    assert rows[0] == {
        "excluded": True, "by": "domain", "reason": "asked to be left out", "list": "domains.txt.gz", "sha256": digest,
    }  # fmt: skip


def test_lists_of_addresses_ids_and_digests(tmp_path):
    text, raw = hashlib.sha256(b"text").digest(), hashlib.sha256(b"raw").digest()
    (tmp_path / "u.txt").write_text("https://www.x.org/a/\ny.org/q?z=1#part\n")
    (tmp_path / "i.txt").write_text("00ff" * 8 + "\n")
    (tmp_path / "t.txt").write_text(f"{text.hex()}\nsha256:{raw.hex().upper()}\n")
    lists = [{"path": str(tmp_path / f"{kind[0]}.txt"), "kind": kind} for kind in ("url", "id", "text")]
    rows = excluded(
        lists,
        url=["http://x.org/a", "https://y.org/q?z=1", "https://x.org/b", None, None],
        id=[bytes(16), bytes(16), bytes(16), bytes.fromhex("00ff" * 8), bytes(16)],
        text_sha256=[bytes(32), bytes(32), text, bytes(32), bytes(32)],
        raw_sha256=[bytes(32), bytes(32), bytes(32), bytes(32), raw],
    )
    assert [row["by"] for row in rows] == ["url", "url", "text", "id", "text"]
    assert rows[0]["reason"] == "on the list u.txt"


def test_a_list_that_is_missing_changed_or_no_text_says_so(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("bad.com\n")
    written = Excluded(lists=[{"path": str(path)}]).model_dump()
    path.write_text("worse.com\n")
    with pytest.raises(ValidationError, match="has changed"):
        Excluded.model_validate(written)
    with pytest.raises(ValidationError, match="no such file"):
        Excluded(lists=[{"path": str(tmp_path / "b.txt")}])
    path.write_bytes(b"caf\xe9.com\n")
    from seedstock.errors import DataError

    with pytest.raises(DataError, match="cannot be read as a list"):
        excluded([{"path": str(path)}], url=["https://x.org"])


def test_a_policy_drops_by_lists_and_opt_outs(tmp_path):
    (tmp_path / "a.txt").write_text("bad.com\n")
    rules = [
        {"signal": "excluded.excluded", "is": True, "reason": "on an exclusion list"},
        {"signal": "optout.any", "is": True, "reason": "its publisher opted out"},
    ]
    lists = [{"path": str(tmp_path / "a.txt")}]
    policy = Policy.model_validate({"signals": ["optout", {"kind": "excluded", "lists": lists}], "rules": rules})
    found = batch(
        meta=[{}, {"headers": {"tdm-reservation": "1"}}, {}],
        url=["https://bad.com/", "https://ok.com/", "https://ok.com/"],
    )
    decided = policy.decide(found, {signal.name: signal.compute(found) for signal in policy.signals})
    assert decided.column("reason").to_pylist() == ["on an exclusion list", "its publisher opted out", ""]


def licence(text="x = 1", declared=None, meta=None, **options):
    found = documents([text], licence=declared, licence_evidence="METADATA", meta=json.dumps(meta or {}))
    return Licence(**options).compute(found).to_pylist()[0]


APACHE = "# Licensed under the Apache License, Version 2.0\nimport os\n"


def test_the_marks_of_a_page_stand_before_what_its_source_declares():
    marks = {
        "rights": {"licences": [["CC-BY-4.0", "<a rel=license>"], ["CC0-1.0", "schema.org license"], ["junk", "x"]]}
    }
    row = licence(declared="MIT", meta=marks)
    assert row["expression"] == "CC-BY-4.0 AND CC0-1.0"
    assert row["evidence"] == "<a rel=license>, schema.org license; its source declares MIT"
    assert licence(meta={"rights": {"licences": "odd"}})["expression"] is None


def test_a_notice_stands_where_nothing_else_does_and_binds_beside_what_is_declared():
    assert licence(APACHE)["expression"] == "Apache-2.0"
    assert licence(APACHE, "mit")["expression"] == "MIT AND Apache-2.0"
    assert licence(APACHE, "MIT OR ISC")["expression"] == "(MIT OR ISC) AND Apache-2.0"
    assert licence(APACHE, "Apache-2.0 OR MIT")["expression"] == "Apache-2.0 OR MIT"
    assert licence(APACHE, "some licence")["expression"] == "Apache-2.0"
    assert licence(APACHE, texts=False)["expression"] is None
    assert licence("\n" * 5000 + APACHE)["expression"] is None


@pytest.mark.parametrize(
    "expression, allowed",
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("GPL-3.0-only OR MIT", True),
        ("GPL-3.0-only AND MIT", False),
        ("GPL-3.0-or-later", False),
        ("GPL-3.0-only WITH Classpath-exception-2.0", False),
        ("GPL-2.0-only WITH Classpath-exception-2.0", True),
        ("LicenseRef-own", True),
    ],
)
def test_a_deny_list_leaves_everything_else(expression, allowed):
    assert spdx.permits(None, expression, ["GPL-3.0-only"]) is allowed


def test_what_is_on_both_lists_is_denied_but_an_exception_can_be_allowed_by_name():
    assert not spdx.permits(["MIT"], "MIT", ["MIT"])
    named = ["GPL-2.0-only WITH Classpath-exception-2.0"]
    assert spdx.permits(named, named[0], ["GPL-2.0-only"])
    assert not spdx.permits(named, "GPL-2.0-only", ["GPL-2.0-only"])


def test_a_policy_denies_licences():
    policy = Policy.model_validate(
        {"signals": ["licence"], "licences": {"deny": ["CC-BY-NC-4.0"], "allow_undeclared": True}}
    )
    found = documents(["x"] * 3, licence=["CC-BY-NC-4.0", "CC-BY-4.0", None])
    decided = policy.decide(found, {"licence": policy.signals[0].compute(found)})
    assert decided.column("decision").to_pylist() == ["dropped", "kept", "kept"]
    with pytest.raises(ValidationError, match="needs allow or deny"):
        Policy.model_validate({"signals": ["licence"], "licences": {"allow_undeclared": True}})
