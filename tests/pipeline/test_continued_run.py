"""A run that continues another's weights is foreseen by a law of its own data, and scored against that."""

from __future__ import annotations

import json

import pytest
from small_recipe import RECIPE

from seedstock import bases, pipeline, recipe, sweeps
from seedstock.cli import main
from seedstock.errors import DataError
from seedstock.planning.scaling import Law

CONSTANTS = {"A": 20.0, "B": 40.0, "E": 1.0, "alpha": 0.3, "beta": 0.3}


def law_of(made, runs, name="swept"):
    """A law as a sweep leaves it, for what this recipe is of."""
    found = {"identity": sweeps.identity(made), "name": "bits_per_byte", "law": Law.known(CONSTANTS).record()}
    (runs / f"{name}.sweep").mkdir()
    text = json.dumps({**found, "runs": [{"parameters": 10_000, "tokens": 10_000}]})
    (runs / f"{name}.sweep" / "law.json").write_text(text)


@pytest.mark.parametrize("same", [True, False])
def test_what_the_law_says_of_it_is_recorded_and_held_against_what_comes(copied, library, capsys, same):
    text = RECIPE.format(folder=library).replace("name: small", "name: more")
    text = text.replace("steps: 12,", "start: 'run:small@12', steps: 4,")
    text = text if same else text.replace("max_repeats: null", "max_repeats: 9")  # another section, the same shards
    made = recipe.parse(text)
    law_of(made, copied.runs)
    run = pipeline.run(made, runs=copied.runs, until="evaluation")
    said, law = run.chain.last("predicted"), Law.known(CONSTANTS)
    count, unique = said["parameters"], said["unique"]
    assert said["base"] == {"run": "small", "step": 12, "tokens": 12 * 512, "same": same} and said["tokens"] == 4 * 512
    scored = run.chain.last("evaluation")["predicted"]
    if same:
        assert said["loss"] == pytest.approx(law.loss(count, 16 * 512, unique)) and "worth" not in scored
    else:
        ends = [law.loss(count, 4 * 512, unique, base) for base in (12 * 512, 0)]
        assert said["interval"] == pytest.approx(ends) and ends[0] < said["loss"] < ends[1]
        assert 0 <= scored["worth"] <= 1
    assert scored["measured"] == run.chain.last("evaluation")["held_out"]["bits_per_byte"]
    # What plan asks of the same pair, from the same records.
    path = copied.runs / "more.yaml"
    path.write_text(text.replace("start: 'run:small@12', ", ""))
    options = ["--hardware", "h100", "--runs", str(copied.runs), "--base", "run:small@12", "--json"]
    assert main(["plan", str(path), *options]) == 0
    found = json.loads(capsys.readouterr().out)["base"]
    assert found["law"] == "swept.sweep" and found["base"]["same"] is same and found["base"]["tokens"] == 12 * 512
    assert [one["worth"] for one in found["continued"]] == ([1.0] if same else [0.0, 1.0])
    again = bases.of_run("run:more", copied.runs)
    assert again.tokens == 16 * 512 and again.parameters == count and again.record["step"] == 4
    with pytest.raises(DataError, match="has no such checkpoint"):
        bases.of_run("run:more@99", copied.runs)
