"""Lion, Adafactor and SOAP are what their papers say; groups by name; a run with any of them resumes bit for bit."""

import copy
import math

import pytest
import torch
from small_run import small_config, small_fit, small_network
from test_resume import StopAt, assert_same
from torch import nn

from seedstock.errors import Interrupted, RecipeError
from seedstock.training.configs.optimizers import AdafactorConfig, AdamWConfig, LionConfig
from seedstock.training.configs.training import TrainingConfig
from seedstock.training.optimizers import withheld
from seedstock.training.optimizers.adafactor import Adafactor
from seedstock.training.optimizers.groups import build, grouped, trained
from seedstock.training.optimizers.lion import Lion
from seedstock.training.optimizers.soap import Soap

SHAPES = [(24, 40), (40, 24), (16, 16), (3, 8, 6), (64, 1)]


def parameters(shapes=SHAPES):
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]


def gradients(shapes=SHAPES, count=8):
    generator = torch.Generator().manual_seed(1)
    return [[torch.randn(shape, generator=generator) * 10 ** (-step / 2) for shape in shapes] for step in range(count)]


def steps(optimizer, held, given):
    for one in given:
        for p, gradient in zip(held, one, strict=True):
            p.grad = gradient.clone()
        optimizer.step()
    return [p.detach() for p in held]


def test_lion_is_algorithm_2():
    first, second, rate, decay = 0.9, 0.98, 0.01, 0.3
    shapes = [*SHAPES, (5,)]
    held = [nn.Parameter(p.detach().double()) for p in parameters(shapes)]
    given = [[g.double() for g in one] for one in gradients(shapes)]
    ours = steps(Lion(held, lr=rate, betas=(first, second), weight_decay=decay), held, given)
    for number, theta in enumerate(p.detach().double() for p in parameters(shapes)):
        m = torch.zeros_like(theta)
        for one in given:
            g = one[number]
            c = first * m + (1 - first) * g
            theta = theta - rate * (c.sign() + decay * theta)
            m = second * m + (1 - second) * g
        torch.testing.assert_close(ours[number], theta, rtol=0, atol=1e-12)


@pytest.mark.parametrize("rate", [0.01, 0.8], ids=["by the rate", "by the step"])
def test_adafactor_is_torchs(rate):
    shapes = [*SHAPES, (5,)]
    held, theirs = parameters(shapes), parameters(shapes)
    with torch.no_grad():  # small ones, whose scale has a floor
        held[0] *= 1e-5
        theirs[0] *= 1e-5
    a = steps(Adafactor(held, lr=rate, weight_decay=0.1, eps=1e-15), held, gradients(shapes))
    other = torch.optim.Adafactor(theirs, lr=rate, weight_decay=0.1, eps=(1e-15, 1e-3))
    for ours, torchs in zip(a, steps(other, theirs, gradients(shapes)), strict=True):
        torch.testing.assert_close(ours, torchs, rtol=2e-6, atol=2e-6 * torchs.abs().max().item())


def written_out(weight, given, *, rate, betas, eps, decay, frequency):
    """SOAP of one matrix, in fp64, by the paper's algorithms 3 and 4; the first gradient makes the bases alone."""
    rows, columns = weight.shape
    w, m, v = weight.double(), torch.zeros(rows, columns).double(), torch.zeros(rows, columns).double()
    left, right = torch.zeros(rows, rows).double(), torch.zeros(columns, columns).double()
    for t, gradient in enumerate(given):
        g = gradient.double()
        left = betas[1] * left + (1 - betas[1]) * g @ g.T
        right = betas[1] * right + (1 - betas[1]) * g.T @ g
        if t == 0:
            u, z = torch.linalg.eigh(left)[1].flip(1), torch.linalg.eigh(right)[1].flip(1)
            w = w - rate * decay * w
            continue
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * (u.T @ g @ z) ** 2
        hat = (u.T @ m @ z) / (1 - betas[0] ** t)
        n = hat / ((v / (1 - betas[1] ** t)).sqrt() + eps)
        w = w - rate * decay * w - rate * u @ n @ z.T
        if t % frequency == 0:
            by_row = torch.diag(u.T @ left @ u).argsort(descending=True)
            by_column = torch.diag(z.T @ right @ z).argsort(descending=True)
            u = torch.linalg.qr(left @ u[:, by_row])[0]
            z = torch.linalg.qr(right @ z[:, by_column])[0]
            v = v[by_row][:, by_column]
    return w


