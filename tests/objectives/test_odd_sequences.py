"""What no objective over tokens may stumble over: texts of one token, texts longer than a window, special tokens that a
text spells out, vocabularies without what is asked for. The families are those of ``conformance_families``; batches
without a target are in ``test_conformance``, teachers with another tokenizer in ``test_distillation``."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from conformance import BATCH, CONTEXT, SEED, Made, outputs, real_shards
from conformance_families import FAMILIES
from real_windows import trained

from seedstock.errors import RecipeError
from seedstock.inputs.loader import hand_over

TEXT = {name: family for name, family in FAMILIES.items() if family.input is None}
MARKED = {name: family for name, family in TEXT.items() if family.objective.specials()}


@cache
def _made(name: str) -> Made:
    return Made(FAMILIES[name])


@pytest.fixture(params=TEXT)
def made(request):
    torch.set_num_threads(1)
    return _made(request.param)


def stored(made: Made, sizes: list[int]) -> dict[str, np.ndarray]:
    """The loader's windows before ``prepare``, every row documents of these many tokens between BOS and EOS, then
    padding."""
    loader = made.loader()
    loader.prepare = None
    items = {name: array.copy() for name, array in loader.batch(0).items()}
    specials = made.spec.specials
    first = max(specials.values()) + 1
    tokens, documents, positions = [], [], []
    for number, size in enumerate(sizes):
        own = [specials["bos"], *(first + np.arange(size) % 200).tolist(), specials["eos"]]
        tokens, documents = tokens + own, documents + [number] * len(own)
        positions += range(len(own))
    length = items["tokens"].shape[1]
    rows = {"tokens": (tokens, specials["pad"]), "documents": (documents, -1), "positions": (positions, 0)}
    for name, (values, rest) in rows.items():
        row = np.full(length, rest, np.int64)
        row[: len(values)] = values[:length]
        for key in (name, f"partner_{name}"):
            if key in items:
                items[key][:] = row
    return items


@pytest.mark.parametrize("sizes", [[0], [1], [1] * 20, [2, 0, 1, 3]])
def test_texts_of_one_token_or_none_give_no_wrong_numbers(made, sizes):
    arrays = hand_over(stored(made, sizes), made.objective.prepare, SEED)
    step, gradients = made.gradients(made.nets(), arrays)
    assert np.isfinite(float(step.loss)) and all(np.isfinite(float(one)) for one in step.metrics.values())
    assert all(gradient.isfinite().all() for gradient in gradients.values())


def test_a_text_longer_than_the_window_is_cut_to_the_context(made):
    arrays = hand_over(stored(made, [50 * CONTEXT]), made.objective.prepare, SEED)
    passes, hidden = outputs(made.objective, made.nets(), made.corrupted(arrays))
    sides = [one["x"] for one in passes] + [one["cross"].x for one in passes if one.get("cross") is not None]
    positions = [one["positions"] for one in passes]
    assert all(int(one.max()) < CONTEXT for one in positions), "a learned table has no more rows"
    assert made.spec.model.position != "learned" or all(side.shape[1] <= CONTEXT for side in sides)
    assert all(one.isfinite().all() for one in hidden) and all(len(side) == BATCH for side in sides)
    step, _ = made.gradients(made.nets(), arrays)
    assert np.isfinite(float(step.loss)) and float(step.loss) > 0


@pytest.mark.parametrize("kind", ["bytes", "bpe"])
@pytest.mark.parametrize("name", MARKED)
def test_special_tokens_that_a_text_spells_out_are_text(name, kind):
    names = FAMILIES[name].objective.specials()
    tokenizer = real_shards(names)[0] if kind == "bytes" else trained("bpe", names)[0]
    text = " ".join(f"<|{special}|>" for special in ("bos", "eos", "pad", *names))
    ids = tokenizer.encode(text).tolist()
    assert not set(ids) & set(tokenizer.specials.values()) and tokenizer.decode(ids) == text


@pytest.mark.parametrize("name", MARKED)
def test_a_vocabulary_without_what_is_needed_is_named(name):
    made = _made(name)
    for missing in {made.family.objective.specials()[0], made.family.objective.specials()[-1]}:
        specials = {key: value for key, value in made.spec.specials.items() if key != missing}
        with pytest.raises(RecipeError, match=missing):
            made.family.objective.build(replace(made.spec, specials=specials))
