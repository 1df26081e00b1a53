"""The search for a mixture by real small runs: its record, going on with it; and what a plan shows of a mixture."""

from __future__ import annotations

import argparse
import difflib
import inspect
import json
import optparse
import textwrap

import pytest

from seedstock import mixtures, pipeline
from seedstock import recipe as recipes
from seedstock.cli import main
from seedstock.cli.mixture import told
from seedstock.errors import DataError, RecipeError

RECIPE = """\
name: blend
seed: 3
sources:
  - {{name: code, kind: text, path: {folder}/code, licence: PSF-2.0, domain: code, language: en}}
  - {{name: prose, kind: text, path: {folder}/prose, licence: PSF-2.0, domain: prose, language: en}}
corpus: {{policy: none, dedup: null, held_out: 20 %}}
mixture: {{by: [source], max_repeats: 8}}
tokenizer: {{kind: bytes}}
model: {{kind: decoder, shape: qwen3, context: 64, width: 32, layers: 2, heads: 2, kv_heads: 1, mlp_width: 64}}
training: {{steps: 40, batch_tokens: 512, precision: fp32, threads: 1, micro_batch: 8, compile: false}}
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """Sources of the standard library: programs, and the prose of their documentation strings."""
    folder = tmp_path_factory.mktemp("sources")
    for name in ("code", "prose"):
        (folder / name).mkdir()
    for module in (inspect, textwrap, argparse, difflib, optparse):
        source = inspect.getsource(module)
        documented = [
            one.__doc__ or "" for one in vars(module).values() if inspect.isclass(one) or inspect.isfunction(one)
        ]
        for part in range(6):
            cut = len(source) * part // 6
            (folder / "code" / f"{module.__name__}-{part}.txt").write_text(source[cut : cut + 6000])
            (folder / "prose" / f"{module.__name__}-{part}.txt").write_text(
                f"{part} " + "\n".join(documented[part::6])[:3000]
            )
    return recipes.parse(RECIPE.format(folder=folder))


@pytest.fixture(scope="module")
def search(recipe, tmp_path_factory):
    pytest.MonkeyPatch().setenv("SEEDSTOCK_KEY", "5e" * 32)
    runs = tmp_path_factory.mktemp("blend")
    return runs, mixtures.propose(recipe, runs=runs, proxies=6, steps=3, size=74_000, part="source", verify=1)


def test_a_search_is_on_record_and_leaves_no_runs(search):
    runs, result = search
    assert [path.name for path in runs.iterdir() if not path.name.startswith(".")] == ["blend.mixture"]
    lines = [json.loads(line) for line in (runs / "blend.mixture" / "results.jsonl").read_text().splitlines()]
    verified = 2 if result["proposed"] else 0
    assert len(lines) == 6 + verified and len({line["key"] for line in lines}) == len(lines)
    for line, proxy in zip(lines, result["proxies"], strict=False):
        assert line["weights"] == proxy["weights"] and set(line["losses"]) == {"code", "prose"}
        assert all(2 < loss < 9 for loss in line["losses"].values())
    assert len({json.dumps(proxy["losses"]) for proxy in result["proxies"]}) == 6  # weights reach the training
    text = told(result)
    assert ("mixture:\n  weights:" in text) if result["proposed"] else ("natural mixture" in text)


def test_a_fragment_can_be_pasted(search, recipe):
    _, result = search
    shown = {
        **result,
        "proposed": {"weights": result["natural"]["weights"], "expected": 3.0, "interval": (2.9, 3.1), "clear": False},
    }
    text = told(shown)
    fragment = text[text.index("mixture:\n") :]
    pasted = recipes.parse(
        recipes.dump(recipe, defaults=False).split("mixture:")[0] + fragment + "\ntraining: {steps: 1}"
    )
    assert pasted.mixture.weights == pytest.approx(result["natural"]["weights"])
    assert "may be nothing" in text


def test_a_search_that_was_cut_off_goes_on(search, recipe, monkeypatch):
    runs, result = search
    path = runs / "blend.mixture" / "results.jsonl"
    whole = path.read_text()
    lines = whole.splitlines(keepends=True)
    trained = []
    train = mixtures._Search._train
    monkeypatch.setattr(mixtures._Search, "_train", lambda *args: trained.append(args) or train(*args))
    path.write_text("".join(lines[:5]) + lines[5][:20])  # the last line was not written to its end
    again = mixtures.propose(recipe, runs=runs, proxies=6, steps=3, size=74_000, part="source")
    assert len(trained) == 1
    assert again["proxies"] == result["proxies"] and again["proposed"] == result["proposed"]
    mixtures.propose(recipe, runs=runs, proxies=6, steps=4, size=74_000, part="source")
    assert len(trained) == 7  # other proxies: nothing of the record holds for them


def test_what_cannot_be_searched_says_so(recipe, tmp_path):
    with pytest.raises(RecipeError, match="too few"):
        mixtures.propose(recipe, runs=tmp_path, proxies=5)
    one = recipe.model_copy(update={"mixture": recipe.mixture.model_copy(update={"by": ["language"]})})
    with pytest.raises(DataError, match="one group only"):
        mixtures.propose(one, runs=tmp_path, proxies=6)
    held = recipe.model_copy(update={"corpus": recipe.corpus.model_copy(update={"held_out": 0.0})})
    with pytest.raises(DataError, match="nothing is held out"):
        mixtures.propose(held, runs=tmp_path, proxies=6)


def test_a_plan_shows_what_the_mixture_comes_to(recipe, tmp_path, capsys):
    file, runs = tmp_path / "blend.yaml", tmp_path / "runs"
    file.write_text(recipes.dump(recipe, defaults=False))
    assert mixtures.realised(recipe, runs) is None
    pipeline.run(recipe, runs=runs, until="shards")
    capsys.readouterr()
    budget = ["--set", "mixture.budgets={source: {prose: 5k}}"]
    assert main(["plan", str(file), "--runs", str(runs), "--json", "--hardware", "a100", *budget]) == 0
    rows = {row["group"]: row for row in json.loads(capsys.readouterr().out)["mixture"]}
    assert rows["prose"]["windows"] == 5000 // 64 and sum(row["windows"] for row in rows.values()) == 40 * 8
    assert main(["plan", str(file), "--runs", str(runs), "--hardware", "a100", *budget]) == 0
    assert "prose" in capsys.readouterr().out


def test_a_run_with_budgets_reads_what_was_planned(recipe, tmp_path):
    budgets = recipe.mixture.model_copy(update={"budgets": {"source": {"prose": 1000}}})
    training = recipe.training.model_copy(update={"steps": 6, "checkpoint_every": 6})
    run = pipeline.run(
        recipe.model_copy(update={"mixture": budgets, "training": training, "name": "exact"}),
        runs=tmp_path,
        until="training",
    )
    names = {one.stratum: one.source for one in run.shards.strata("train")}
    counts = {names[one.stratum]: one.examples for one in run.plan.exposure(48)}
    assert counts == {"prose": 15, "code": 33} and run.steps_done == 6