def test_soap_is_algorithm_3():
    # Square, and with full rank: where singular values are zero, which basis is taken is the library's choice.
    options = {"betas": (0.9, 0.8), "eps": 1e-8}
    held = parameters([(12, 12), (9, 9)])
    given = [[g * 3 for g in one] for one in gradients([(12, 12), (9, 9)], 7)]
    double = [nn.Parameter(p.detach().double()) for p in held]
    ours = Soap(double, lr=0.01, weight_decay=0.1, frequency=3, **options)
    ours = steps(ours, double, [[g.double() for g in one] for one in given])
    for number, p in enumerate(held):
        own = [one[number] for one in given]
        theirs = written_out(p.detach(), own, rate=0.01, decay=0.1, frequency=3, **options)
        torch.testing.assert_close(ours[number], theirs, rtol=1e-6, atol=1e-6)


def test_soap_without_bases_is_adamw():
    held, theirs = parameters(), parameters()
    options = {"lr": 0.02, "betas": (0.9, 0.95), "weight_decay": 0.1}
    a = steps(Soap(held, largest=0, **options), held, gradients())
    b = steps(torch.optim.AdamW(theirs, eps=1e-8, **options), theirs, gradients())
    for ours, torchs in zip(a, b, strict=True):
        torch.testing.assert_close(ours, torchs, rtol=1e-5, atol=1e-6)


def test_soap_sees_no_axes():
    """Turned gradients give turned steps: what a layer is does not hang on how its units are mixed."""
    generator = torch.Generator().manual_seed(3)
    left, right = (torch.linalg.qr(torch.randn(8, 8, generator=generator).double())[0] for _ in range(2))
    plain, turned = (nn.Parameter(torch.zeros(8, 8).double()) for _ in range(2))
    given = [torch.randn(8, 8, generator=generator).double() for _ in range(9)]
    (a,) = steps(Soap([plain], lr=0.1, frequency=4), [plain], [[g] for g in given])
    (b,) = steps(Soap([turned], lr=0.1, frequency=4), [turned], [[left @ g @ right.T] for g in given])
    torch.testing.assert_close(left @ a @ right.T, b, rtol=0, atol=1e-4)
    other = nn.Parameter(torch.zeros(8, 8).double())
    (c,) = steps(Soap([other], lr=0.1, largest=0), [other], [[left @ g @ right.T] for g in given])
    assert (left @ a @ right.T - c).abs().max() > 0.01


