import itertools
import json

import pyarrow as pa
import pytest
from batches import documents, library
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from seedstock.corpus import policy as policy_module
from seedstock.corpus.policy import NOT_SPDX, UNDECLARED, Policy, PolicyField, default_policy, presets

FIELD = TypeAdapter(PolicyField)


def signals_of(policy, batch):
    return {signal.name: signal.compute(batch) for signal in policy.signals}


def decided(policy, batch):
    found = policy.decide(batch, signals_of(policy, batch))
    assert found.schema.names == ["decision", "step", "reason"]
    return [tuple(row.values()) for row in found.to_pylist()]


def gopher(*rules):
    return Policy.model_validate({"signals": ["gopher"], "rules": list(rules)})


TEXTS = ["one", "one two three", "one two three four five", ""]


@pytest.mark.parametrize(
    "test, dropped",
    [
        ({"below": 3}, [0, 3]),
        ({"above": 3}, [2]),
        ({"is": 3}, [1]),
        ({"in": [1, 5]}, [0, 2]),
        ({"not_in": [1, 5]}, [1, 3]),
    ],
)
def test_each_test_drops_what_it_describes(test, dropped):
    rows = decided(gopher({"signal": "gopher.words", "reason": "why", **test}), documents(TEXTS))
    assert [at for at, row in enumerate(rows) if row[0] == "dropped"] == dropped
    assert set(rows) == {("dropped", "gopher.words", "why"), ("kept", "", "")}


def test_the_first_rule_that_matches_gives_the_reason():
    rules = [{"signal": "gopher.words", "below": 2}, {"signal": "gopher.words", "below": 4, "reason": "short"}]
    rows = decided(gopher(*rules), documents(TEXTS))
    assert [row[2] for row in rows] == ["gopher.words below 2", "short", "", "gopher.words below 2"]


def test_conditions_leave_other_documents_alone():
    english = "The committee met on Tuesday to discuss the plans for the new library."
    german = "Der Ausschuss traf sich am Dienstag, um über die neue Bücherei zu sprechen."
    rules = [
        {"signal": "gopher.words", "above": 0, "language": "de", "reason": "german"},
        {"signal": "gopher.words", "above": 0, "domain": ["code", "docs"], "reason": "not prose"},
    ]
    policy = Policy.model_validate({"signals": ["gopher", "language"], "rules": rules})
    rows = decided(policy, documents([english, german, english], domain=["text", "text", "docs"]))
    assert [row[2] for row in rows] == ["", "german", "not prose"]


def test_a_fraction_at_the_bound_is_neither_above_nor_below():
    text = "\n".join(["same line"] * 4 + [f"line {n}" for n in range(6)])
    policy = gopher(
        {"signal": "gopher.duplicate_lines", "above": 0.3}, {"signal": "gopher.duplicate_lines", "below": 0.3}
    )
    assert decided(policy, documents([text]))[0][0] == "kept"


def test_a_column_without_a_value_matches_nothing():
    tests = [{"is": "MIT"}, {"in": ["MIT"]}, {"not_in": ["MIT"]}]
    for test in tests:
        policy = Policy.model_validate({"signals": ["licence"], "rules": [{"signal": "licence.expression", **test}]})
        assert decided(policy, documents(["x"]))[0][0] == "kept"


def test_licences():
    rights = {"allow": ["MIT", "Apache-2.0"]}
    policy = Policy.model_validate({"signals": ["licence"], "licences": rights})
    declared = ["mit", "GPL-3.0-only OR Apache-2.0", "MIT AND GPL-3.0", None, "", "some licence"]
    batch = documents(["x"] * 6, licence=declared)
    assert decided(policy, batch) == [
        ("kept", "", ""),
        ("kept", "", ""),
        ("dropped", "licence", "the licence MIT AND GPL-3.0-only is not allowed"),
        ("dropped", "licence", UNDECLARED),
        ("dropped", "licence", UNDECLARED),
        ("dropped", "licence", NOT_SPDX),
    ]
    open_ = Policy.model_validate({"signals": ["licence"], "licences": rights | {"allow_undeclared": True}})
    assert [row[0] for row in decided(open_, batch)] == ["kept", "kept", "dropped", "kept", "kept", "dropped"]


