"""Products in float8: torchao's own, of hidden matrices alone, and a run that is otherwise the same run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from small_run import BATCH, SmallLoader, small_config, small_fit, small_network
from torch import nn

from seedstock.errors import Interrupted, RecipeError
from seedstock.objectives.base import assemble
from seedstock.objectives.configs.causal import CausalConfig
from seedstock.training import batches, float8
from seedstock.training.callbacks.base import Callback
from seedstock.training.checkpoint import folder as checkpoints
from seedstock.training.configs.float8 import Float8Config
from seedstock.training.configs.parallel import ParallelConfig
from seedstock.training.configs.training import TrainingConfig
from seedstock.training.gradients import accumulate
from seedstock.training.parallel.layouts import spread
from seedstock.training.parallel.world import World
from seedstock.training.passing import Pass
from seedstock.training.settle import use

torchao = pytest.importorskip("torchao.float8", reason="needs the extra float8")
RECIPES = ("tensorwise", "rowwise", "rowwise_with_gw_hp")
BANDS = {"bf16": 0.03, "tensorwise": 0.2, "rowwise": 0.2, "rowwise_with_gw_hp": 0.2}
"""How far the whole gradient is from fp32's, of its norm, in one step of the small decoder."""


def gradients(recipe: str | None, dtype: torch.dtype, again: str = "none") -> dict[str, torch.Tensor]:
    """One step's, by name, of weights away from their start (where some are zero)."""
    network, objective = small_network(), CausalConfig().build()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            generator = torch.Generator().manual_seed(len(name))
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    nets = assemble(network, objective).train()
    use(nets, dtype)
    if recipe:
        float8.use(nets, Float8Config(recipe=recipe, emulate=True))  # type: ignore[arg-type]
    passing = Pass(nets, objective)
    spread(passing, World(), ParallelConfig(), recompute=again)
    arrays = SmallLoader().batch(0)
    batch = batches.tensors(arrays, torch.device("cpu"))
    accumulate(nets, objective, batch, arrays["examples"], size=BATCH, seed=1, passing=passing)
    return {name: parameter.grad for name, parameter in nets.named_parameters() if parameter.grad is not None}


def apart(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> float:
    assert ours.keys() == theirs.keys()
    norm = torch.stack([one.norm() for one in theirs.values()]).norm()
    return float(torch.stack([(ours[name] - one).norm() for name, one in theirs.items()]).norm() / norm)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("bias", [False, True])
def test_a_product_is_that_of_torchaos_own_layer(recipe: str, bias: bool) -> None:
    from seedstock.models.linear import Linear

    theirs, ours = nn.Linear(32, 48, bias=bias), Linear(32, 48, bias=bias)
    ours.load_state_dict(theirs.state_dict())
    ours.product = float8.Product(Float8Config(recipe=recipe, emulate=True))  # type: ignore[arg-type]
    settings = torchao.Float8LinearConfig.from_recipe_name(recipe)
    object.__setattr__(settings, "emulate", True)
    theirs = torchao.convert_to_float8_training(theirs, config=settings)
    x = torch.randn(2, 16, 32, generator=torch.Generator().manual_seed(1))
    found = []
    for layer in (theirs, ours):
        out = layer(x.requires_grad_())
        out.square().sum().backward()
        found.append([out.detach(), *(parameter.grad for parameter in layer.parameters())])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
    assert not torch.equal(ours(x), ours.eval()(x))  # plain, where it does not train
    with torch.no_grad():  # fifteen rows, which a device would refuse
        assert torch.equal(ours.train()(x[0, :15]), ours.eval()(x[0, :15]))


def test_gradients_are_near_and_not_the_same() -> None:
    exact = gradients(None, torch.float32)
    assert 0 < apart(gradients(None, torch.bfloat16), exact) < BANDS["bf16"]
    for recipe in RECIPES:
        assert 0.03 < apart(gradients(recipe, torch.bfloat16), exact) < BANDS[recipe], recipe


@pytest.mark.parametrize("again", ["selective", "full"])
def test_what_is_worked_out_again_is_the_same_bits(again: str) -> None:
    plain, ours = (gradients("tensorwise", torch.bfloat16, how) for how in ("none", again))
    assert all(torch.equal(ours[name], one) for name, one in plain.items())


def test_hidden_matrices_alone_and_none_that_is_left_or_does_not_divide() -> None:
    def converted(config: Float8Config, **sizes: Any) -> set[str]:
        network = small_network(**sizes)
        float8.use(assemble(network, CausalConfig().build()), config)
        return {name for name, module in network.named_modules() if getattr(module, "product", None) is not None}

    found = converted(Float8Config(emulate=True))
    block = [f"attention.{name}" for name in ("query", "key", "value", "output")] + ["mlp.gate", "mlp.up", "mlp.down"]
    assert found == {f"backbone.blocks.{n}.{name}" for n in range(2) for name in block}
    left = converted(Float8Config(emulate=True, leave=["*.blocks.0.*", "*.down.weight"]))
    assert left == {name for name in found if ".1." in name and not name.endswith("down")}
    assert converted(Float8Config(emulate=True), mlp_width=72) == {name for name in found if "attention" in name}
    mixture = converted(Float8Config(emulate=True), experts=4, experts_per_token=2, expert_width=32, shared_expert=32)
    assert {name for name in mixture if "mlp" in name and "shared" not in name} == set() and any(
        "shared" in name for name in mixture
    )


def test_what_does_not_fit_is_told_before_anything_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    nets = assemble(small_network(), CausalConfig().build())
    with pytest.raises(RecipeError, match=r"compute capability 8\.9 or above, and this is a CPU") as error:
        float8.use(nets, Float8Config())
    assert "emulate: true" in (error.value.fix or "")
    with pytest.raises(RecipeError, match="no hidden matrix is left"):
        float8.use(nets, Float8Config(emulate=True, leave=["*"]))
    with pytest.raises(ValidationError, match="what is multiplied in float8 is bf16 elsewhere"):
        TrainingConfig(precision="fp32", float8={})
    monkeypatch.setitem(__import__("sys").modules, "torchao.float8", None)
    with pytest.raises(RecipeError, match="torchao is not installed") as error:
        float8.use(nets, Float8Config(emulate=True))
    assert "seedstock[float8]" in (error.value.fix or "")


class StopAt(Callback):
    name = "stop"

    def after_step(self, run: Any) -> None:
        if run.step == 4:
            run.stop.request("a test")


def test_a_run_resumes_bit_for_bit_and_its_checkpoints_are_those_of_any_other(tmp_path: Path) -> None:
    config = small_config(steps=8, precision="bf16", float8={"emulate": True}, checkpoint_every=4)
    whole = small_fit(tmp_path / "whole", config)
    with pytest.raises(Interrupted):
        small_fit(tmp_path / "half", config, callbacks=[StopAt()])
    half = small_fit(tmp_path / "half", config)
    plain = small_fit(tmp_path / "plain", config.model_copy(update={"float8": None}))
    assert half.losses == whole.losses[4:] and whole.losses != plain.losses
    np.testing.assert_allclose(whole.losses, plain.losses, atol=0.1)
    ours, theirs = (checkpoints.sizes(result.checkpoint) for result in (whole, plain))
    assert ours == theirs
    for one in (whole, half):
        assert (one.checkpoint / "model.safetensors").read_bytes() == (
            whole.checkpoint / "model.safetensors"
        ).read_bytes()