def test_soap_takes_experts_one_by_one():
    stack = parameters([(3, 8, 6)])
    apart = [nn.Parameter(one.clone()) for one in stack[0].detach()]
    given = gradients([(3, 8, 6)])
    (a,) = steps(Soap(stack, lr=0.02, frequency=3), stack, given)
    b = steps(Soap(apart, lr=0.02, frequency=3), apart, [[*one[0]] for one in given])
    torch.testing.assert_close(a, torch.stack(b), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", [Lion, Adafactor, Soap])
@pytest.mark.parametrize("when", [0, 3])
def test_a_step_that_is_withheld_on_the_device_leaves_no_trace(kind, when):
    held, theirs = parameters(), parameters()
    optimizer, other = kind(held, lr=0.01, weight_decay=0.1), kind(theirs, lr=0.01, weight_decay=0.1)
    for number, one in enumerate(gradients()):
        if number == when:
            for p in held:
                p.grad = torch.full_like(p, math.nan)
            withheld.step(optimizer, torch.tensor(True))
        for some, own in ((held, optimizer), (theirs, other)):
            for p, gradient in zip(some, one, strict=True):
                p.grad = gradient.clone()
            withheld.step(own, torch.tensor(False))
    for p, q in zip(held, theirs, strict=True):
        assert torch.equal(p, q)
        assert all(torch.equal(value, other.state[q][slot]) for slot, value in optimizer.state[p].items())


@pytest.mark.parametrize("config", [LionConfig(), AdafactorConfig(), AdamWConfig()], ids=lambda one: one.kind)
def test_rates_and_decays_go_by_name(config):
    held = {name: nn.Parameter(torch.ones(2, 2)) for name in ("a.weight", "b.weight", "c.weight")}
    held["a.norm"] = nn.Parameter(torch.ones(2))
    changed = config.model_copy(
        update={"weight_decay": 0.5, "rates": {"b.*": 3}, "decays": {"c.*": 0.25, "a.norm": 0.125}}
    )
    found = {id(p): group for group in grouped(held, changed, 0.1) for p in group["params"]}
    seen = {name: (found[id(p)]["lr"], found[id(p)]["weight_decay"]) for name, p in held.items()}
    expected = {"a.weight": (0.1, 0.5), "b.weight": (pytest.approx(0.3), 0.5), "c.weight": (0.1, 0.25)}
    assert seen == expected | {"a.norm": (0.1, 0.125)}


def test_parameters_have_the_optimizer_that_their_name_asks_for():
    held, roles = trained(nn.ModuleDict({"network": small_network()}))
    groups = {"*.blocks.0.mlp.*": {"kind": "lion"}, "*mlp*": {"kind": "soap"}, "*embedding*": {"kind": "adafactor"}}
    config = TrainingConfig(optimizer={"kind": "muon", "precision": "fp32"}, groups=groups)
    made = build(config, held, roles)
    of = {id(p): type(one).__name__ for one in made for group in one.param_groups for p in group["params"]}
    assert len(of) == len(held)
    for name, p in held.items():
        kind = "Lion" if "blocks.0.mlp." in name else "Soap" if "mlp" in name and p.ndim == 2 else None
        kind = kind or ("Adafactor" if "embedding" in name else "AdamW" if p.ndim < 2 else "Muon")
        assert of[id(p)] == kind, name
    assert type(made[0]).__name__ == "Muon", "the first rate that is told is the main optimizer's"


def test_a_pattern_that_fits_nothing_is_named():
    held, roles = trained(nn.ModuleDict({"network": small_network()}))
    with pytest.raises(RecipeError, match=r"no parameter is named like 'network\.hed\.\*'"):
        build(TrainingConfig(groups={"network.hed.*": {"kind": "adamw"}}), held, roles)
    groups = {"*.mlp.*": {"kind": "adamw"}, "*.mlp.up.*": {"kind": "lion"}}
    with pytest.raises(RecipeError, match="an earlier group has them all"):
        build(TrainingConfig(groups=groups), held, roles)
    with pytest.raises(ValueError, match="give groups 'x' a precision"):
        TrainingConfig(groups={"x": {"kind": "muon"}})


CASES = {
    "lion": {"optimizer": {"kind": "lion"}},
    "adafactor": {"optimizer": {"kind": "adafactor"}},
    "soap": {"optimizer": {"kind": "soap", "frequency": 3}},
    "groups": {
        "optimizer": {"kind": "adamw"},
        "groups": {"*.mlp.*": {"kind": "soap", "frequency": 4}, "*embedding*": {"kind": "adafactor"}},
        "decay_schedule": {"kind": "cosine", "final": 0.1},
        "schedule": {"kind": "one-cycle"},
    },
}


@pytest.mark.parametrize("case", CASES)
def test_train_12_is_train_5_and_resume_7(case, tmp_path):
    network = small_network()
    config = small_config(steps=12, checkpoint_every=12, **CASES[case])
    whole = small_fit(tmp_path / "whole", config, copy.deepcopy(network))
    with pytest.raises(Interrupted):
        small_fit(tmp_path / "cut", config, copy.deepcopy(network), callbacks=[StopAt(5)])
    rest = small_fit(tmp_path / "cut", config, network)
    assert_same(tmp_path / "whole", tmp_path / "cut")
    assert whole.losses[5:] == rest.losses and whole.losses[-1] < whole.losses[0]
