"""Muon is torch's Muon; groups follow roles; vectors are never decayed; state survives by name."""

import pytest
import torch
from small_run import small_network
from torch import nn

from seedstock.errors import IntegrityError, RecipeError, SeedstockError
from seedstock.training.configs.optimizers import AdamWConfig, MuonConfig
from seedstock.training.optimizers import state
from seedstock.training.optimizers.groups import by_rate, trained
from seedstock.training.optimizers.muon import Muon, orthogonalize

SHAPES = [(24, 40), (40, 24), (24, 40), (16, 16), (40, 24), (700, 800)]


def matrices() -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]


def steps(optimizer, parameters, count=3):
    generator = torch.Generator().manual_seed(1)
    for _ in range(count):
        for p in parameters:
            p.grad = torch.randn(p.shape, generator=generator)
        optimizer.step()
    return [p.detach().clone() for p in parameters]


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("adjust", ["original", "match_rms_adamw"])
def test_muon_equals_torch(nesterov, adjust):
    ours, theirs = matrices(), matrices()
    options = {"lr": 0.02, "momentum": 0.9, "nesterov": nesterov, "weight_decay": 0.1}
    a = steps(Muon(ours, adjust=adjust, iterations=5, **options), ours)
    b = steps(torch.optim.Muon(theirs, adjust_lr_fn=adjust, ns_steps=5, **options), theirs)
    start = matrices()
    for x, y, s in zip(a, b, start, strict=True):
        # The stacked products round differently in bf16, which five iterations carry on.
        assert (x - y).norm() / (y - s).norm() < 0.02


def test_muon_in_fp32_agrees_with_its_own_bf16():
    exact, rough = matrices(), matrices()
    a = steps(Muon(exact, lr=0.02, dtype=torch.float32), exact, 1)
    b = steps(Muon(rough, lr=0.02, dtype=torch.bfloat16), rough, 1)
    for x, y, s in zip(a, b, matrices(), strict=True):
        assert 0 < (x - y).norm() / (y - s).norm() < 0.05


@pytest.mark.parametrize("shape", [(1, 20, 30), (4, 20, 30), (3, 16, 16)])
def test_singular_values_are_driven_to_about_one(shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    values = torch.linalg.svdvals(orthogonalize(x, 5))
    given = torch.linalg.svdvals(x)
    large = given > 0.05 * given.amax(-1, keepdim=True)
    assert values[large].min() > 0.5 and values.max() < 1.3


def test_muon_for_every_matrix_takes_embeddings_and_heads_too():
    parameters, roles = trained(nn.ModuleDict({"network": small_network()}))
    outside = {name for name, role in roles.items() if role in ("embedding", "head") and parameters[name].ndim == 2}
    assert outside
    for every in (False, True):
        muon = MuonConfig(every=every).build(parameters, roles)[0]
        held = {id(p) for group in muon.param_groups for p in group["params"]}
        assert {id(parameters[name]) in held for name in outside} == {every}
        assert all(p.ndim == 2 for group in muon.param_groups for p in group["params"])


def test_every_parameter_is_in_one_group_and_only_matrices_are_decayed():
    network = small_network()
    parameters, roles = trained(nn.ModuleDict({"network": network}))
    assert len(parameters) == len(list(network.parameters()))
    for config in (MuonConfig(weight_decay=0.1, rest=AdamWConfig()), AdamWConfig()):
        optimizers = config.build(parameters, roles)
        groups = [group for optimizer in optimizers for group in optimizer.param_groups]
        assert sorted(id(p) for group in groups for p in group["params"]) == sorted(map(id, parameters.values()))
        for group in groups:
            assert all((p.ndim >= 2) == (group["weight_decay"] > 0) for p in group["params"])
    muon = MuonConfig().build(parameters, roles)[0]
    held = {id(p) for group in muon.param_groups for p in group["params"]}
    hidden = {name for name, p in parameters.items() if id(p) in held}
    assert hidden == {name for name, role in roles.items() if role in ("column", "row")} and hidden


def test_a_parameter_without_a_role_is_named():
    class Bare(nn.Module):
        def __init__(self):
            super().__init__()
            self.odd = nn.Parameter(torch.zeros(3))

        def roles(self):
            return {}

    with pytest.raises(SeedstockError, match="odd"):
        trained(nn.ModuleDict({"bare": Bare()}))


def test_state_is_restored_by_name():
    def make():
        network = small_network()
        parameters, roles = trained(nn.ModuleDict({"network": network}))
        return parameters, MuonConfig().build(parameters, roles)

    first, optimizers = make()
    for p in first.values():
        p.grad = torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel()))
    for optimizer in optimizers:
        optimizer.step()
    saved = state.tensors(optimizers, first)
    assert saved
    second, others = make()
    room = state.allocate({name: (t.size(), t.dtype) for name, t in saved.items()}, others, second)
    for name, tensor in room.items():
        tensor.copy_(saved[name])
    again = state.tensors(others, second)
    assert again.keys() == saved.keys() and all(torch.equal(again[name], saved[name]) for name in saved)
    with pytest.raises(IntegrityError, match="nobody"):
        state.allocate({"exp_avg.nobody": (torch.Size([1]), torch.float32)}, others, second)


