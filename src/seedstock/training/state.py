"""Everything of a run that a checkpoint holds, gathered and put back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from seedstock.errors import IntegrityError
from seedstock.training.checkpoint import folder as checkpoints
from seedstock.training.optimizers import state as optimizer_state

if TYPE_CHECKING:
    from seedstock.training.trainer import Trainer


def weights(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and persistent buffers by name, each tensor once (tied weights under their first name)."""
    seen: set[int] = set()
    found = {}
    for name, tensor in module.state_dict(keep_vars=True).items():
        if id(tensor) not in seen:
            seen.add(id(tensor))
            found[name] = tensor
    return found


def gather(run: Trainer) -> dict[str, Tensor]:
    """Named tensors: ``model.``, ``nets.NET.``, ``ema.NET.`` and ``optimizer.SLOT.NET.``."""
    found = {f"model.{name}": tensor for name, tensor in weights(run.network).items()}
    for net, module in run.nets.items():
        if net != "network":
            found |= {f"nets.{net}.{name}": tensor for name, tensor in weights(module).items()}
    slots = optimizer_state.tensors(run.optimizers, run.parameters)
    found |= {f"optimizer.{name}": tensor for name, tensor in slots.items()}
    if run.average is not None:
        found |= {f"ema.{name}": tensor for name, tensor in run.average.tensors.items()}
    return found


def restore(run: Trainer, folder: Path) -> dict[str, Any]:
    """Loads a verified checkpoint into the run's modules, optimizers and average; returns its ``state.json``.

    Raises IntegrityError where it belongs to another recipe or plan.
    """
    state = checkpoints.read_state(folder)
    if state["seed"] != run.seed:
        what = f"the checkpoint is of a run with seed {state['seed']}, not {run.seed}"
        raise IntegrityError(what, where=folder, fix="use another name for another recipe")
    kind = state["optimizer"]["kind"]
    if kind != run.config.optimizer.kind:
        what = f"the checkpoint's optimizer is {kind}, not {run.config.optimizer.kind}"
        raise IntegrityError(what, where=folder, fix="use another name for another recipe")
    if run.identity is not None and state.get("identity") != run.identity:
        raise IntegrityError(
            "the checkpoints belong to another recipe or data plan",
            where=folder,
            fix="take what is not this run's out of its folder, then "
            f"`seedstock resume {run.folder.name}` goes on; another recipe needs another name (--name)",
        )
    sizes = checkpoints.sizes(folder)
    slots = {name.removeprefix("optimizer."): size for name, size in sizes.items() if name.startswith("optimizer.")}
    numbers = state["optimizer"]["numbers"]
    if run.world.degrees.pipeline > 1:  # the rest is other stages'
        slots, numbers = (
            {slot: one for slot, one in some.items() if slot.partition(".")[2] in run.parameters}
            for some in (slots, numbers)
        )
    if bool(run.average) != any(name.startswith("ema.") for name in sizes):
        what = "the checkpoint has no average of the weights, and the recipe wants one"
        if not run.average:
            what = "the checkpoint has an average of the weights, and the recipe has none"
        raise IntegrityError(what, where=folder, fix="set training.ema as it was")
    try:
        optimizer_state.allocate(slots, run.optimizers, run.parameters)
        optimizer_state.restore_numbers(numbers, run.optimizers, run.parameters)
    except IntegrityError as error:
        raise IntegrityError(error.what, where=folder, fix="use another name for another recipe") from error
    checkpoints.load(folder, gather(run))
    return state


def put_back(run: Trainer, folder: Path) -> dict[str, Any]:
    """Takes the whole run to where a verified checkpoint left it: ``restore``, the counters, guard and callbacks."""
    held = restore(run, folder)
    run.step, run.examples, run.tokens, run.busy = (held[key] for key in ("step", "example", "tokens", "seconds"))
    run.flops = held.get("flops", held["flops_a_token"] * held["tokens"])
    run.fed.go_on_from(held["digest"])
    run.guard.restore(held.get("guard", {}))
    for callback in run.callbacks:
        if callback.name in held["callbacks"]:
            callback.restore(held["callbacks"][callback.name])
    return held


def load_weights(folder: Path, network: nn.Module, *, average: bool | None = None) -> int:
    """``load_nets`` for the network alone."""
    return load_nets(folder, {"network": network}, average=average)


@torch.no_grad()
def load_nets(folder: Path, nets: Mapping[str, nn.Module], *, average: bool | None = None) -> int:
    """Puts a checkpoint's weights into the nets that are given, by name, and returns its step.

    ``average`` takes the moving average of the weights; by default where there is one. Raises IntegrityError where
    the checkpoint is damaged or of another model.
    """
    found = checkpoints.problems(folder)
    if found:
        raise IntegrityError(
            "the checkpoint is damaged:\n    " + "\n    ".join(found),
            where=folder,
            fix=f"remove that folder, then `seedstock resume {folder.parent.parent.name}` makes it again",
        )
    held = {name for name in checkpoints.sizes(folder) if name.startswith("ema.")}
    for net, module in nets.items():
        prefix = "model" if net == "network" else f"nets.{net}"
        wanted = {f"{prefix}.{name}": tensor.detach() for name, tensor in weights(module).items()}
        if wanted:
            checkpoints.load(folder, wanted)
        averaged = {f"ema.{net}.{name}": p.detach() for name, p in module.named_parameters() if p.requires_grad}
        if held:  # what was locked has no average
            averaged = {name: one for name, one in averaged.items() if name in held}
        if averaged and (held if average is None else average):
            checkpoints.load(folder, averaged)
    return checkpoints.step_of(folder)
