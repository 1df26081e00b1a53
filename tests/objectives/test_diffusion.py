"""Masked text diffusion: at one share it is masked-token prediction, over all shares it bounds the likelihood."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).parent.parent / "models"))
from small_networks import VOCABULARY, packed, small

from seedstock.errors import SeedstockError
from seedstock.inputs.keys import Keys
from seedstock.models.mask import Mask
from seedstock.objectives.base import Spec, assemble
from seedstock.objectives.configs.diffusion import DiffusionConfig
from seedstock.objectives.configs.masked import MaskedConfig
from seedstock.transfer import own

SPECIALS = {"bos": 0, "eos": 1, "pad": 2, "mask": 3}
SPEC = Spec(vocab_size=VOCABULARY, context=48, specials=SPECIALS)


@pytest.fixture
def made():
    network = small("llama").build(VOCABULARY).eval()
    objective = DiffusionConfig().build(SPEC)
    return assemble(network, objective), objective


def test_at_a_fixed_share_it_is_the_loss_of_masked_tokens(made):
    nets, objective = made
    batch = objective.corrupt(packed(batch=8), Keys(1, np.arange(8)))
    batch["share"] = torch.full((8, 1), 0.4)
    sums, metrics = objective.loss(nets, nets["network"].backbone(**objective.inputs(nets, batch)), batch)
    masked = MaskedConfig(rate=0.4, masked=1.0, random=0.0).build(SPEC)
    asked = {
        **batch,
        "given": torch.where(batch["hidden"], SPECIALS["mask"], batch["tokens"]),
        "targets": torch.where(batch["hidden"], batch["tokens"], -1),
    }
    theirs, _ = masked.loss(nets, nets["network"].backbone(**masked.inputs(nets, asked)), asked)
    torch.testing.assert_close(sums["diffusion"] * 0.4, theirs["masked"])
    torch.testing.assert_close(metrics["hidden"], theirs["masked"])
    logits = nets["network"](asked["given"], batch["positions"], mask=Mask.over(batch["documents"], "full"))
    formula = F.cross_entropy(logits[batch["hidden"]], batch["tokens"][batch["hidden"]], reduction="sum")
    torch.testing.assert_close(theirs["masked"], formula)


def test_in_the_mean_over_shares_it_bounds_the_likelihood(made):
    """A network that knows nothing but the frequencies has that loss for every token: the entropy, and no less."""
    _, objective = made
    random = torch.Generator().manual_seed(0)
    likelihood = torch.softmax(torch.randn(VOCABULARY, generator=random) * 2, 0)
    size = 4000
    tokens = torch.multinomial(likelihood, size * 33, replacement=True, generator=random).view(size, 33)
    batch = {"tokens": tokens, "documents": torch.zeros_like(tokens), "positions": torch.zeros_like(tokens)}
    batch = objective.corrupt(batch, Keys(1, np.arange(size)))
    nats = -likelihood.log()[tokens]
    estimate = (nats * batch["hidden"] / batch["share"]).sum() / objective.counts(batch)["diffusion"]
    true = nats[tokens != SPECIALS["bos"]].mean()
    assert float(estimate) == pytest.approx(float(true), rel=0.05)


def test_what_an_example_gets_does_not_depend_on_its_neighbours(made):
    _, objective = made
    batch = packed(batch=6)
    whole = objective.corrupt(batch, Keys(1, np.arange(6)))
    alone = objective.corrupt({name: value[4:5] for name, value in batch.items()}, Keys(1, np.arange(4, 5)))
    assert torch.equal(whole["hidden"][4:5], alone["hidden"]) and torch.equal(whole["share"][4:5], alone["share"])


class Counting(torch.nn.Module):
    """Stands for a head: at every place the token after the place's number, more surely the further left."""

    def forward(self, hidden):
        places = torch.arange(hidden.shape[1])
        logits = torch.zeros(*hidden.shape[:2], VOCABULARY)
        logits[:, places, 10 + places] = 20.0 - places / 4
        return logits


@pytest.mark.parametrize("steps", [None, 1, 3, 7, 20])
def test_writing_fills_every_place_once(made, steps):
    nets, objective = made
    class_ = type(nets["network"].head)
    matrix = nets["network"].head.matrix
    nets["network"].head = Counting()
    nets["network"].head.matrix = matrix
    assert class_ is not Counting
    found = objective.generate(nets, [0, 20], 12, seed=1, steps=steps)
    assert found == list(range(12, 24))
    assert objective.generate(nets, [0, 20], 12, seed=1, steps=steps, stop={15}) == [12, 13, 14]
    assert 14 not in objective.generate(nets, [0, 20], 12, seed=1, steps=steps, forbidden={14})