def test_state_that_is_neither_tensor_nor_number_is_refused():
    p = nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.SGD([p], lr=0.1)
    optimizer.state[p]["history"] = [1, 2]
    with pytest.raises(SeedstockError, match="history as list"):
        state.numbers([optimizer], {"p": p})


def test_muon_takes_experts_one_by_one():
    random = torch.Generator().manual_seed(0)
    apart = [torch.nn.Parameter(torch.randn(24, 16, generator=random)) for _ in range(3)]
    stacked = [torch.nn.Parameter(torch.stack([p.detach().clone() for p in apart]))]
    for p in [*apart, *stacked]:
        p.grad = torch.sin(p.detach() * 3)
    for parameters in (apart, stacked):
        optimizer = Muon(parameters, lr=0.02, weight_decay=0.1, dtype=torch.float32)
        optimizer.step()
        optimizer.step()
    torch.testing.assert_close(stacked[0], torch.stack(apart))


def test_rates_by_name_and_depth():
    names = ["network.embedding.tokens.weight", "network.head.dense.weight", "class_head.classifier.weight"]
    names += [f"network.backbone.blocks.{n}.mlp.up.weight" for n in range(3)]
    parameters = {name: nn.Parameter(torch.ones(2, 2)) for name in names}
    found = by_rate(parameters, {"class_head.*": 10, "*blocks.0*": 0}, 0.5)
    factors = {name: factor for factor, group in found.items() for name in group}
    assert factors == {
        "class_head.classifier.weight": 10,
        "network.head.dense.weight": 1,
        "network.backbone.blocks.2.mlp.up.weight": 1,
        "network.backbone.blocks.1.mlp.up.weight": 0.5,
        "network.backbone.blocks.0.mlp.up.weight": 0,
        "network.embedding.tokens.weight": 0.125,
    }


def test_a_rate_of_nothing_leaves_a_parameter_as_it_is():
    parameters = {name: nn.Parameter(torch.ones(2, 2)) for name in ("class_head.weight", "network.weight")}
    (optimizer,) = AdamWConfig(learning_rate=0.1, rates={"network.*": 0}).build(parameters, {})
    for parameter in parameters.values():
        parameter.grad = torch.ones(2, 2)
    optimizer.step()
    assert torch.equal(parameters["network.weight"], torch.ones(2, 2))
    assert not torch.equal(parameters["class_head.weight"], torch.ones(2, 2))


def test_muon_takes_rates_by_name_too():
    names = [f"network.backbone.blocks.0.attention.{part}.weight" for part in ("query", "key", "value")]
    parameters = {name: nn.Parameter(torch.eye(4)) for name in names}
    config = MuonConfig(learning_rate=0.1, rates={"*.query.weight": 0.25, "*.value.weight": 0}, precision="fp32")
    (optimizer,) = config.build(parameters, dict.fromkeys(names, "column"))
    for parameter in parameters.values():
        parameter.grad = torch.diag(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    optimizer.step()
    query, key, value = (torch.eye(4) - parameter.detach() for parameter in parameters.values())
    torch.testing.assert_close(query, key / 4)
    assert key.any() and not value.any()


def test_muon_takes_heads_one_by_one():
    random = torch.Generator().manual_seed(0)
    whole, other = (nn.Parameter(torch.randn(24, 16, generator=random)) for _ in range(2))
    heads = {f"{n}.query.weight": nn.Parameter(one.clone()) for n, one in enumerate(whole.detach().chunk(3))}
    apart = heads | {"output.weight": nn.Parameter(other.detach().clone())}
    together = {"query.weight": whole, "output.weight": other}
    for parameters, pieces in ((apart, {}), (together, {"*query.weight": 3})):
        config = MuonConfig(precision="fp32", weight_decay=0.1, pieces=pieces)
        (optimizer,) = config.build(parameters, dict.fromkeys(parameters, "column"))
        for _ in range(2):
            for p in parameters.values():
                p.grad = torch.sin(p.detach() * 3)
            optimizer.step()
    torch.testing.assert_close(whole, torch.cat([*heads.values()]))
    torch.testing.assert_close(other, apart["output.weight"])


def test_muon_refuses_pieces_that_do_not_divide_rows():
    parameters = {"query.weight": nn.Parameter(torch.ones(24, 16))}
    with pytest.raises(RecipeError, match=r"24 rows of query.weight are not 5"):
        MuonConfig(pieces={"*query.weight": 5}).build(parameters, {"query.weight": "column"})
