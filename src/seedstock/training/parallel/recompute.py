"""Activation checkpointing: what a block keeps for its gradients is dropped, and worked out again in the backward pass.

Chen et al. 2016 (arXiv 1604.06174); ``selective`` keeps what costs the most to work out again, the outputs of matrix
products and attention (Korthikanti et al. 2022, arXiv 2205.05198, section 5). Draws are keyed, so that the second time
gives the same bits as the first.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import checkpoint

from seedstock.models.block import Block

KEPT = (
    "mm",
    "addmm",
    "bmm",
    "_grouped_mm",
    "_scaled_mm",
    "_scaled_dot_product_flash_attention",
    "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_efficient_attention",
    "_scaled_dot_product_cudnn_attention",
)
"""Operations whose outputs ``selective`` keeps."""


def recompute(nets: nn.ModuleDict, how: str) -> None:
    """Has every block of the nets worked out again where gradients are asked for: ``full`` keeps a block's input alone,
    ``selective`` besides the outputs of matrix products, ``none`` everything. Before compilation and sharding; a second
    call changes nothing."""
    if how == "none":
        return
    for module in nets.modules():
        if isinstance(module, Block) and "forward" not in vars(module):
            module.forward = _again(module, module.forward, how)  # type: ignore[method-assign]


def _again(block: Block, plain: Callable[..., Tensor], how: str) -> Callable[..., Tensor]:
    choose = functools.partial(checkpoint.create_selective_checkpoint_contexts, _policy)

    def forward(*args: Any, **kwargs: Any) -> Tensor:
        if not torch.is_grad_enabled():
            return plain(*args, **kwargs)
        options: dict[str, Any] = {"use_reentrant": False, "preserve_rng_state": False}
        if torch.compiler.is_compiling():  # the compiler works out again what it has seen
            if how == "selective":
                options["context_fn"] = choose
            return checkpoint.checkpoint(plain, *args, **options, **kwargs)
        before = _state(block)

        def contexts() -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
            first, second = choose() if how == "selective" else (nullcontext(), nullcontext())
            return first, _as_before(block, before, second)

        return checkpoint.checkpoint(plain, *args, context_fn=contexts, **options, **kwargs)

    return forward


def _policy(context: Any, operation: Any, *args: Any, **kwargs: Any) -> checkpoint.CheckpointPolicy:
    kept = operation in _kept()
    return checkpoint.CheckpointPolicy.MUST_SAVE if kept else checkpoint.CheckpointPolicy.PREFER_RECOMPUTE


@functools.cache
def _kept() -> frozenset[Any]:
    found = (getattr(torch.ops.aten, name, None) for name in KEPT)
    return frozenset(getattr(one, "default", None) for one in found) - {None}


def _state(block: Block) -> tuple[bool, bool | None]:
    """What a pass depends on besides its arguments: training or not, and how the stream is cut."""
    stream = getattr(block, "stream", None)
    return block.training, None if stream is None else stream.cut


@contextmanager
def _as_before(block: Block, before: tuple[bool, bool | None], within: AbstractContextManager[Any]) -> Iterator[None]:
    """Inside, it is as it was: between a pass and its gradients the next one may have begun."""
    training, cut = _state(block)
    _set(block, *before)
    try:
        with within:
            yield
    finally:
        _set(block, training, cut)


def _set(block: Block, training: bool, cut: bool | None) -> None:
    if block.training != training:
        block.train(training)
    if cut is not None:
        block.stream.cut = cut  # type: ignore[union-attr]
