"""``corpus --sample`` and ``corpus diff`` from the command line."""

import json

import pytest

from seedstock.cli import main

RECIPE = """
name: {name}
sources: [{{name: web, kind: jsonl, path: {path}, licence: MIT, domain: docs}}]
training: {{steps: 1}}
corpus: {{policy: {policy}, dedup: {{kind: exact}}, held_out: 10 %}}
"""
SENTENCE = "The gardener of bed {n} keeps seed number {n} in a paper bag and reads the label again in spring. "


@pytest.fixture
def recipes(tmp_path):
    path = tmp_path / "web.jsonl"
    rows = [{"id": n, "text": SENTENCE.format(n=n) if n % 5 else "Too few."} for n in range(40)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name, policy in (("one", "code-and-docs"), ("two", "none")):
        (tmp_path / f"{name}.yaml").write_text(RECIPE.format(name=name, path=path, policy=policy))
    return tmp_path


def test_a_sample_writes_nothing(recipes, capsys):
    runs = recipes / "runs"
    assert main(["corpus", str(recipes / "one.yaml"), "--sample", "200", "--runs", str(runs), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["documents"] == 40 and not runs.exists()
    assert main(["corpus", str(recipes / "one.yaml"), "--sample", "200", "--runs", str(runs)]) == 0
    shown = capsys.readouterr().out
    assert "almost empty" in shown and "web.jsonl#5" in shown and not runs.exists()


def test_runs_are_compared_by_name_folder_and_digest(recipes, capsys):
    runs = recipes / "runs"
    for name in ("one", "two"):
        assert main(["corpus", str(recipes / f"{name}.yaml"), "--runs", str(runs)]) == 0
    capsys.readouterr()
    (stored,) = {path.parent for path in runs.glob(".store/corpus/*/manifest.json")} - {two_of(runs)}
    found = []
    for names in (["one", "two"], [str(runs / "one"), str(runs / "two")], [stored.name[:8], str(two_of(runs))]):
        assert main(["corpus", "diff", *names, "--runs", str(runs), "--json"]) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[0]["decisions"] and found[0]["a"]["kept_documents"] == 32
    assert [{**one, "a": 0, "b": 0} for one in found[1:]] == [{**found[0], "a": 0, "b": 0}] * 2
    assert main(["corpus", "diff", "one", "two", "--runs", str(runs)]) == 0
    assert "dropped in A, kept in B" in capsys.readouterr().out


def two_of(runs):
    from seedstock.runs import Run

    return Run.open(runs, "two").stage_folder("corpus")


@pytest.mark.parametrize(
    "arguments, code, says",
    [
        (["diff", "one", "nowhere"], 3, "no corpus of this name"),
        (["diff", "one"], 2, "compares two"),
        (["quickstart", "tinyshakespeare"], 2, "one recipe at a time"),
        (["quickstart", "--sample", "0"], 2, "1 to 100,000"),
        (["quickstart", "--sample", "many"], 2, "invalid int"),
    ],
)
def test_what_cannot_be_done_is_said(recipes, capsys, arguments, code, says):
    try:
        found = main(["corpus", *arguments, "--runs", str(recipes / "runs")])
    except SystemExit as error:
        found = error.code
    assert found == code
    assert says in capsys.readouterr().err or arguments[1] == "one"
