"""The example of docs/objectives/adding.md is an objective that keeps the promises."""

from __future__ import annotations

import re
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import torch
from conformance import CONTEXT, Family, Made, Windows

from seedstock.evaluation import objective_loss
from seedstock.evaluation.doctor.collapse import collapsed
from seedstock.models.configs.encoder import EncoderConfig

PAGE = Path(__file__).parents[2] / "docs/objectives/adding.md"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    torch.set_num_threads(1)
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.S)[1]
    assert len(code.splitlines()) < 80
    path = tmp_path_factory.mktemp("example") / "documented_example.py"
    path.write_text(code)
    found = spec_from_file_location("documented_example", path)
    sys.modules["documented_example"] = module = module_from_spec(found)
    found.loader.exec_module(module)
    config = EncoderConfig(shape="esm2", width=32, layers=2, heads=2, mlp_width=64, context=CONTEXT)
    return Made(Family(module.ReplacedConfig(), config, lambda objective, batch: [], idle=("network.head",)))


def test_it_starts_where_it_says_and_learns(made):
    nets, course = made.learned
    first = made.objective.expect(made.spec).first["replaced"]
    assert course[0]["replaced"] == pytest.approx(first, rel=0.05) and course[-1]["replaced"] < 0.1
    scored = objective_loss.score(nets, made.objective, Windows(made.arrays), batch=6)
    assert scored["metrics"]["found"]["mean"] > 0.95
    values = {name: one["mean"] for name, one in scored["losses"].items()}
    levels = {"collapse_at": made.objective.expect(made.spec).collapse_at}
    assert [one.level for one in collapsed(levels, values, None)] == ["good"]


@pytest.mark.parametrize("size", [1, 4])
def test_no_split_changes_it(made, size):
    nets = made.nets(lively=True)
    whole, gradients = made.gradients(nets, made.arrays)
    split, others = made.gradients(nets, made.arrays, size)
    assert float(split.loss) == pytest.approx(float(whole.loss), rel=1e-5)
    assert any(name.startswith("detector") for name in gradients)
    for name, gradient in gradients.items():
        assert (others[name] - gradient).norm() <= 2e-5 * gradient.norm() + 1e-7, name
