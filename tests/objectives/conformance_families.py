"""The families that the conformance suite runs. A new one is one entry of ``FAMILIES``: its objective's
configuration, a model of a few thousand parameters (context ``CONTEXT``), its targets (``secrets``), and, where it
draws anything, the ``statistics`` of what it draws. See ``conformance.Family`` for the rest."""

from __future__ import annotations

import torch
from conformance import CONTEXT, Family, Secret

from seedstock.models.configs.decoder import DecoderConfig
from seedstock.models.configs.encoder import EncoderConfig
from seedstock.objectives.causal import targets
from seedstock.objectives.configs.causal import CausalConfig
from seedstock.objectives.configs.diffusion import DiffusionConfig
from seedstock.objectives.configs.masked import MaskedConfig
from seedstock.objectives.configs.multi_token import MultiTokenConfig

SIZES = {"width": 32, "layers": 2, "heads": 2, "mlp_width": 64, "context": CONTEXT}
YARN = {"kind": "yarn", "factor": 4, "original": 12}


def next_tokens(objective, batch):
    """What comes later may not be seen from earlier places."""
    wanted = targets(batch)
    for row, place in torch.nonzero(wanted >= 0)[::17].tolist():
        yield Secret("tokens", row, place + 1, torch.arange(wanted.shape[1]) <= place)


def several_tokens(objective, batch):
    """The same, in a batch with more tokens that are targets alone."""
    extra = objective.heads - 1
    yield from next_tokens(objective, {name: batch[name][:, :-extra] for name in ("tokens", "documents")})


def hidden_tokens(objective, batch):
    """Tokens that were replaced may be seen from nowhere."""
    changed = (batch["targets"] >= 0) & (batch["given"] != batch["tokens"])
    for row, place in torch.nonzero(changed)[::5].tolist():
        yield Secret("tokens", row, place, torch.ones(batch["tokens"].shape[1], dtype=torch.bool), input=True)


def choices(objective, batch):
    """Devlin et al. 2018: 15 % are chosen; of these 80 % become the mask, 10 % another token."""
    config, specials = objective.config, objective.spec.specials
    special = torch.isin(batch["tokens"], torch.tensor(list(specials.values())))
    plain = (batch["documents"] >= 0) & ~special
    chosen, mask = batch["targets"] >= 0, batch["given"] == specials["mask"]
    yield "special tokens and padding chosen", float((chosen & ~plain).sum()), 0, 0
    yield "chosen", float(chosen.sum() / plain.sum()), config.rate, 0.005
    yield "masked", float((chosen & mask).sum() / chosen.sum()), config.masked, 0.03
    other = chosen & ~mask & (batch["given"] != batch["tokens"])
    yield "another token", float(other.sum() / chosen.sum()), config.random, 0.02
    yield "changed and not chosen", float((~chosen & (batch["given"] != batch["tokens"])).sum()), 0, 0
    if config.next_sentence:
        known = batch["random_next"][batch["random_next"] >= 0]
        yield "pairs", len(known) / len(batch["random_next"]), 1, 0.02
        yield "next sentences that are others", float(known.float().mean()), 0.5, 0.06


def diffused_tokens(objective, batch):
    """Hidden tokens may be seen from nowhere."""
    for row, place in torch.nonzero(batch["hidden"])[::13].tolist():
        yield Secret("tokens", row, place, torch.ones(batch["tokens"].shape[1], dtype=torch.bool), input=True)


def shares(objective, batch):
    """Nie et al. 2025: a uniform share for each example, so that hidden tokens over their share count every token."""
    counted = (batch["documents"] >= 0) & (batch["tokens"] != objective.spec.specials["bos"])
    share = batch["share"][:, 0]
    yield "BOS and padding hidden", float((batch["hidden"] & ~counted).sum()), 0, 0
    yield "mean share", float(share.mean()), 0.5, 0.03
    yield "variance of shares", float(share.var()), 1 / 12, 0.01
    large = share > 0.1  # below it the weights scatter too much to be averaged here
    weighed = (batch["hidden"][large].sum(1) / share[large] / counted[large].sum(1).clamp(min=1)).mean()
    yield "weight of a token", float(weighed), 1, 0.03


def diffusion_folder(made, folder):
    """The class of our own, read back."""
    from seedstock.models.mask import Mask
    from seedstock.transfer import own

    network, mask = made.nets(lively=True)["network"].eval(), made.spec.specials["mask"]
    report = own.export(network, None, folder, name=made.objective.own_class, mask_token_id=mask)
    assert report["passed"]
    tokens = torch.arange(40)[None] + 7
    with torch.no_grad():
        return own.load(folder)(tokens), network(tokens, mask=Mask("full"))


FAMILIES = {
    "causal": Family(CausalConfig(), DecoderConfig(shape="qwen3", **SIZES), next_tokens),
    # Padding behind a row makes an input of its last token, which is then routed (or predicts, ahead) as well.
    "mixtral": Family(
        CausalConfig(),
        DecoderConfig(shape="mixtral", experts=4, router_z_loss=1e-3, **SIZES),
        next_tokens,
        padded=False,
    ),
    "qwen3-moe": Family(
        CausalConfig(), DecoderConfig(shape="qwen3-moe", experts=4, **SIZES), next_tokens, padded=False
    ),
    "multi-token": Family(
        MultiTokenConfig(heads=3), DecoderConfig(shape="llama", **SIZES), several_tokens, padded=False, by_heart=0.2
    ),
    "long-context": Family(
        CausalConfig(),
        DecoderConfig(shape="qwen3", window=8, global_every=2, rope_scaling=YARN, **SIZES),
        next_tokens,
    ),
    "bert": Family(
        MaskedConfig(next_sentence=True),
        EncoderConfig(shape="bert", **SIZES),
        hidden_tokens,
        choices,
    ),
    "modernbert": Family(
        MaskedConfig(rate=0.3, masked=1.0, random=0.0),
        EncoderConfig(shape="modernbert", window=6, global_every=2, **SIZES),
        hidden_tokens,
        choices,
        steps=150,
    ),
    "esm": Family(MaskedConfig(), EncoderConfig(shape="esm2", **SIZES), hidden_tokens, choices),
    "diffusion": Family(
        DiffusionConfig(),
        DecoderConfig(shape="llama", **SIZES),
        diffused_tokens,
        shares,
        export=diffusion_folder,
    ),
}
