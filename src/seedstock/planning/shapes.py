"""From a parameter count to the width, depth and heads of a transformer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

from seedstock.errors import RecipeError
from seedstock.planning.parameters import Shape, choices, total

TOLERANCE = 0.05
SIZES = ("width", "layers", "heads", "kv_heads", "head_size", "mlp_width")


@cache
def depth_of(body: float) -> float:
    """Layers that a transformer of ``body`` parameters (without embeddings) should have, as a real number.

    Levine et al. 2020 (arXiv 2006.12467, equation 10 with the fit of section 5): at the best use of depth
    ln(width) = 5.039 + 0.0555 layers, with 12 layers width² parameters. The fit is of 6 layers and more; below that
    width : layers stays what it is at 6.
    """
    low, high = 6.0, 200.0
    if body <= _levine(low):
        aspect = math.exp(5.039 + 0.0555 * low) / low
        return (body / (12 * aspect**2)) ** (1 / 3)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _levine(middle) < body else (low, middle)
    return low


def _levine(layers: float) -> float:
    return 12 * layers * math.exp(2 * (5.039 + 0.0555 * layers))


def head_size_of(width: int) -> int:
    """32 below 256, 128 from 2048 on (as Llama and Qwen3 have), 64 between."""
    return 32 if width < 256 else 64 if width < 2048 else 128


def kv_heads_of(heads: int) -> int:
    """Heads of keys and values: near 8 or half the heads (grouped-query attention, Ainslie et al. 2023), never one."""
    divisors = [d for d in range(2, heads) if heads % d == 0 and heads / d <= 8]
    return min(divisors, key=lambda d: (abs(d - min(8, heads / 2)), d), default=heads)


def fit(model: Any, vocab_size: int) -> Shape:
    """The shape nearest to ``model.size`` parameters in total; what the configuration gives stays as it is.

    Sizes are multiples that suit hardware (width and MLP of 64; a width of 96 too). Among shapes within 5 % of the
    size, the one nearest to Levine's depth and to the MLP's usual width wins. Where none comes within 5 %, sizes that
    are written out win over the size, and without any RecipeError says what can be reached.
    """
    filled = model.filled(check=False)
    given = {name: getattr(model, name) for name in SIZES if getattr(model, name) is not None}
    if model.shape == "gpt2" or model.kind != "decoder":
        given.setdefault("kv_heads", 0)
    flags = choices(filled)
    found = list(_candidates(given, model.size, vocab_size, model.context, flags))
    near = [shape for shape in found if abs(total(shape, vocab_size) / model.size - 1) <= TOLERANCE]
    if near:
        return min(near, key=lambda shape: _cost(shape, model.size, vocab_size))
    best = min(found, key=lambda shape: abs(math.log(total(shape, vocab_size) / model.size)), default=None)
    if best is None or not given.keys() - {"kv_heads"}:
        raise _unreachable(model.size, vocab_size, flags, best)
    return best


def _unreachable(size: int, vocab_size: int, flags: dict[str, bool], best: Shape | None) -> RecipeError:
    tables = 1 if flags["tied_embeddings"] else 2
    smallest = 64 * vocab_size * tables
    if smallest >= size:
        return RecipeError(
            f"{size:,} parameters are fewer than the embeddings of {vocab_size:,} tokens take at the smallest width "
            f"(64 · {vocab_size:,}{' · 2' if tables == 2 else ''} = {smallest:,})",
            where="model.size",
            fix=f"take at least {_round_up(smallest * 2)}, or a vocabulary of at most {size // (128 * tables):,}",
        )
    near = f"; the nearest has {total(best, vocab_size):,}" if best else ""
    return RecipeError(
        f"no shape within 5 % of {size:,} parameters with a vocabulary of {vocab_size:,}{near}",
        where="model.size",
        fix="take another size or vocabulary, or write out width, layers and mlp_width",
    )


def _round_up(count: int) -> str:
    unit, name = next((unit, name) for unit, name in ((10**9, "B"), (10**6, "M"), (10**3, "k")) if count >= unit)
    return f"{math.ceil(10 * count / unit) / 10:g}{name}"


def _candidates(
    given: dict[str, int], size: int, vocab_size: int, context: int, flags: dict[str, Any]
) -> Iterator[Shape]:
    for width in [given["width"]] if "width" in given else _widths(size, vocab_size):
        head_size = given.get("head_size") or (width // given["heads"] if "heads" in given else head_size_of(width))
        heads = given.get("heads") or max(1, width // head_size)
        kv_heads = given.get("kv_heads", kv_heads_of(heads)) or heads
        usual = usual_mlp(width, flags["gated"])
        seed = Shape(width, 1, heads, kv_heads, head_size, given.get("mlp_width", usual), context, **flags)
        fixed = total(replace(seed, layers=0), vocab_size)
        a_layer = total(seed, vocab_size) - fixed
        wanted = (size - fixed) / a_layer
        depths = {math.floor(wanted), math.ceil(wanted), math.floor(wanted) - 1, math.ceil(wanted) + 1}
        for layers in [given["layers"]] if "layers" in given else sorted({max(1, depth) for depth in depths}):
            shape = replace(seed, layers=layers)
            yield shape
            if "mlp_width" not in given:
                a_unit = (total(replace(shape, mlp_width=usual + 64), vocab_size) - total(shape, vocab_size)) / 64
                wish = usual + (size - total(shape, vocab_size)) / a_unit
                mlp_width = 64 * round(wish / 64)
                if 0.7 * usual <= mlp_width <= 1.5 * usual:
                    yield replace(shape, mlp_width=mlp_width)


def _widths(size: int, vocab_size: int) -> Iterator[int]:
    """Widths in steps of at most an eighth, so that heads divide well among their groups and among devices; below 128
    in steps of 32, as from 64 to 128 is too far (a body of four times the size)."""
    width = 64
    while width * vocab_size < size and 12 * width * width / 4 < size:
        yield width
        width += 32 if width < 128 else next((step for step in (64, 128, 256, 512) if width < 8 * step), 1024)


def usual_mlp(width: int, gated: bool) -> int:
    """4 widths, or 8/3 of it where a third matrix gates (Shazeer 2020, arXiv 2002.05202), to a multiple of 64."""
    return max(64, 64 * round((8 / 3 if gated else 4) * width / 64))


def _cost(shape: Shape, size: int, vocab_size: int) -> float:
    """How far a shape is from the size asked for, from Levine's depth and from the usual MLP."""
    body = total(shape, 0) / len(shape.stacks)  # each stack as if it were alone
    depth = depth_of(body)
    usual_aspect = math.sqrt(body / (12 * depth)) / depth
    aspect = math.log2(shape.width / shape.layers / usual_aspect) ** 2
    return (
        (math.log(total(shape, vocab_size) / size) / 0.025) ** 2
        + aspect
        + aspect**2  # flat within a factor of two, steep beyond: a little off the size costs less
        + (4 * math.log2(shape.mlp_width / usual_mlp(shape.width, shape.gated))) ** 2
    )