def test_writing_is_the_seeds_and_never_the_mask(made):
    nets, objective = made
    one, same, other = (objective.generate(nets, [0], 20, seed=seed, temperature=1.0) for seed in (1, 1, 2))
    assert one == same != other and len(one) == 20 and SPECIALS["mask"] not in one
    assert len(objective.generate(nets, list(range(4, 80)), 100, seed=1)) == 47, "as much as the context has room for"


def test_no_other_folder_is_taken_for_one(made, tmp_path):
    (tmp_path / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    with pytest.raises(SeedstockError, match="LlamaForCausalLM is not one of"):
        own.load(tmp_path)


def test_transformers_does_not_take_it_for_a_llama(made, tmp_path):
    transformers = pytest.importorskip("transformers")
    network = made[0]["network"]
    own.export(network, None, tmp_path / "out", name="SeedstockMaskedDiffusion", mask_token_id=3)
    with pytest.raises(ValueError, match="seedstock_masked_diffusion"):
        transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out")


@pytest.mark.parametrize("block", [1, 4, 7])
def test_a_block_is_diffused_given_the_clean_blocks_before_it(block):
    """All blocks in one pass say what each says by itself: the clean text before it, and itself corrupted."""
    network = small("llama").build(VOCABULARY).eval()
    objective = DiffusionConfig(block=block).build(SPEC)
    tokens = torch.randint(4, VOCABULARY, (3, 24), generator=torch.Generator().manual_seed(1))
    positions = torch.arange(24).expand(3, 24)
    batch = {"tokens": tokens, "positions": positions, "documents": torch.zeros_like(tokens)}
    batch = objective.corrupt(batch, Keys(1, np.arange(3)))
    hidden = network.backbone(**objective.inputs({"network": network}, batch)).hidden[:, :24]
    given = torch.where(batch["hidden"], SPECIALS["mask"], tokens)
    for start in range(0, 24, block):
        stop = min(start + block, 24)
        row = torch.cat([tokens[:, :start], given[:, start:stop]], 1)
        at = torch.arange(stop)[None]
        alone = network.backbone(network.embed(row, at), at, Mask("blocks", blocks=at // block)).hidden
        torch.testing.assert_close(hidden[:, start:stop], alone[:, start:])


def test_blocks_of_one_token_are_next_token_prediction():
    """A hidden token alone, after a clean text, always with the weight one over how often it is asked for."""
    objective = DiffusionConfig(block=1, least=0.999).build(SPEC)
    batch = objective.corrupt(packed(batch=8), Keys(1, np.arange(8)))
    counted = (batch["documents"] >= 0) & (batch["tokens"] != SPECIALS["bos"])
    assert batch["hidden"][counted].float().mean() > 0.99
    given = objective.inputs({"network": small("llama").build(VOCABULARY)}, batch)
    T = batch["tokens"].shape[1]
    seen = given["attention"].visible(2 * T, 2 * T, torch.device("cpu"))[0]
    same = batch["documents"][0][:, None] == batch["documents"][0]
    before = torch.tril(torch.ones(T, T, dtype=torch.bool))
    assert torch.equal(seen[T:, T:], before & same) and torch.equal(seen[:T, T:], before.tril(-1) & same)
    assert torch.equal(seen[:T, :T], torch.eye(T, dtype=torch.bool)) and not seen[T:, :T].any()


def test_writing_in_blocks_fills_every_place_once():
    network = small("llama").build(VOCABULARY).eval()
    nets = {"network": network}
    objective = DiffusionConfig(block=5).build(SPEC)
    assert [objective._sizes(*case) for case in ((2, 12), (5, 5), (3, 1))] == [[3, 5, 4], [5], [1]]
    lengths, matrix = [], network.head.matrix
    backbone = network.backbone.forward
    network.backbone.forward = lambda x, *more, **other: lengths.append(x.shape[1]) or backbone(x, *more, **other)
    network.head = Counting()
    network.head.matrix = matrix
    assert objective.generate(nets, [0, 20], 12, seed=1, steps=2) == list(range(12, 24))
    assert sorted(set(lengths)) == [5, 10, 14], "a block is written before the next one begins"
    assert objective.generate(nets, [0, 20], 12, seed=1, stop={15}) == [12, 13, 14]


def test_shares_lie_evenly_over_a_batch(made):
    _, objective = made
    for first in (0, 1000, 10**12):
        batch = objective.corrupt(packed(batch=32), Keys(1, first + np.arange(32)))
        share = batch["share"][:, 0].sort().values
        assert (share - (torch.arange(32) + 0.5) / 32).abs().max() < 2 / 32


@pytest.mark.parametrize("option", [{"window": 4}, {"convolution": 3}])
def test_blocks_refuse_layers_that_look_near_by(option):
    spec = Spec(vocab_size=VOCABULARY, context=48, specials=SPECIALS, model=small("llama", **option))
    with pytest.raises(SeedstockError, match="next to it"):
        DiffusionConfig(block=4).build(spec)
