"""Mixtures of experts: with one expert the dense network bit for bit; balance, load, padding, upcycling."""

from __future__ import annotations

import math

import pytest
import torch
from pydantic import ValidationError
from small_networks import VOCABULARY, lively, packed, small

from seedstock.errors import RecipeError
from seedstock.models import experts
from seedstock.models.experts import Experts, Routed, experts_of
from seedstock.models.mask import Mask
from seedstock.models.mlp import MLP
from seedstock.models.upcycle import upcycle
from seedstock.objectives.base import Spec
from seedstock.objectives.configs.causal import CausalConfig
from seedstock.training.gradients import accumulate

MIXTURES = ("mixtral", "qwen3-moe")


def _gradients(network, spec=None, size=4, batch=None):
    objective, batch = CausalConfig().build(spec), batch or packed()
    nets = torch.nn.ModuleDict({"network": network})
    network.zero_grad()
    step = accumulate(nets, objective, batch, batch["examples"].numpy(), size=size, seed=1)
    return step, {name: p.grad for name, p in network.named_parameters()}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("dense", "mixture"), [("llama", "mixtral"), ("qwen3", "qwen3-moe")])
def test_one_expert_is_the_dense_network_bit_for_bit(dense, mixture, dtype):
    one = lively(dense, tied_embeddings=False).use(dtype)
    other = upcycle(one, small(mixture, experts=1, experts_per_token=1, balance=0).build(VOCABULARY)).use(dtype)
    tokens = packed()["tokens"]
    assert torch.equal(one(tokens), other(tokens))
    (first, wanted), (second, found) = _gradients(one), _gradients(other)
    assert torch.equal(first.loss, second.loss)
    for name, gradient in wanted.items():
        name = name.removesuffix(".weight") if ".mlp." in name else name
        assert torch.equal(gradient, found[name].reshape(gradient.shape)), name


@pytest.mark.parametrize("shape", MIXTURES)
def test_upcycling_keeps_the_logits(shape):
    dense = lively("llama" if shape == "mixtral" else "qwen3", tied_embeddings=False)
    mixture = upcycle(dense, small(shape).build(VOCABULARY, seed=3))
    tokens = packed()["tokens"]
    torch.testing.assert_close(mixture(tokens), dense(tokens), rtol=1e-5, atol=1e-5)


def test_upcycling_refuses_what_would_not_be_equal():
    dense = lively("llama")
    for changes, words in [
        ({"expert_width": 32}, "expert_width must be 64"),
        ({"shared_expert": 64}, "shared_expert"),
        ({"normalise_router": False}, "add up to one"),
        ({"width": 64, "head_size": 8}, r"shape"),
    ]:
        with pytest.raises(RecipeError, match=words):
            upcycle(dense, small("mixtral", **changes).build(VOCABULARY))


def test_each_token_gets_the_weighted_outputs_of_its_experts():
    config = small("mixtral", experts=5, experts_per_token=3, shared_expert=16).resolved()
    mixture = _experts(config)
    x = torch.randn(2, 7, config.width, generator=torch.Generator().manual_seed(0))
    shares = torch.softmax(mixture.router(x), -1)
    expected = mixture.shared(x)
    plain = MLP(config)
    for b in range(2):
        for t in range(7):
            weights, chosen = shares[b, t].topk(3)
            for weight, e in zip(weights / weights.sum(), chosen.tolist(), strict=True):
                for part in ("gate", "up", "down"):
                    getattr(plain, part).weight.data = getattr(mixture, part)[e].data
                expected[b, t] += weight * plain(x[b, t])
    torch.testing.assert_close(mixture(x), expected)


def _experts(config, scale=0.3):
    mixture = Experts(config)
    with torch.no_grad():
        for number, parameter in enumerate(mixture.parameters()):
            parameter.normal_(0, scale, generator=torch.Generator().manual_seed(number))
    return mixture


def test_balance_is_one_where_the_router_is_even_and_more_where_it_is_not():
    config = small("mixtral").resolved()
    mixture, x = _experts(config), torch.randn(3, 64, config.width)
    torch.nn.init.zeros_(mixture.router.weight)
    even, z = Routed(), math.log(config.experts) ** 2
    mixture(x, even)
    torch.testing.assert_close(even.balance[0], torch.ones(3))
    torch.testing.assert_close(even.z[0], torch.full((3,), z))
    losses = even.losses(config.model_copy(update={"router_z_loss": 1e-3}))
    assert losses["balance"].item() == pytest.approx(3 * config.balance)
    assert losses["router_z"].item() == pytest.approx(3 * 1e-3 * z)
    torch.nn.init.constant_(mixture.router.weight[:2], 3.0)  # two experts get every token whose sum is positive
    uneven = Routed()
    mixture(x.abs(), uneven)
    assert uneven.balance[0].min().item() > 3  # E / k = 4 where two take everything


