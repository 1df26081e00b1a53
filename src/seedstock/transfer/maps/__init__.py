"""How our networks are called elsewhere: for each class, a configuration both ways and a table of names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any, Literal

from seedstock.errors import SeedstockError

Form = Literal["same", "transposed", "row"]


@dataclass(frozen=True)
class Rule:
    """Our tensors → one of theirs. ``{n}`` stands for the layer; several of ours lie end to end along their outputs;
    ``transposed`` turns a matrix last; ``row`` is a vector of ours that they have as a matrix of one row. Where theirs
    has ``{e}``, the experts that we have in one are theirs one by one.
    """

    ours: tuple[str, ...]
    theirs: str
    form: Form = "same"


def pairs(*names: tuple[str, str]) -> tuple[Rule, ...]:
    """Rules for tensors that differ in name alone."""
    return tuple(Rule((ours,), theirs) for ours, theirs in names)


def by_layer(rules: tuple[Rule, ...], layers: int) -> Iterator[Rule]:
    """The rules with every layer's number filled in."""
    for rule in rules:
        for n in range(layers) if "{n}" in rule.theirs else [0]:
            theirs = rule.theirs.replace("{n}", str(n))
            yield Rule(tuple(name.format(n=n) for name in rule.ours), theirs, rule.form)


def rules(target: ModuleType, config: Any) -> list[Rule]:
    """A map's rules for one configuration, every layer's number filled in."""
    found = target.rules_of(config) if hasattr(target, "rules_of") else target.RULES
    return list(by_layer(found, max(config.layers, config.depth)))


def with_biases(*names: tuple[str, str]) -> tuple[Rule, ...]:
    """Rules for layers of which both sides have a ``weight`` and a ``bias``."""
    return pairs(*((f"{ours}.{kind}", f"{theirs}.{kind}") for ours, theirs in names for kind in ("weight", "bias")))


def find(export_class: str | None, where: object = None) -> ModuleType:
    """The map of a class: ``CLASS``, ``RULES``, ``to_config``, ``from_config``. Raises SeedstockError without one.

    A map may have ``ALSO`` (further classes that it serves), ``class_of(names)`` (which of them holds tensors of these
    names of ours), ``AUTO`` (see ``auto``), ``DERIVED`` (patterns of their tensors that say nothing of their own: tied
    copies, tables made anew), ``rules_of(config)`` in the place of ``RULES`` where names depend on the configuration,
    and ``mend(tensors, config)``, which completes what their files may leave out or hold twice.
    """
    from seedstock.transfer.maps import (
        bart,
        bert,
        esm2,
        gpt2,
        llama,
        mistral,
        mixtral,
        modernbert,
        qwen3,
        qwen3_moe,
        t5,
    )

    modules = (qwen3, llama, gpt2, mistral, mixtral, qwen3_moe, bert, modernbert, esm2, t5, bart)
    known: dict[str, Any] = {name: one for one in modules for name in (one.CLASS, *getattr(one, "ALSO", ()))}
    if export_class not in known:
        what = (
            "no class of transformers computes what this shape does"
            if export_class is None
            else f"there is no map for {export_class}"
        )
        fix = f"there is one for {', '.join(known)}; choose model.shape by it"
        if export_class in _written():
            what = f"models of the class {export_class} are written here, and not read back"
            fix = f"go on from the run itself (training.start: run:NAME); what is read back is {', '.join(known)}"
        raise SeedstockError(what, where=where, fix=fix)
    return known[export_class]


def _written() -> set[str]:
    """Every class that has a module here, in either direction."""
    modules = (import_module(f"{__name__}.{one.name}") for one in iter_modules(__path__))
    return {one.CLASS for one in modules if hasattr(one, "CLASS")}


def auto(target: ModuleType, name: str) -> str:
    """The class of ``transformers`` that finds the class ``name`` of a map: ``AUTO``, one for all or one for each."""
    found = getattr(target, "AUTO", "AutoModelForCausalLM")
    return found[name] if isinstance(found, dict) else found


def refuse_unless(config: dict[str, Any], where: object, **expected: tuple[Any, ...]) -> None:
    """Raises SeedstockError that names the first key of a foreign configuration that we could not honour."""
    for key, allowed in expected.items():
        if config.get(key, allowed[0]) not in allowed:
            what = f"{key}: {config[key]} is not supported"
            raise SeedstockError(what, where=where, fix=f"it must be {' or '.join(map(repr, allowed))}")
