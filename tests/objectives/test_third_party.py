"""An objective in a package of the user's own: one small file and one entry point."""

from __future__ import annotations

import subprocess
import sys

import pytest

MODULE = '''
from typing import Literal

from seedstock.objectives.configs.base import ObjectiveConfig


class ReversedConfig(ObjectiveConfig):
    """Each token from those after it: the same objective on text that runs backwards."""

    kind: Literal["reversed"] = "reversed"

    def build(self, spec=None):
        from seedstock.objectives.causal import Causal

        class Reversed(Causal):
            def corrupt(self, batch, keys):
                turned = {name: batch[name].flip(1) for name in ("tokens", "documents")}
                return {**batch, **turned}

        return Reversed()
'''

USE = """
import torch
from seedstock import kinds
from seedstock.models.configs.decoder import DecoderConfig
from seedstock.objectives.base import assemble

assert "reversed" in kinds.names("objectives")
assert kinds.provider("objectives", "reversed")["package"] == "backwards"
objective = kinds.load("objectives", "reversed")().build()
network = DecoderConfig(width=16, layers=1, heads=2, context=8).build(64)
nets = assemble(network, objective)
tokens = torch.arange(9)[None]
batch = {"tokens": tokens, "documents": torch.zeros_like(tokens), "positions": tokens.clone()}
batch = objective.corrupt(batch, None)
assert batch["tokens"][0, 0] == 8
sums, _ = objective.loss(nets, network.backbone(**objective.inputs(nets, batch)), batch)
(sums["causal"] / objective.counts(batch)["causal"]).backward()
print(float(sums["causal"] / 8))
"""


def test_an_objective_of_another_package_is_found_and_trained(tmp_path):
    (tmp_path / "backwards.py").write_text(MODULE)
    info = tmp_path / "backwards-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: backwards\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[seedstock.objectives]\nreversed = backwards:ReversedConfig\n")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{USE}"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    assert float(found.stdout) == pytest.approx(4.16, abs=0.2)  # ln 64
