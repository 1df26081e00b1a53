"""Small runs that answer questions: a sweep and its law, what it foresees and whether that came true; ablations."""

from __future__ import annotations

import json
import textwrap

import numpy as np
import pytest

from seedstock import ablations, pipeline, small_runs, sweeps
from seedstock import recipe as recipes
from seedstock.cli import main
from seedstock.errors import DataError, RecipeError

RECIPE = """\
name: ladder
seed: 3
sources:
  - {{name: library, kind: text, path: {folder}, licence: PSF-2.0, domain: code, language: en}}
corpus: {{policy: none, dedup: null, held_out: 30 %}}
mixture: {{max_repeats: null}}
tokenizer: {{kind: bytes}}
model: {{kind: decoder, shape: qwen3, context: 32, size: 74k}}
training: {{tokens: 4000, batch_tokens: 256, precision: fp32, threads: 1, micro_batch: 8, compile: false}}
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    import inspect

    folder = tmp_path_factory.mktemp("questions")
    (folder / "text").mkdir()
    source = inspect.getsource(textwrap)
    for part in range(24):
        (folder / "text" / f"{part}.txt").write_text(source[part * 700 : part * 700 + 700])
    (folder / "ladder.yaml").write_text(RECIPE.format(folder=folder / "text"))
    return folder / "ladder.yaml"


@pytest.fixture(scope="module")
def swept(path, tmp_path_factory):
    pytest.MonkeyPatch().setenv("SEEDSTOCK_KEY", "5e" * 32)
    runs, recipe = tmp_path_factory.mktemp("swept"), recipes.load(path)
    options = {"sizes": [74_000, 127_000, 181_000], "ratios": [0.01, 0.02, 0.04], "runs": runs}
    return runs, recipe, options, sweeps.sweep(recipe, **options)


def test_a_ladder_has_a_run_for_each_rung_and_a_law(swept):
    runs, _, _, result = swept
    assert len(result["runs"]) == 9
    for row in result["runs"]:
        assert (runs / row["run"] / "recipe.yaml").is_file() and 2 < row["loss"] < 9
    sizes = sorted({row["parameters"] for row in result["runs"]})
    assert len(sizes) == 3 and all(abs(a / b - 1) < 0.05 for a, b in zip(sizes, (74e3, 127e3, 181e3), strict=True))
    ratios = {round(row["tokens"] / row["parameters"], 2) for row in result["runs"]}
    assert ratios == {0.01, 0.02, 0.04}
    assert json.loads((runs / "ladder.sweep" / "law.json").read_text())["law"] == json.loads(json.dumps(result["law"]))


def test_a_ladder_of_budgets_gives_each_size_the_tokens_that_they_pay_for(path):
    recipe = recipes.load(path)
    rungs = sweeps.ladder(recipe, [74_000, 127_000, 127_000], [], [2.5e11, 2e11])
    assert len({name for name, _ in rungs}) == len(rungs) == 4 and rungs[-1][0].endswith("-2.5e11")
    for _, made in rungs:
        flops = 6 * made.model.size * made.training.tokens
        assert min(abs(flops / budget - 1) for budget in (2e11, 2.5e11)) < 1e-3
        assert made.training.steps is None and made.model.width is None


def test_a_sweep_that_was_cut_off_goes_on(swept, monkeypatch):
    runs, recipe, options, result = swept
    trained = []
    train = small_runs.SmallRuns._train
    monkeypatch.setattr(small_runs.SmallRuns, "_train", lambda *args: trained.append(args) or train(*args))
    (runs / "ladder.sweep" / "results" / f"{result['runs'][4]['run']}.json").unlink()
    again = sweeps.sweep(recipe, **options)
    assert len(trained) == 1 and again["law"] == result["law"]  # and that run is scored anew, not trained


def test_what_a_law_foresees_is_planned_and_recorded_and_held_against_what_came(swept, path, capsys):
    runs, _, _, _ = swept
    assert main(["plan", str(path), "--runs", str(runs), "--hardware", "h100", "--json"]) == 0
    planned = json.loads(capsys.readouterr().out)["predicted"]
    assert planned["sweep"] == "ladder.sweep" and planned["unique"] > 1000
    run = pipeline.run(recipes.load(path), runs=runs, until="evaluation")
    noted, came = run.chain.last("predicted"), run.chain.last("evaluation")["predicted"]
    assert noted["loss"] == pytest.approx(planned["loss"], rel=0.02)
    assert came["measured"] == run.chain.last("evaluation")["held_out"]["bits_per_byte"]
    assert came["within"] == (came["interval"][0] <= came["measured"] <= came["interval"][1])
    kinds = [record["kind"] for record in run.chain.records]
    assert kinds.index("predicted") < kinds.index("attempt")
    assert main(["plan", str(path), "--runs", str(runs), "--sweep", "other", "--hardware", "h100", "--json"]) == 1
    changed = ["--set", "corpus.held_out=20 %"]
    assert main(["plan", str(path), "--runs", str(runs), "--sweep", "ladder", "--hardware", "h100", *changed]) == 1
    assert "of other data" in capsys.readouterr().err


@pytest.fixture(scope="module")
def ablated(path, swept):
    runs = swept[0]  # beside the ladder, whose corpus it can use
    vary = ["training.optimizer.kind=adamw,muon"]
    return runs, vary, ablations.ablate(path, vary, seeds=2, tokens=1500, runs=runs)


def test_every_combination_is_tried_the_first_values_first():
    keys, found = ablations.variants(["training.clip=1,0.5", "model={size: 1M},{size: 2M},null"])
    assert keys == ["training.clip", "model"] and found[0] == {"training.clip": 1, "model": {"size": "1M"}}
    assert len(found) == 6 and {"training.clip": 0.5, "model": None} in found


def test_variants_are_held_against_the_first(ablated):
    _, _, result = ablated
    assert [one["values"]["training.optimizer.kind"] for one in result["variants"]] == ["adamw", "muon"]
    assert len({one["tokens"] for one in result["variants"]}) == 1
    baseline = result["variants"][0]["losses"]
    for one in result["variants"][1:]:
        pairs = [a - b for a, b in zip(one["losses"], baseline, strict=True)]
        assert one["difference"] == pytest.approx(sum(pairs) / 2) and one["over_seeds"]["pairs"] == pytest.approx(pairs)
        assert one["by_documents"]["difference"] == pytest.approx(one["difference"], abs=1e-9)
        low, high = one["by_documents"]["interval"]
        assert low <= one["difference"] <= high
    assert "baseline" in _text(ablations.told(result))


def _text(shown):
    from rich.console import Console

    console = Console(width=200)
    with console.capture() as held:
        console.print(shown)
    return held.get()


def test_an_ablation_is_resumed_and_speaks_json(ablated, path, capsys, monkeypatch):
    runs, vary, result = ablated
    monkeypatch.setattr(small_runs.SmallRuns, "_train", lambda *args: pytest.fail("it was trained again"))
    options = [option for one in vary for option in ("--vary", one)]
    arguments = ["ablate", str(path), *options, "--seeds", "2", "--tokens", "1500", "--runs", str(runs), "--json"]
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["variants"] == json.loads(json.dumps(result["variants"]))


@pytest.mark.parametrize(
    "vary",
    [[], ["training.clip"], ["training.clip=1"], ["training.clip=1,1"], ["=1,2"], ["seed=1,2"], ["training.clip=[,"]],
)
def test_what_cannot_be_varied_is_refused(path, tmp_path, vary):
    with pytest.raises(RecipeError):
        ablations.ablate(path, vary, runs=tmp_path)


def test_a_variant_that_is_no_recipe_is_refused_before_anything_is_trained(path, tmp_path, capsys):
    assert main(["ablate", str(path), "--vary", "training.clip=1,much", "--runs", str(tmp_path), "--json"]) == 2
    assert "clip" in json.loads(capsys.readouterr().out)["error"] and not any(tmp_path.iterdir())
    assert main(["sweep", str(path), "--sizes", "0", "--runs", str(tmp_path), "--json"]) == 2
    assert main(["sweep", str(path), "--ratios", "many", "--runs", str(tmp_path), "--json"]) == 2


@pytest.fixture
def planned(path, tmp_path, monkeypatch):
    """The proxies that an ablation would train."""

    def plan(vary, **options):
        seen = []

        def row(self, recipe, title):
            seen.append(recipe)
            return {"loss": 1.0, "name": "bits", "run": recipe.name, "tokens": 1500, "parameters": 1}

        one = {"id": np.array([b"a", b"b"]), "size": np.ones(2), "loss": np.ones(2)}
        monkeypatch.setattr(small_runs.SmallRuns, "row", row)
        monkeypatch.setattr(small_runs.SmallRuns, "documents", lambda self, name: one)
        ablations.ablate(path, vary, seeds=1, tokens=1500, runs=tmp_path, **options)
        return seen

    return plan


def test_two_ablations_of_a_recipe_share_the_proxies_that_are_the_same(planned):
    first, clipped = planned(["training.clip=1,0.5"])
    again, other = planned(["training.ema=null,0.9"])
    assert again == first and len({first.name, clipped.name, other.name}) == 3
    dial, none = planned(["training.optimizer={kind: muon},{kind: muon, weight_decay: 0}"])  # none is also the default
    assert dial.name == first.name != none.name


def test_a_size_that_is_varied_is_not_given_by_the_dial(planned):
    found = [recipe.model.layers for recipe in planned(["model.layers=1,2,3"], size=181_000)]
    assert found == [1, 2, 3]


@pytest.mark.parametrize("vary", ["model.size=74k,127k", "model={size: 74k},{size: 127k}"])
def test_sizes_and_one_size_for_all_are_refused_together(planned, vary):
    with pytest.raises(RecipeError, match="--size"):
        planned([vary], size=181_000)


def test_nothing_to_score_on_is_said(path, tmp_path):
    recipe = recipes.load(path, ["corpus.held_out=0"])
    with pytest.raises(DataError, match="nothing is held out"):
        sweeps.sweep(recipe, sizes=[74_000], ratios=[0.01], runs=tmp_path)


def test_variants_that_keep_other_documents_are_compared_on_those_that_both_have():
    """A policy that drops documents changes the held-out split as well: easy ones alone say nothing of the model."""
    ids, size = np.array([b"%016d" % i for i in range(40)]), np.full(40, 1000)
    first = {"id": ids, "size": size, "loss": np.linspace(2000, 4000, 40)}
    easy = {name: value[:20] for name, value in first.items()}
    second = easy | {"loss": easy["loss"] + 100}
    means = [float(table["loss"].sum() / table["size"].sum()) for table in (first, second)]
    found = ablations._difference(means[:1], means[1:], [(first, second)])
    assert means[1] < means[0] and found["difference"] == pytest.approx(0.1)
    assert found["by_documents"]["documents"] == [20] and found["verdict"] == "worse"
    told = {
        "name": "bits_per_byte",
        "seeds": 1,
        "variants": [
            {"values": {"a": 1}, "mean": means[0], "parameters": 1},
            {"values": {"a": 2}, "mean": means[1], "parameters": 1, **found},
        ],
    }
    assert "scored on other documents" in _text(ablations.told(told)) and "--seeds 3" in _text(ablations.told(told))