def test_redaction_replaces_the_bytes_of_each_span():
    text = "größe: write to ann@here.org or bob@there.net"
    policy = Policy.model_validate({"signals": ["emails", "secrets"], "redact": {"emails": "<email>"}})
    batch = documents([text, "nothing"])
    first, second = policy.edits(batch, signals_of(policy, batch))
    data = text.encode()
    assert [(data[start:end], kind, new) for start, end, kind, new in first] == [
        (b"ann@here.org", "emails", "<email>"),
        (b"bob@there.net", "emails", "<email>"),
    ]
    assert second == []


spans = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 8)).map(lambda pair: (pair[0], sum(pair))), max_size=6)


@given(st.lists(st.tuples(spans, spans), max_size=4))
def test_edits_are_sorted_disjoint_and_cover_what_was_found(rows):
    policy = Policy.model_validate({"signals": ["emails", "secrets"], "redact": {"emails": "E", "secrets": "S"}})
    types = {signal.name: signal.schema().field("spans").type for signal in policy.signals}
    tables = {
        name: pa.RecordBatch.from_pydict(
            {"spans": pa.array([[{"start": s, "end": e} for s, e in row[at]] for row in rows], types[name])}
        )
        for at, name in enumerate(("emails", "secrets"))
    }
    found = policy.edits(documents([""] * len(rows)), tables)
    for edits, row in zip(found, rows, strict=True):
        assert all(before[1] <= after[0] for before, after in itertools.pairwise(edits))
        wanted = {place for start, end in [*row[0], *row[1]] for place in range(start, end)}
        assert {place for start, end, *_ in edits for place in range(start, end)} == wanted
        assert all(new == {"emails": "E", "secrets": "S"}[kind] for _, _, kind, new in edits)


MISTAKES = [
    ("code-and-dcos", (), "did you mean 'code-and-docs'"),
    ({"signals": ["goper"]}, ("signals", 0), "'goper'"),
    ({"signals": ["c4", {"kind": "c4"}]}, ("signals",), "more than once"),
    ({"signal": ["c4"]}, ("signal",), "did you mean 'signals'"),
    ({"signals": ["gopher"], "rules": [{"signal": "gopher.wrds", "below": 5}]}, ("rules", 0), "'gopher.words'"),
    ({"signals": ["gopher"], "rules": [{"signal": "c4.sentences", "below": 5}]}, ("rules", 0), "add 'c4' to signals"),
    ({"signals": ["gopher"], "rules": [{"signal": "gopher.xyzzy_plugh", "below": 5}]}, ("rules", 0), "stop_words"),
    ({"signals": ["gopher"], "rules": [{"signal": "gopher.words"}]}, ("rules", 0), "exactly one"),
    ({"signals": ["gopher"], "rules": [{"signal": "gopher.words", "below": 5, "is": 4}]}, ("rules", 0), "exactly one"),
    ({"signals": ["c4"], "rules": [{"signal": "c4.lorem_ipsum", "above": 5}]}, ("rules", 0), "no number"),
    ({"signals": ["c4"], "rules": [{"signal": "c4.lorem_ipsum", "is": "yes"}]}, ("rules", 0), "of type bool"),
    ({"signals": ["emails"], "rules": [{"signal": "emails.spans", "is": 1}]}, ("rules", 0), "a column that counts"),
    (
        {"signals": ["c4"], "rules": [{"signal": "c4.sentences", "below": 1, "language": "en"}]},
        ("rules", 0),
        "needs the signal 'language'",
    ),
    ({"signals": ["licence"], "licences": {"allow": ["MTI"]}}, ("licences", "allow", 0), "did you mean 'MIT'"),
    ({"licences": {"allow": ["MIT"]}}, (), "needs the signal 'licence'"),
    ({"signals": ["emails"], "redact": {"emals": "x"}}, ("redact",), "did you mean 'emails'"),
    ({"signals": ["c4"], "redact": {"c4": "x"}}, ("redact",), "finds spans"),
]


@pytest.mark.parametrize("written, place, message", MISTAKES, ids=lambda value: str(value)[:40])
def test_a_mistake_names_its_place_and_what_to_do(written, place, message):
    with pytest.raises(ValidationError) as caught:
        FIELD.validate_python(written)
    (problem,) = caught.value.errors()
    where = [*problem["loc"], problem["ctx"]["key"]] if problem["type"] == "unknown_key" else problem["loc"]
    assert tuple(where) == place
    assert message in f"{problem['msg']} {problem.get('ctx')}"


