"""µP: activations are as large at every width, in a network that is an ordinary one."""

from pathlib import Path

import pytest
import torch
from torch import nn

from seedstock import recipe as recipes
from seedstock.errors import RecipeError
from seedstock.models.configs.decoder import DecoderConfig
from seedstock.models.width import scale
from seedstock.training.configs.training import TrainingConfig
from seedstock.training.coordinates import SITES, coordinates
from seedstock.training.optimizers.groups import build, trained

OPTIMIZERS = {
    "adamw": {"kind": "adamw", "learning_rate": 1e-2, "weight_decay": 0},
    "muon": {"kind": "muon", "precision": "fp32", "rest": {"kind": "adamw", "learning_rate": 1e-2}},
    "muon like adamw": {"kind": "muon", "precision": "fp32", "adjust": "match_rms_adamw", "learning_rate": 1e-2},
    "soap": {"kind": "soap", "learning_rate": 1e-2, "rest": {"kind": "adamw", "learning_rate": 1e-2}},
    "lion": {"kind": "lion", "learning_rate": 3e-3},
}


def decoder(width=32, shape="qwen3", **more):
    sizes = {"layers": 2, "heads": width // 16, "context": 16} | more
    return DecoderConfig(shape=shape, width=width, **sizes).build(64, seed=1)


def batches(count=4):
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(0, 64, (8, 17), generator=generator)] * count


def growth(optimizer, shape, base):
    """How many times larger, at four times the width, what each site gives is after four steps, and its change."""
    config = TrainingConfig(optimizer=optimizer)
    narrow, wide = (
        [one[-1] for one in coordinates(decoder(width, shape, base_width=base), config, batches())]
        for width in (32, 128)
    )
    return [{site: b[site] / a[site] for site in SITES} for a, b in zip(narrow, wide, strict=True)]


CASES = [*((name, "qwen3") for name in OPTIMIZERS), *((name, "gpt2") for name in ("adamw", "muon")), ("adamw", "plain")]


@pytest.mark.parametrize("name, shape", CASES)
def test_activations_and_their_changes_are_level_over_the_width(name, shape):
    for ratios in growth(OPTIMIZERS[name], shape, 32):
        assert all(0.4 < ratio < 1.6 for ratio in ratios.values()), ratios


@pytest.mark.parametrize("name", ["adamw", "lion", "muon"])
def test_without_it_they_grow(name):
    sizes, changes = growth(OPTIMIZERS[name], "qwen3", None)
    assert sizes["logits"] > 2 and sizes["attention"] > 2 and changes["mlp"] > 2


def test_at_the_base_width_nothing_changes():
    plain, own = decoder(), decoder(base_width=32, base_head_size=16)
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), own.parameters(), strict=True))
    for optimizer in OPTIMIZERS.values():
        config, found = TrainingConfig(optimizer=optimizer), []
        for network in (plain, own):
            parameters, roles = trained(nn.ModuleDict({"network": network}))
            made = build(config, parameters, roles, network.config)
            names = {id(p): name for name, p in parameters.items()}
            groups = [group for one in made for group in one.param_groups]
            found.append({names[id(p)]: (g["lr"], g["weight_decay"]) for g in groups for p in g["params"]})
        assert found[0] == found[1]


def test_factors_in_weights_are_those_of_the_forward_pass():
    """Trained with the logits divided by m and the scores by the head's size, the network computes the same."""
    sizes = {"width": 64, "heads": 2, "base_width": 32, "base_head_size": 8}
    ours, theirs = decoder(shape="llama", **sizes), decoder(shape="llama", **sizes)
    m, own, c = 2.0, (8 / 32) ** 0.5, theirs.config
    with torch.no_grad():
        theirs.backbone.norm.weight.fill_(1.0)
        for block in theirs.backbone.blocks:
            block.attention.query.weight /= own
    theirs.backbone.norm.register_forward_hook(lambda module, given, out: out / m)
    for block in theirs.backbone.blocks:
        block.attention.scale = own / 32**0.5
    parameters, roles = trained(nn.ModuleDict({"network": ours}))
    config = TrainingConfig(optimizer={"kind": "adamw", "learning_rate": 1e-2, "eps": 1e-20, "weight_decay": 0})
    (mine,) = build(config, parameters, roles, c)
    groups = []
    for name, p in theirs.named_parameters():
        hidden = theirs.roles()[name] in ("column", "row")
        groups.append({"params": [p], "lr": 1e-2 / m if hidden else 1e-2})
    other = torch.optim.AdamW(groups, betas=(0.9, 0.95), eps=1e-20, weight_decay=0)
    for tokens in batches(3):
        for network, optimizer in ((ours, mine), (theirs, other)):
            logits = network(tokens[:, :-1])
            nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten()).backward()
            optimizer.step()
            optimizer.zero_grad()
    tokens = batches(1)[0][:, :-1]
    before = decoder(shape="llama", **sizes)(tokens)
    torch.testing.assert_close(ours(tokens), theirs(tokens), rtol=1e-3, atol=1e-3)
    assert (ours(tokens) - before).abs().max() > 0.1


def test_a_step_decays_as_much_of_a_weight_at_every_width():
    shares = []
    for width in (32, 128):
        network = decoder(width, base_width=32)
        parameters, roles = trained(nn.ModuleDict({"network": network}))
        (optimizer,) = build(TrainingConfig(optimizer={"kind": "adamw"}), parameters, roles, network.config)
        shares.append({round(g["lr"] * g["weight_decay"], 12) for g in optimizer.param_groups})
    assert shares[0] == shares[1] == {0.0, 3e-4}


def test_routers_are_outputs_and_embeddings_stay():
    network = decoder(64, base_width=32, experts=4)
    found = {name: scale(network.config, name, role) for name, role in network.roles().items()}
    router = next(one for name, one in found.items() if "router" in name)
    assert router.start == router.adam == 0.5
    assert {found[name].adam for name, role in network.roles().items() if role == "embedding"} == {1.0}


def test_mistakes_are_named():
    network = decoder(64, base_width=32)
    parameters, roles = trained(nn.ModuleDict({"network": network}))
    with pytest.raises(RecipeError, match="no rule for Adafactor at other widths"):
        build(TrainingConfig(optimizer={"kind": "adafactor"}), parameters, roles, network.config)
    with pytest.raises(ValueError, match="base_head_size has no meaning without base_width"):
        DecoderConfig(base_head_size=8)
    own, path = ["model.base_width=64"], Path(__file__).parents[2] / "recipes" / "quickstart.yaml"
    with pytest.raises(RecipeError, match=r"training\.optimizer has no learning_rate, and model\.base_width"):
        recipes.load(path, own)
    own += ["training.optimizer.kind=muon", "training.optimizer.learning_rate=0.02"]
    with pytest.raises(RecipeError, match=r"training\.optimizer\.rest has no learning_rate"):
        recipes.load(path, own)
    assert recipes.load(path, [*own, "training.optimizer.rest.learning_rate=0.003"]).model.base_width == 64


@pytest.mark.parametrize("shape", ["qwen3", "gpt2"])
def test_it_is_exported_as_it_is(shape, tmp_path):
    pytest.importorskip("transformers")
    from seedstock.transfer.export import export

    network = decoder(64, shape, heads=2, base_width=16, base_head_size=8)
    assert export(network, None, tmp_path / "out")["passed"]
