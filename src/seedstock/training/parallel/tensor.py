"""Tensor parallelism: heads and hidden units are divided among processes (Shoeybi et al. 2019), and with ``sequence``
the stream between them along positions too (Korthikanti et al. 2022).

Read from ``roles()`` alone: ``column`` matrices are cut along their outputs, ``row`` matrices along their inputs, in
the modules of a block that take and give the stream. Embeddings, heads and what objectives add stay whole. Whatever all
processes work out alike inside a cut module has gradients that are terms: the router's own losses count once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import distribute_tensor
from torch.distributed.tensor.parallel import ParallelStyle, parallelize_module

from seedstock.errors import RecipeError
from seedstock.models.attention import Attention
from seedstock.models.backbone import Backbone, Output
from seedstock.models.block import Block
from seedstock.models.dropout import Dropout
from seedstock.models.experts import Experts
from seedstock.models.mlp import MLP
from seedstock.models.relative import RelativeBias
from seedstock.training.parallel import exchange
from seedstock.training.parallel.views import Stream, View, install

WHOLE, STREAM, TERM, ONCE = View("whole"), View("stream"), View("term"), View("once")


def parallelize(nets: nn.ModuleDict, mesh: DeviceMesh, *, sequence: bool) -> None:
    """Cuts the nets up over a mesh of one dimension, in place.

    The degree must divide what it cuts: ``check`` knows of the network, and an objective's own networks are seen here.
    Raises RecipeError before anything is cut.
    """
    for name, net in nets.items():
        _divides(name, net, mesh.size())
    for net in nets.values():
        found: dict[str, str] = net.roles() if any(True for _ in net.parameters()) else {}  # type: ignore[operator]
        streams = _streams(net)
        encoders = {getattr(one, "encoder", None) for one in streams}
        views = _views(net, found)
        own: dict[nn.Module, dict[str, View]] = {}
        for name, parameter in list(net.named_parameters()):
            path, _, leaf = name.rpartition(".")
            module = net.get_submodule(path)
            placed = distribute_tensor(parameter.detach(), mesh, [views[name].placement()], src_data_rank=None)
            module._parameters[leaf] = nn.Parameter(placed, requires_grad=parameter.requires_grad)
            own.setdefault(module, {})[leaf] = views[name]
        for module, some in own.items():
            install(module, some, streams.get(module, Stream()), mesh.get_local_rank())
        for module in list(net.modules()):
            if isinstance(module, Block):
                stream = streams.get(module, Stream())
                module.stream = stream  # type: ignore[assignment]
                plan: dict[str, ParallelStyle] = {
                    name: Cut(stream)
                    for name, child in module.named_children()
                    if isinstance(child, Attention | MLP | Experts)
                }
                parallelize_module(module, mesh, plan)
                for child in module.children():
                    if isinstance(child, Dropout):
                        _slice_dropout(child, stream, mesh)
            if isinstance(module, Backbone):
                _stream_hooks(module, streams[module], mesh, sequence, encoder=module in encoders)


def _divides(of: str, net: nn.Module, size: int) -> None:
    for path, module in net.named_modules():
        heads = module.heads if isinstance(module, Attention) else 0
        groups = module.groups if isinstance(module, Attention) else 0
        hidden = module.up.weight.shape[0] if isinstance(module, MLP) else 0
        for what, count in (("heads", heads), ("heads of keys and values", groups), ("hidden units", hidden)):
            if count % size:
                raise RecipeError(
                    f"{of}.{path} has {count} {what}, which tensor {size} does not divide",
                    where="training.parallel.tensor",
                    fix="take another degree, or another size",
                )


def _streams(net: nn.Module) -> dict[nn.Module, Stream]:
    """For each stack, and what stands in it, the stream that it shares; an encoder within has its own."""
    found: dict[nn.Module, Stream] = {}
    for backbone in net.modules():
        if isinstance(backbone, Backbone):
            stream = Stream()
            found |= dict.fromkeys((backbone, *backbone.blocks.modules(), *backbone.norm.modules()), stream)
    return found


def _views(net: nn.Module, roles: dict[str, str]) -> dict[str, View]:
    """How each parameter is given to the code, by name."""
    regions: dict[str, View] = {}
    for path, module in net.named_modules():
        if isinstance(module, Block):
            regions[path] = STREAM
        elif isinstance(module, RelativeBias):
            regions[path] = TERM
        elif isinstance(module, Backbone):
            regions[f"{path}.norm"] = STREAM
    for path, module in net.named_modules():
        inside = any(path.startswith(f"{block}.") for block, view in regions.items() if view is STREAM)
        if isinstance(module, Attention | MLP | Experts) and inside:
            regions[path] = TERM
    return {name: _view(name, parameter, roles, regions) for name, parameter in net.named_parameters()}


def _view(name: str, parameter: nn.Parameter, roles: dict[str, str], regions: dict[str, View]) -> View:
    path, _, leaf = name.rpartition(".")
    region = max((one for one in regions if name.startswith(f"{one}.")), key=len, default=None)
    if region is None:
        return WHOLE
    if regions[region] is not TERM:
        return regions[region]
    if leaf == "bias":
        return {"column": View("cut", 0), "row": ONCE}.get(roles.get(f"{path}.weight", ""), TERM)
    if roles[name] in ("column", "row"):
        return View("cut", parameter.ndim - 2 + (roles[name] == "row"))
    return TERM


class Cut(ParallelStyle):
    """A module that reads the whole stream and of whose output every process has a term."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream

    def _apply(self, module: nn.Module, device_mesh: DeviceMesh) -> nn.Module:
        size, rank, heads = device_mesh.size(), device_mesh.get_local_rank(), 0
        if isinstance(module, Attention):
            heads = module.heads
            module.heads, module.groups = module.heads // size, module.groups // size

        def before(_: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
            x, *rest = args
            x = exchange.gather(x, device_mesh, terms=True) if self.stream.cut else exchange.copy(x, device_mesh)
            if heads:  # a bias on scores has a part for each head
                angles, sight, *others = rest
                if sight.seen is not None and sight.seen.ndim == 4 and sight.seen.shape[1] == heads:
                    sight = replace(sight, seen=sight.seen.chunk(size, 1)[rank])
                rest = [angles, sight, *others]
            return (x, *rest)

        def after(_: nn.Module, args: Any, out: torch.Tensor) -> torch.Tensor:
            return exchange.add_cut(out, device_mesh) if self.stream.cut else exchange.add(out, device_mesh)

        module.register_forward_pre_hook(before)
        module.register_forward_hook(after)
        return module


def _stream_hooks(backbone: Backbone, stream: Stream, mesh: DeviceMesh, sequence: bool, *, encoder: bool) -> None:
    """Cuts the stream where it enters the first block and gathers it after the last norm."""

    def choose(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        x = kwargs["x"] if "x" in kwargs else args[0]
        stream.cut = (
            sequence
            and torch.is_grad_enabled()
            and x.shape[1] % mesh.size() == 0
            and not backbone.config.convolution
            and not kwargs.get("keep_layers")
        )

    def enter(_: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        return (exchange.cut(args[0], mesh), *args[1:]) if stream.cut else None

    def leave(_: nn.Module, args: Any, out: torch.Tensor) -> torch.Tensor:
        if stream.cut:
            return exchange.gather(out, mesh, terms=encoder)
        return exchange.copy(out, mesh) if encoder else out

    def once(_: nn.Module, args: Any, output: Output) -> Output:
        aux = {name: exchange.ScaleGradient.apply(loss, 1 / mesh.size()) for name, loss in output.aux.items()}
        return replace(output, aux=aux)

    backbone.register_forward_pre_hook(choose, with_kwargs=True)
    backbone.blocks[0].register_forward_pre_hook(enter)
    backbone.norm.register_forward_hook(leave)
    backbone.register_forward_hook(once)


def _slice_dropout(dropout: Dropout, stream: Stream, mesh: DeviceMesh) -> None:
    """Masks are keyed by the place in the whole stream."""
    whole = dropout.dropped

    def dropped(shape: torch.Size, examples_B: torch.Tensor) -> torch.Tensor:
        if not stream.cut:
            return whole(shape, examples_B)
        full = torch.Size((shape[0], shape[1] * mesh.size(), *shape[2:]))
        return whole(full, examples_B).chunk(mesh.size(), 1)[mesh.get_local_rank()]

    dropout.dropped = dropped  # type: ignore[method-assign]
