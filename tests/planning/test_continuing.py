"""From scratch or from a base: the arithmetic of effective data, its limits, and the command that asks."""

from __future__ import annotations

import json
import math
import struct

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from seedstock import bases, sweeps
from seedstock.cli import main
from seedstock.errors import DataError, RecipeError, SeedstockError
from seedstock.planning.continuing import PUBLISHED, Base, Question, worth
from seedstock.planning.scaling import Law

LAW = Law.known(PUBLISHED)


def question(parameters=3e8, base=1e8, tokens=3e11, unique=None, same=False):
    return Question(LAW, parameters, 6 * parameters, Base("b", int(base), tokens, 6 * base, same), unique)


@settings(max_examples=60, deadline=None)
@given(st.floats(1e6, 1e11), st.floats(1e8, 1e13), st.floats(1e9, 1e13), st.none() | st.floats(1e8, 1e12))
def test_a_base_is_worth_what_it_spares(parameters, tokens, base, unique):
    """The limits: nothing is worth nothing, everything of the same data is one longer run; and the way back."""
    assert LAW.loss(parameters, tokens, unique, 0.0) == LAW.loss(parameters, tokens, unique)
    assert LAW.loss(parameters, tokens, None, base) == pytest.approx(LAW.loss(parameters, tokens + base))
    losses = [LAW.loss(parameters, tokens, unique, share * base) for share in (0.0, 0.3, 1.0)]
    assert losses == sorted(losses, reverse=True) and losses[2] < losses[0]
    found = worth(LAW, parameters, tokens, base, unique, losses[1])
    assert LAW.loss(parameters, tokens, unique, found * base) == pytest.approx(losses[1], rel=1e-7)
    assert worth(LAW, parameters, tokens, base, unique, losses[0] + 1) == 0
    assert worth(LAW, parameters, tokens, base, unique, losses[2] - 0.01) == 1


@settings(max_examples=12, deadline=None)
@given(st.floats(3e7, 3e9), st.floats(1e7, 1e10), st.floats(1e9, 1e12), st.floats(1e9, 1e11), st.booleans())
def test_what_breaks_even_does(parameters, base, tokens, read, same):
    asked = question(parameters, base, tokens, same=same)
    found = asked.compare(read, (0.0, 1.0))
    flops, scratch = found["flops"], found["scratch"]["loss"]
    assert scratch == pytest.approx(asked.scratch(flops))
    need = found["worth_needed"]
    if need is None:
        assert asked.continued(flops, 1.0) > scratch
    else:
        assert asked.continued(flops, need) <= scratch + 1e-9
        assert need == 0 or asked.continued(flops, need * 0.99) > scratch
    for one in found["continued"]:
        assert one["loss"] == pytest.approx(asked.continued(flops, one["worth"]))
        if enough := one["reaches_scratch"]:
            assert asked.continued(enough, one["worth"]) == pytest.approx(scratch, rel=1e-6)
        over = one["overtaken"]
        if over:
            assert asked.best(over)[1] == pytest.approx(asked.continued(over, one["worth"]), rel=1e-4)
            assert asked.best(over * 3)[1] < asked.continued(over * 3, one["worth"])
            assert asked.best(over / 1.5)[1] >= asked.continued(over / 1.5, one["worth"]) - 1e-6
    assert [row["flops"] for row in found["budgets"]] == [flops * times for times in (0.01, 0.1, 1.0, 10.0, 100.0)]


def test_a_small_base_is_overtaken_and_a_large_one_is_far_ahead():
    small, large = question(base=2e7), question(base=1e10)
    found, far = small.compare(6e9, (1.0,)), large.compare(6e9, (1.0,))
    assert found["worth_needed"] is None and far["worth_needed"] < 0.05
    assert found["continued"][0]["overtaken"] < far["continued"][0]["overtaken"] / 1e3
    size, loss = small.best(1e21)
    assert loss == pytest.approx(LAW.loss(*LAW.optimal(1e21)), rel=1e-4) and size == pytest.approx(2.9e9, rel=0.3)


