"""Codebooks, parents and slow teachers under layouts: the gradients, the moving sums and the runs of one process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from drawn_cases import BATCH, DRAWN, Drawing
from gloo import together
from parity_cases import BAND, differences, gradients
from small_run import small_config, small_fit
from spread_run import StopAt, saved

from seedstock.errors import Interrupted

TWO = ({"data": 2}, {"shard": 2})
COUNT, MICRO, STEPS = 5, 2, 6


def run(folder: Path, name: str, parallel: dict[str, Any], stop: int | None = None) -> Any:
    """What one process's ``fit`` gave; None where it was stopped."""
    torch.set_num_threads(1)
    case = DRAWN[name]()
    nets, objective = case.build()
    given = {"steps": STEPS, "checkpoint_every": STEPS, "micro_batch": MICRO, "batch_examples": BATCH}
    config = small_config(**given, parallel=parallel, optimizer={"kind": "adamw", "learning_rate": 0.003})
    more: dict[str, Any] = {"loader": Drawing(case, objective), "callbacks": [StopAt(stop)] if stop else []}
    try:
        found = small_fit(folder, config, nets["network"], objective=objective, **more)
    except Interrupted:
        return None
    return {"losses": torch.tensor(found.losses), "checkpoint": found.checkpoint}


def in_two(rank: int, root: Path) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for name in DRAWN:
        for layout in TWO:
            found[name, str(layout)] = gradients(DRAWN[name](), COUNT, MICRO, layout)
        assert run(root / f"{name} cut", name, {"shard": 2}, stop=3 if rank else None) is None
        found[name, "cut"] = run(root / f"{name} cut", name, {"shard": 2})
        found[name, "whole"] = run(root / f"{name} whole", name, {"shard": 2})
        found[name, "from one"] = run(root / f"{name} of one", name, {"shard": 2})
    return found


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[Any, Any]], dict[Any, Any]]:
    """What two processes gave, and what one did."""
    root, alone = tmp_path_factory.mktemp("drawn"), {}
    for name in DRAWN:
        assert run(root / f"{name} of one", name, {}, stop=3) is None
    spread = together(in_two, 2, root)
    for name in DRAWN:
        alone[name, "gradients"] = theirs = gradients(DRAWN[name](), COUNT, MICRO, None)
        # Errors of samples and spectra cancel out in some gradients, which fp32 then knows no better than this.
        one, other = (differences(gradients(DRAWN[name](), COUNT, micro, None), theirs) for micro in (1, COUNT))
        alone[name, "rounding"] = {key: max(one[key], other[key]) for key in one}
        alone[name, "whole"] = run(root / f"{name} alone", name, {})
    return spread, alone


@pytest.mark.parametrize("layout", TWO, ids=str)
@pytest.mark.parametrize("name", DRAWN)
def test_two_processes_have_the_gradients_of_one(two: Any, name: str, layout: dict[str, int]) -> None:
    spread, alone = two
    theirs, rounding = alone[name, "gradients"], alone[name, "rounding"]
    for found in spread:
        ours = found[name, str(layout)]
        off = {key: far for key, far in differences(ours, theirs).items() if far > max(BAND, 3 * rounding[key])}
        assert not off
        torch.testing.assert_close(ours["losses"], theirs["losses"], rtol=BAND, atol=BAND)


@pytest.mark.parametrize("name", DRAWN)
def test_what_moves_without_gradients_is_the_same_in_parts(two: Any, name: str) -> None:
    spread, alone = two
    ours, theirs = saved(spread[0][name, "whole"]["checkpoint"]), saved(alone[name, "whole"]["checkpoint"])
    assert ours.keys() == theirs.keys()
    moving = [key for key in ours if key.endswith((".usage", ".total")) or ".teacher" in key]
    assert bool(moving) == (name != "latents of a parent")
    for key, value in theirs.items():
        if key.endswith("attention.key.bias"):  # attention does not see it: Adam makes steps of what rounding leaves
            continue
        torch.testing.assert_close(ours[key], value, rtol=1e-4, atol=1e-5, msg=key)
    torch.testing.assert_close(spread[0][name, "whole"]["losses"], alone[name, "whole"]["losses"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", DRAWN)
def test_stopped_in_two_it_goes_on_bit_for_bit_and_from_one_alike(two: Any, name: str) -> None:
    spread, alone = two
    whole, cut = saved(spread[0][name, "whole"]["checkpoint"]), saved(spread[0][name, "cut"]["checkpoint"])
    assert whole.keys() == cut.keys() and all(torch.equal(whole[key], cut[key]) for key in whole)
    theirs = alone[name, "whole"]["losses"][3:]
    torch.testing.assert_close(spread[0][name, "from one"]["losses"], theirs, rtol=1e-5, atol=1e-6)
