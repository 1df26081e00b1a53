"""What no objective over items may stumble over: pictures of one colour, silence, sounds of a sample, episodes in which
nothing happens, batches of one item. Damaged files never come here (``tests/corpus/test_decoding``)."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from conformance import Made, Windows
from conformance_families import FAMILIES

from seedstock.errors import RecipeError
from seedstock.evaluation import objective_loss

ITEMS = {name: family for name, family in FAMILIES.items() if family.input is not None}


@cache
def _made(name: str) -> Made:
    return Made(FAMILIES[name])


@pytest.fixture(params=ITEMS)
def made(request):
    torch.set_num_threads(1)
    return _made(request.param)


def stored(made: Made, blank: int | None, rows: int | None = None) -> dict[str, np.ndarray]:
    """The loader's items, the first ``rows`` of them; with ``blank`` all that is seen, heard or done is that number,
    and sounds and episodes have a sample or a step."""
    loader = made.loader()
    loader.prepare = None
    items = {name: array[:rows].copy() for name, array in loader.batch(0).items()}
    if blank is not None:
        for name in ("image", "clip", "waveform", "mel", "spectrum", "observations", "actions", "returns"):
            if name in items:
                items[name][:] = min(blank, 1) if name == "actions" else blank
        if "length" in items:
            items["length"][:] = 1
    return items


def prepared(made: Made, items: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """As the objective is handed them by the loader."""
    from seedstock.inputs.loader import hand_over

    return hand_over(items, made.objective.prepare, made.loader().seed)


def finite(step, gradients) -> bool:
    numbers = [*step.losses.values(), *step.metrics.values()]
    return all(np.isfinite(float(one)) for one in numbers) and all(one.isfinite().all() for one in gradients.values())


@pytest.mark.parametrize("blank", [0, 255])
def test_items_in_which_nothing_is_to_be_seen_give_numbers(made, blank):
    arrays = prepared(made, stored(made, blank))
    step, gradients = made.gradients(made.nets(), arrays)
    assert finite(step, gradients), step.losses
    floors = objective_loss.floors(made.objective, Windows(arrays), batch=len(arrays["examples"]))
    assert all(np.isfinite(one) for one in floors.values()), floors


def test_a_batch_of_one_gives_numbers_or_is_refused(made):
    """Its losses need others, and the recipe is told so; or it has numbers."""
    try:
        made.family.objective.build(replace(made.spec, batch=1))
    except RecipeError as error:
        assert error.where == "training.batch_examples"
        return
    step, gradients = made.gradients(made.nets(), prepared(made, stored(made, None, 1)))
    assert finite(step, gradients), step.losses