@pytest.mark.parametrize("name", presets())
def test_a_preset_says_the_same_by_name_written_out_and_dumped(name):
    policy = FIELD.validate_python(name)
    dumped = policy.model_dump(mode="json", exclude_none=True)
    assert FIELD.validate_python(json.loads(json.dumps(dumped))) == policy
    assert all("is_" not in rule and "in_" not in rule for rule in dumped["rules"])
    assert FIELD.validate_python(policy) is policy


def test_the_default_is_the_preset_for_code():
    assert default_policy() == FIELD.validate_python("code-and-docs")


def test_none_keeps_everything_as_it_is():
    policy = FIELD.validate_python("none")
    batch = documents(["", "a@b.org", "x " * 1000], licence=[None, "GPL-3.0-only", "?"])
    assert {row[0] for row in decided(policy, batch)} == {"kept"}
    assert policy.edits(batch, signals_of(policy, batch)) == [[], [], []]


def test_most_of_the_standard_library_survives_the_preset_for_code():
    texts = library()
    rows = decided(default_policy(), documents(texts, licence="PSF-2.0", domain="code", locator="m.py"))
    kept = sum(len(text) for text, row in zip(texts, rows, strict=True) if row[0] == "kept")
    assert kept / sum(map(len, texts)) > 0.98


def test_books_survive_the_preset_for_prose_and_code_does_not(data_pack):
    import zstandard

    data = zstandard.decompress((data_pack / "text/books.jsonl.zst").read_bytes(), max_output_size=1 << 28)
    books = [json.loads(line)["text"] for line in data.splitlines()[::20]]
    policy = FIELD.validate_python("gopher-c4")
    kept = [row[0] == "kept" for row in decided(policy, documents(books))]
    assert sum(kept) / len(kept) > 0.9
    code = library(500_000)
    kept = [row[0] == "kept" for row in decided(policy, documents(code))]
    assert sum(kept) / len(kept) < 0.1


def test_presets_are_files_to_copy():
    known = {"code-and-docs", "gopher-c4", "none", "fineweb", "fineweb2", "dclm-like", "code", "books"}
    assert known <= set(presets())
    assert all((policy_module.PRESETS / f"{name}.yaml").read_text().startswith("# ") for name in presets())


def test_every_rule_and_list_of_a_preset_has_its_source_above_it():
    for name in presets():
        block = False
        for line in (policy_module.PRESETS / f"{name}.yaml").read_text().splitlines():
            if line.strip().startswith("#"):
                block = True
            assert block, f"{name}: {line}"


@pytest.mark.parametrize("name, path, least", [("books", "text/books", 0.99), ("code", "code/thealgorithms", 0.8)])
def test_presets_keep_what_they_are_for(data_pack, name, path, least):
    import zstandard

    data = zstandard.decompress((data_pack / f"{path}.jsonl.zst").read_bytes(), max_output_size=1 << 28)
    records = [json.loads(line) for line in data.splitlines()[::7]]
    batch = documents([record["text"] for record in records], licence=[record.get("license") for record in records])
    kept = [row[0] == "kept" for row in decided(FIELD.validate_python(name), batch)]
    assert sum(kept) / len(kept) >= least


def test_the_presets_for_the_web_keep_most_articles_and_drop_lists(data_pack):
    import io
    import tarfile

    with tarfile.open(data_pack / "web/article-extraction-benchmark.tar") as archive:
        (name,) = [member for member in archive.getnames() if member.endswith("ground-truth.json")]
        truth = json.load(io.TextIOWrapper(archive.extractfile(name), encoding="utf-8"))
    articles = [row["articleBody"] for row in truth.values()]
    menus = ["Home\nAbout us\nContact\nProducts\nLog in\n" * 20]
    for preset, least in (("fineweb", 0.4), ("fineweb2", 0.6), ("dclm-like", 0.5), ("gopher-c4", 0.4)):
        rows = decided(FIELD.validate_python(preset), documents(articles + menus))
        kept = [row[0] == "kept" for row in rows]
        assert sum(kept[:-1]) / len(articles) >= least, (preset, [row[2] for row in rows])
        assert not kept[-1]
