"""The one dial: a parameter count sets the sizes of the model and how it is trained, by published rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from seedstock.planning import rules
from seedstock.planning.parameters import Shape, body, total
from seedstock.planning.shapes import SIZES, TOLERANCE, depth_of, fit


@dataclass(frozen=True)
class Derived:
    """A value that the recipe left open: its key in the recipe, what it became, and why."""

    key: str
    value: Any
    why: str

    def __str__(self) -> str:
        value = f"{self.value:,}" if isinstance(self.value, int) else f"{self.value:g}"
        return f"{self.key} = {value}: {self.why}"


def resolve(
    model: Any, training: Any, vocab_size: int, *, tokens_per_second: float | None = None
) -> tuple[Any, Any, list[Derived]]:
    """Fills in what a recipe leaves open, and says so: (model, training, derived values in the recipe's order).

    Whatever the recipe sets is left alone; sizes written out win over ``model.size``. A horizon in seconds is turned
    into tokens with ``tokens_per_second`` where it is known, for the rules alone: the horizon itself stays. Applied to
    its own result it changes nothing. Raises RecipeError where no shape comes near the size, and where sizes are
    missing and no size is given.
    """
    derived: list[Derived] = []
    model = _sizes(model, vocab_size, derived)
    training = _training(training, Shape.of(model), vocab_size, tokens_per_second, derived)
    return model, training, derived


def _sizes(model: Any, vocab_size: int, derived: list[Derived]) -> Any:
    if getattr(model, "parts", ()) or hasattr(model, "walk"):  # these have their sizes written out
        return model.filled()
    open_sizes = [name for name in SIZES if getattr(model, name) is None]
    if model.size is None or not open_sizes:
        full = model.resolved()
        return model.model_copy(update={name: getattr(full, name) for name in SIZES})
    shape = fit(model, vocab_size)
    count = total(shape, vocab_size)
    stacks = len(shape.stacks)
    inner = body(shape) // stacks
    depth = f"Levine et al. 2020 put {depth_of(inner):.1f} layers into a body of {inner:,}"
    depth += ", as each of the two stacks is" if stacks > 1 else ""
    why = {
        "width": f"{count:,} parameters with a vocabulary of {vocab_size:,}, {count / model.size - 1:+.1%} of the size",
        "layers": depth,
        "heads": f"heads of {shape.head_size}",
        "kv_heads": "grouped-query attention (Ainslie et al. 2023)" if shape.kv_heads < shape.heads else "one a head",
        "head_size": "a size that attention kernels are written for",
        "mlp_width": f"{shape.mlp_width / shape.width:.2f} widths (8/3 gated, 4 not: Shazeer 2020), fitted to the size",
    }
    derived += [Derived(f"model.{name}", getattr(shape, name), why[name]) for name in open_sizes]
    if abs(count / model.size - 1) > TOLERANCE:
        given = ", ".join(name for name in SIZES if name not in open_sizes)
        derived.append(Derived("model.size", count, f"not the {model.size:,} asked for: {given} written out win"))
    return model.model_copy(update={name: getattr(shape, name) for name in open_sizes})


def _training(training: Any, shape: Shape, vocab_size: int, speed: float | None, derived: list[Derived]) -> Any:
    found: dict[str, Any] = {}
    count, inner, context = total(shape, vocab_size), body(shape), shape.context
    batch_given = training.batch_examples is not None or not _open(training, "batch_tokens")
    batch = (training.batch_examples or max(1, round((training.batch_tokens or 0) / context))) * context
    if training.steps is None and training.tokens is None and training.time is None:
        found["tokens"] = rules.TOKENS_A_PARAMETER * count
        derived.append(Derived("training.tokens", found["tokens"], "20 tokens a parameter (Hoffmann et al. 2022)"))
    tokens, assumed = float(training.tokens or rules.TOKENS_A_PARAMETER * count), ""
    if training.time is not None:
        tokens = training.time * speed if speed else tokens
        assumed = f" in {training.time:g} s" if speed else " assumed, as the speed is not known"
    if not batch_given:
        wish = rules.batch_tokens_for_steps(training.steps) if training.steps else rules.batch_tokens(tokens)
        batch = rules.examples(wish, context) * context
        found["batch_tokens"] = batch
        why = f"Step Law (Li et al. 2025) gives {wish:,.0f}; a power of two of examples of {context:,}"
        derived.append(Derived("training.batch_tokens", batch, why + assumed))
    tokens = training.steps * batch if training.steps else tokens
    steps = training.steps or max(1, round(tokens / batch))
    mean = training.schedule.mean(steps)
    optimizer = _optimizer(training.optimizer, inner, count, tokens, steps, batch, mean, assumed, derived)
    return training.model_copy(update={**found, "optimizer": optimizer})


def _optimizer(
    optimizer: Any,
    inner: int,
    count: int,
    tokens: float,
    steps: int,
    batch: int,
    mean: float,
    assumed: str,
    derived: list[Derived],
) -> Any:
    key, found = "training.optimizer", {}
    adam = float(f"{rules.learning_rate(inner, tokens):.2g}")
    of_adam = getattr(type(optimizer), "rate_of_adamw", 1.0)
    why_adam = f"Step Law (Li et al. 2025) for {inner:,} parameters in the body and {tokens:,.0f} tokens{assumed}"
    rate = getattr(optimizer, "learning_rate", None)
    if rate is None and "learning_rate" in type(optimizer).model_fields:
        own_scale = optimizer.kind == "muon" and optimizer.adjust == "original"
        wish = rules.muon_rate(batch) if own_scale else of_adam * adam
        rate = found["learning_rate"] = float(f"{wish:.2g}")
        why = why_adam if of_adam == 1 else f"{of_adam:g} of AdamW's, which is by {why_adam}"
        small = f", less for fewer than {rules.MUON_BATCH:,} tokens a step" if batch < rules.MUON_BATCH else ""
        why = f"orthogonalised updates carry over between widths (Jordan et al. 2024){small}" if own_scale else why
        derived.append(Derived(f"{key}.learning_rate", rate, why))
    if rate is not None and _open(optimizer, "weight_decay"):
        found["weight_decay"] = float(f"{rules.weight_decay(rate, steps, tokens / count, mean):.2g}")
        why = "weights average over the share of the run of Bergsma et al. 2025, after Wang & Aitchison 2024"
        derived.append(Derived(f"{key}.weight_decay", found["weight_decay"], why + assumed))
    rest = getattr(optimizer, "rest", None)
    if rest is not None and getattr(rest, "learning_rate", 0) is None:
        found["rest"] = rest.model_copy(update={"learning_rate": adam})
        derived.append(Derived(f"{key}.rest.learning_rate", adam, why_adam))
    return optimizer.model_copy(update=found) if found else optimizer


def _open(config: Any, name: str) -> bool:
    """Whether a configuration has a field that nobody gave: it is None, or still its default."""
    known = name in type(config).model_fields
    return known and (getattr(config, name) is None or name not in config.model_fields_set)
