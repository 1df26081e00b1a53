"""A model that does not predict the next token goes through every stage, and is scored by its own loss."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Literal

import pytest

from seedstock import evaluation, kinds, pipeline, recipe
from seedstock.objectives.base import Expectation, Objective
from seedstock.objectives.configs.base import ObjectiveConfig


class NeighboursConfig(ObjectiveConfig):
    """The token in the middle from those around it, hidden behind the mask token."""

    kind: Literal["neighbours"] = "neighbours"

    def specials(self):
        return ("hidden",)

    def build(self, spec=None):
        import torch

        from seedstock.models.mask import Mask
        from seedstock.objectives.cross_entropy import linear_cross_entropy

        class Neighbours(Objective):
            def corrupt(self, batch, keys):
                chosen = torch.from_numpy(keys.uniform("hide", batch["tokens"].shape[1])) < 0.2
                chosen &= batch["documents"] >= 0
                return {**batch, "targets": torch.where(chosen, batch["tokens"], -1)}

            def counts(self, batch):
                return {"hidden": (batch["targets"] >= 0).sum()}

            def inputs(self, nets, batch):
                tokens = torch.where(batch["targets"] >= 0, spec.specials["hidden"], batch["tokens"])
                x = nets["network"].embed(tokens, batch["positions"])
                mask = Mask.over(batch["documents"], "full")
                return {"x": x, "positions": batch["positions"], "attention": mask}

            def loss(self, nets, output, batch):
                hidden, matrix = output.hidden.flatten(0, 1), nets["network"].head.matrix
                total, nats = linear_cross_entropy(hidden, matrix, batch["targets"].flatten(), 0.0)
                return {"hidden": total}, {"nats": nats.sum()}

            def expect(self, spec):
                import math

                return Expectation(first={"hidden": math.log(spec.vocab_size)}, floor="the entropy of single tokens")

        return Neighbours()


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setitem(kinds.TABLE["objectives"], "neighbours", f"{__name__}:NeighboursConfig")
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])
    caches = (kinds.load, kinds.field, kinds.names, recipe.model)
    for one in caches:
        getattr(one, "cache_clear", lambda: None)()
    yield
    for one in caches:
        getattr(one, "cache_clear", lambda: None)()


RECIPE = """
name: around
sources: [{name: library, kind: text, path: PATH}]
corpus: {policy: none, held_out: 20 %}
tokenizer: {kind: bytes}
model: {shape: plain, width: 32, layers: 1, heads: 2, context: 32, initialisation: normal, convolution: 0}
objective: {kind: neighbours}
training: {steps: 30, batch_tokens: 512, validate_every: 15,
  threads: 1, micro_batch: 16, precision: fp32, compile: false}
"""


def test_it_is_scored_by_its_own_loss_and_released_with_that(registered, tmp_path):
    folder = tmp_path / "texts"
    folder.mkdir()
    for file in sorted(Path(evaluation.__file__).parent.glob("*.py")):
        (folder / f"{file.stem}.txt").write_text(file.read_text())
    run = pipeline.run(recipe.parse(RECIPE.replace("PATH", str(folder))), runs=tmp_path / "runs")
    scores = json.loads((run.folder / "evaluation/scores.json").read_text())
    assert "hidden" in run.tokenizer.specials
    assert (
        scores["held_out"]["loss"]
        == scores["losses"]["hidden"]["mean"]
        == pytest.approx(scores["metrics"]["nats"]["mean"])
    )
    assert 0 < scores["losses"]["hidden"]["mean"] < 5.6  # ln 320 is 5.77: it learnt something
    assert scores["floors"]["tokens"]["orders"]["0"]["nats_per_token"] > 0
    assert scores["expected"]["floor"] == "the entropy of single tokens"
    assert "Held-out losses" in (run.folder / "release/README.md").read_text()
    assert (run.folder / "evaluation/curve.png").stat().st_size > 0
    again = pipeline.again(run, "evaluation")
    assert json.loads((again.folder / "evaluation/scores.json").read_text())["losses"] == scores["losses"]