def test_tokens_that_come_again_count_for_less_beside_a_base_too():
    few, many = question(unique=1e9), question()
    assert few.continued(1e20, 0.1) > many.continued(1e20, 0.1)
    # The base's own are none of those that come again, unless they are the same documents.
    shared = question(unique=1e9, same=True)
    assert shared.continued(1e18, 1.0) > few.continued(1e18, 1.0)
    assert math.isfinite(shared.compare(1e9, (1.0,))["continued"][0]["loss"])


def plan(capsys, tmp_path, *options):
    code = main(["plan", "domain-300m", "--hardware", "h100", "--json", "--runs", str(tmp_path), *options])
    return code, json.loads(capsys.readouterr().out)


def test_the_command_compares_with_published_constants_where_nothing_was_swept(capsys, tmp_path):
    code, found = plan(capsys, tmp_path, "--base", "124M", "--base-tokens", "300G", "--base-worth", "20 %")
    base = found["base"]
    assert code == 0 and base["law"] == "published" and base["scratch"]["interval"] is None
    (one,) = base["continued"]
    assert one["worth"] == 0.2 and one["tokens"] == pytest.approx(
        found["tokens"] * sum(found["parameters"].values()) / 124e6
    )
    assert one["loss"] == pytest.approx(LAW.loss(124e6, one["tokens"], None, 0.2 * 3e11))
    assert one["seconds"] == found["seconds"] and one["flops"] == pytest.approx(
        found["flops_a_token"] * found["tokens"]
    )
    assert main(["plan", "domain-300m", "--hardware", "h100", "--runs", str(tmp_path), "--base", "1G"]) == 2
    assert "--base-tokens 300G" in capsys.readouterr().err
    options = ["--base", "9G", "--base-tokens", "8T"]
    assert main(["plan", "domain-300m", "--hardware", "h100", "--runs", str(tmp_path), *options]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "each worth 0% of one of yours" in told and "each worth 100%" in told and "break-even" in told


@pytest.mark.parametrize(
    ("options", "where"),
    [
        (("--base", "none"), "--base"),
        (("--base", "0"), "--base"),
        (("--base", "1G", "--base-tokens", "few"), "--base-tokens"),
        (("--base", "1G", "--base-tokens", "1G", "--base-worth", "200 %"), "--base-worth"),
        (("--base-tokens", "1G"), "--base-tokens, --base-worth"),
    ],
)
def test_bad_options_are_named(capsys, tmp_path, options, where):
    code, found = plan(capsys, tmp_path, *options)
    assert code == 2 and found["where"] == where and found["fix"]


def test_a_folder_is_counted_by_its_headers(tmp_path):
    tensors = {"a": torch.zeros(3, 5, dtype=torch.bfloat16), "b": torch.zeros(())}
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    assert bases.find(str(tmp_path), tmp_path, flops=6.0, tokens="1M") == Base(str(tmp_path), 16, 1e6, 96.0)
    for broken in (b"123", struct.pack("<Q", 1 << 60), struct.pack("<Q", 2) + b"[]", struct.pack("<Q", 3) + b"{x}"):
        (tmp_path / "model.safetensors").write_bytes(broken)
        with pytest.raises(DataError, match="not a safetensors file"):
            bases.find(str(tmp_path), tmp_path, flops=6.0, tokens="1M")
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(DataError, match="no safetensors"):
        bases.find(str(tmp_path), tmp_path, flops=6.0, tokens="1M")


def test_runs_that_are_not_there_are_named(tmp_path):
    for name in ("run:", "run:a@b"):
        with pytest.raises(RecipeError, match="names no run"):
            bases.find(name, tmp_path, flops=6.0)
    with pytest.raises(SeedstockError, match="no such run"):
        bases.find("run:a", tmp_path, flops=6.0)


def test_a_prediction_of_a_continued_run_says_what_its_base_was_worth():
    base = {"run": "b", "step": 9, "tokens": 10**9, "same": False}
    said = {"loss": 3.0, "interval": [2.0, 4.0], "parameters": 10**7, "tokens": 10**8, "unique": None, "base": base}
    measured = LAW.loss(1e7, 1e8, None, 0.25 * 1e9)
    found = sweeps.held_against({**said, "constants": PUBLISHED}, measured)
    assert found["worth"] == pytest.approx(0.25, rel=1e-6) and found["within"] is (2 <= measured <= 4)
    assert "worth" not in sweeps.held_against(said, measured)
