"""Which caption belongs to which picture, and what it says: CoCa (Yu et al. 2022)."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seedstock.models import attention
from seedstock.models.block import Block
from seedstock.models.configs.decoder import DecoderConfig
from seedstock.models.initialise import initialise
from seedstock.models.keys import generator, key64
from seedstock.models.linear import Linear
from seedstock.models.mask import Mask
from seedstock.models.norms import norm
from seedstock.models.roles import ROLES, assign
from seedstock.objectives.base import Batch, Expectation, Spec, Sums
from seedstock.objectives.configs.captioner import CaptionerConfig
from seedstock.objectives.contrastive import Contrastive
from seedstock.objectives.risk import least_risk

OWN_ROLES = (("patches.weight", "column"), ("out.weight", "head"), *ROLES)


class Upper(DecoderConfig):
    """The upper half of a decoder, which attends to another sequence."""

    cross: ClassVar[bool] = True


class Writer(nn.Module):
    """Further layers over what the text tower made of the tokens so far, which attend to a picture's patches."""

    def __init__(self, config: CaptionerConfig, spec: Spec) -> None:
        super().__init__()
        text = spec.model.text
        own: Any = Upper(**{**text.model_dump(), "layers": config.layers}).resolved()
        self.patches = Linear(spec.model.picture.width, text.width, True)
        self.blocks = nn.ModuleList(Block(own, layer, spec.seed) for layer in range(config.layers))
        self.norm = norm(own.norm, own.width, own.norm_epsilon)
        self.out = None if config.tied else Linear(text.width, spec.vocab_size, False)
        initialise(self, self.roles(), own, key64("writer", spec.seed))

    def roles(self) -> dict[str, str]:
        """As in a decoder with a source."""
        return assign((name for name, _ in self.named_parameters()), OWN_ROLES)

    def forward(self, text_BTD: Tensor, picture_BSD: Tensor) -> Tensor:
        """Hidden states ``[B, T, D]`` of what follows each token."""
        source = self.patches(picture_BSD)
        own = attention.prepare(Mask("causal"), text_BTD, text_BTD.shape[1])
        across = attention.prepare(Mask("full"), text_BTD, source.shape[1])
        for block in self.blocks:
            text_BTD = block(text_BTD, None, own, source=(source, across))
        return self.norm(text_BTD)

    def scores(self, hidden: Tensor, text: Any) -> Tensor:
        """Logits of hidden states, fp32: by the matrix of the ``text`` tower's tokens, or by its own."""
        return text.head(hidden) if self.out is None else self.out(hidden).float()


class Captioner(Contrastive):
    """Nats of each picture's caption among the batch's, and of each of its tokens after those before it."""

    config: CaptionerConfig
    exports = "captioner"

    def counts(self, batch: Batch) -> Sums:
        """``pair``, and ``token``: those of captions, EOS among them."""
        return {**super().counts(batch), "token": (self._targets(batch) >= 0).sum()}

    def represent(self, nets: Any, output: Any, batch: Batch) -> Sums:
        """What ``contrastive`` compares, and the ``nats`` ``[B]`` of each caption's tokens."""
        (seen, read), targets = output, self._targets(batch)
        hidden = nets["writer"](read.hidden, seen.hidden)[:, :-1]
        logits = nets["writer"].scores(hidden, nets["network"].text)
        nats = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1, reduction="none")
        return {**super().represent(nets, output, batch), "nats": nats.view(targets.shape).sum(1)}

    def couple(self, nets: Any, represented: Sums) -> tuple[Sums, Sums]:
        """``pair`` and ``token``: nats."""
        nats = represented["nats"]
        sums, metrics = super().couple(nets, {name: one for name, one in represented.items() if name != "nats"})
        return {**sums, "token": nats.sum()}, metrics

    def nets(self) -> dict[str, nn.Module]:
        """The space that both towers share, and what writes."""
        return {**super().nets(), "writer": Writer(self.config, self.spec)}

    def expect(self, spec: Spec) -> Expectation:
        """Before training every token is as likely as any."""
        found = super().expect(spec)
        return replace(found, first={**found.first, "token": math.log(spec.vocab_size)})

    def told(self, nets: Any, images: Tensor, tokens: Tensor) -> Tensor:
        """Logits ``[B, T, V]`` of what follows each of the ``tokens`` ``[B, T]`` of captions, fp32."""
        network = nets["network"]
        picture = network.backbone(**network.pictures(images)).hidden
        text = network.backbone(**self._texts(network, tokens)).hidden
        return nets["writer"].scores(nets["writer"](text, picture), network.text)

    @torch.no_grad()
    def written(self, nets: Any, images: Tensor) -> Tensor:
        """A caption for each of the pictures ``[B, H, W, C]``: ``[B, T]`` from BOS, padded after EOS. Which
        ``candidates`` are drawn hangs on how many pictures are asked for at once."""
        network, count = nets["network"], self.config.candidates
        picture = network.backbone(**network.pictures(images)).hidden
        if not count:
            return self._continued(nets, picture, None)
        found = self._continued(nets, picture.repeat_interleave(count, 0), generator("captions"))
        return least_risk(found.unflatten(0, (len(images), count)), self.spec.specials["eos"])

    def _continued(self, nets: Any, picture: Tensor, draws: torch.Generator | None) -> Tensor:
        """Tokens from BOS to EOS, then padding: the likeliest, or drawn."""
        network, specials, length = nets["network"], self.spec.specials, self.spec.model.text.context
        tokens = torch.full((len(picture), 1), specials["bos"], device=picture.device)
        ended = torch.zeros(len(picture), dtype=torch.bool, device=picture.device)
        while tokens.shape[1] < length and not bool(ended.all()):
            hidden = nets["writer"](network.backbone(**self._texts(network, tokens)).hidden, picture)
            logits = nets["writer"].scores(hidden[:, -1], network.text)
            if draws is None:
                best = logits.argmax(-1)
            else:
                best = torch.multinomial(logits.softmax(-1).cpu(), 1, generator=draws)[:, 0].to(tokens.device)
            best = best.masked_fill(ended, specials["pad"])
            tokens, ended = torch.cat([tokens, best[:, None]], dim=1), ended | (best == specials["eos"])
        return tokens

    def _targets(self, batch: Batch) -> Tensor:
        """What follows each token but the last; -1 where nothing counts."""
        tokens = batch["tokens"][:, 1:]
        return tokens.masked_fill((tokens == self.spec.specials["pad"]) | ~batch["present"].bool()[:, None], -1)