def test_padding_counts_for_nothing():
    network = lively("mixtral").train()
    batch = packed(documents=1, batch=2)
    batch["documents"] = torch.zeros_like(batch["documents"])
    longer = {
        "tokens": torch.cat([batch["tokens"], torch.zeros(2, 9, dtype=torch.long)], 1),
        "documents": torch.cat([batch["documents"], torch.full((2, 9), -1)], 1),
        "positions": torch.arange(42).expand(2, 42),
        "examples": batch["examples"],
    }
    spec = Spec(VOCABULARY, 48, model=network.config)
    batch["positions"] = torch.arange(33).expand(2, 33)
    # The last input of the shorter rows is left out as a target alone; take as much from both.
    longer["documents"][:, 32] = -1
    first, _ = _gradients(network, spec, 2, batch)
    loads = [layer.load.clone() for layer in experts_of(network)]
    network.after_step()
    second, _ = _gradients(network, spec, 2, longer)
    assert all(torch.equal(load, layer.load) for load, layer in zip(loads, experts_of(network), strict=True))
    torch.testing.assert_close(first.losses["balance"], second.losses["balance"])


@pytest.mark.parametrize("size", [1, 3])
def test_micro_batches_change_neither_losses_nor_gradients_nor_load(size):
    network = lively("qwen3-moe", router_z_loss=1e-3).train()
    spec = Spec(VOCABULARY, 48, model=network.config)
    whole, gradients = _gradients(network, spec)
    loads = [layer.load.clone() for layer in experts_of(network)]
    network.after_step()
    parts, others = _gradients(network, spec, size)
    assert whole.losses.keys() == {"causal", "balance", "router_z"}
    for name in whole.losses:
        torch.testing.assert_close(whole.losses[name], parts.losses[name])
    for name in gradients:
        torch.testing.assert_close(gradients[name], others[name], rtol=1e-4, atol=1e-6)
    assert all(torch.equal(load, layer.load) for load, layer in zip(loads, experts_of(network), strict=True))


def test_the_first_losses_are_those_expected():
    network = small("mixtral", router_z_loss=1e-3).build(VOCABULARY).train()
    spec = Spec(VOCABULARY, 48, model=network.config)
    step, _ = _gradients(network, spec)
    expected = CausalConfig().build(spec).expect(spec)
    assert step.losses.keys() == expected.first.keys()
    for name, value in expected.first.items():
        assert float(step.losses[name]) == pytest.approx(value, rel=0.05), name


def test_the_bias_evens_the_load_without_a_loss():
    config = small("mixtral", experts=4, balance=0, balance_rate=0.01, layers=1)
    network = config.build(VOCABULARY).train()
    assert network.config.auxiliary == ()
    mixture = experts_of(network)[0]
    random = torch.Generator().manual_seed(5)
    torch.nn.init.normal_(mixture.router.weight, 0, 0.1, generator=random)
    x, entropies = 1 + torch.randn(16, 32, config.width, generator=random), []  # all lean the same way
    for _ in range(60):
        mixture(x, Routed())
        assert int(mixture.load.sum()) == 16 * 32 * 2
        network.after_step()
        entropies.append(mixture.entropy())
    assert entropies[0] < 0.95 and entropies[-1] > 0.99
    assert "backbone.blocks.0.mlp.bias" in network.state_dict()  # a resumed run goes on from it
    assert network.config.export_class is None


def test_load_is_added_up_over_ranks_before_the_bias_moves():
    network = small("mixtral", experts=4, balance_rate=0.01, layers=1).build(VOCABULARY).train()
    mixture = experts_of(network)[0]
    mixture.load.copy_(torch.tensor([8, 0, 0, 0]))
    network.after_step(reduce=lambda load: load + torch.tensor([0, 8, 8, 8]))
    assert not mixture.bias.any() and mixture.entropy() == pytest.approx(1)


def test_evaluation_counts_no_load():
    network = lively("mixtral")
    with torch.no_grad():
        network.train()(packed()["tokens"])
    network.eval()(packed()["tokens"])
    assert not any(layer.load.any() for layer in experts_of(network))


@pytest.mark.skipif(not hasattr(torch.nn.functional, "grouped_mm"), reason="this torch has no grouped product")
def test_the_grouped_product_is_that_of_one_expert_after_another():
    random = torch.Generator().manual_seed(0)
    sizes, found = torch.tensor([10, 0, 20, 10]), []
    for form in (experts._one_by_one, experts._all_at_once):
        x = torch.randn(40, 32, generator=random.manual_seed(1)).bfloat16().requires_grad_()
        weight = torch.randn(4, 24, 32, generator=random).bfloat16().requires_grad_()
        out = form(x, weight, sizes)
        found.append((out, *torch.autograd.grad(out.float().square().sum(), [x, weight])))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_compiled_blocks_compute_the_same():
    network, tokens = lively("mixtral", layers=1).train(), packed()["tokens"]
    expected = network(tokens)
    network.compile(backend="eager")
    torch.testing.assert_close(network(tokens), expected)
    torch._dynamo.reset()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"experts_per_token": 9}, "is more than experts"),
        ({"biases": True}, "without biases"),
        ({"experts_per_token": 8, "balance_rate": 0.1}, "nothing to balance"),
        ({"experts": 0}, "greater than 0"),
    ],
)
def test_what_makes_no_sense_is_refused(changes, words):
    with pytest.raises(ValidationError, match=words):
        small("mixtral", **changes)
    with pytest.raises(ValidationError, match="without experts"):
        small("llama", balance=0.1)


def test_the_mask_of_a_pass_says_what_is_padding():
    documents = torch.tensor([[0, 0, -1, -1]])
    assert Mask.over(documents).documents is not None
    assert Mask.over(torch.full((1, 4), -1)).documents is not None
    assert Mask.over(torch.zeros(1, 4, dtype=torch.long)).documents is None
