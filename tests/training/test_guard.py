"""The stability guard: what would harm the weights is kept from them, and the run goes on the same way each time."""

import math

import pytest
import torch
from harmed import Harmed
from hypothesis import given, settings
from hypothesis import strategies as st
from small_run import BATCH, CONTEXT, VOCABULARY, small_config, small_fit, small_network
from test_fit import Listener
from test_resume import StopAt, assert_same, everything

from seedstock.errors import Interrupted, SeedstockError
from seedstock.ledger.chain import Chain
from seedstock.objectives.base import Spec
from seedstock.objectives.configs.causal import CausalConfig
from seedstock.training import guard as guards
from seedstock.training import rewind
from seedstock.training.checkpoint import folder as checkpoints
from seedstock.training.configs.guard import GuardConfig
from seedstock.training.parallel.world import World

OPTIMIZERS = {"adamw": {"kind": "adamw"}, "muon": {"kind": "muon", "precision": "bf16"}}


def chain_of(folder):
    return Chain(folder / "ledger" / "chain.jsonl")


def examples_of(*steps):
    """The middle example of each step (from 1)."""
    return [(step - 1) * BATCH + 3 for step in steps]


def guarded(folder, harmed, *, how="loss", steps=20, stop=None, callbacks=(), guard=None, **given):
    options = {"window": 8, "skips": 3, "rewinds": 2} | (guard or {})
    names = ("optimizer", "ema", "checkpoint_every", "micro_batch")
    changes = {name: given.pop(name) for name in names if name in given}
    config = small_config(**{"steps": steps, "ema": 0.9, "guard": options, **changes})
    network = given.pop("network", None) or small_network()
    spec = Spec(vocab_size=VOCABULARY, context=CONTEXT, model=network.config)
    objective = Harmed(examples_of(*harmed), how, CausalConfig(), spec)
    every = [*callbacks, *([StopAt(stop)] if stop else [StopAt()])]
    return small_fit(folder, config, network, objective=objective, callbacks=every, **given)


class Weights(StopAt):
    """The first weight after each step."""

    name = "weights"

    def __init__(self):
        super().__init__()
        self.found = {}

    def after_step(self, run):
        state = [slot for o in run.optimizers for s in o.state.values() for slot in s.values()]
        average = list(run.average.tensors.values())
        self.found[run.step] = [t.detach().clone() for t in (*run.parameters.values(), *average, *state)]


@pytest.mark.parametrize("how", ["loss", "gradient"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_step_that_is_not_finite_leaves_weights_optimizer_and_average_as_they_were(tmp_path, optimizer, how):
    seen, listener = Weights(), Listener()
    done = guarded(
        tmp_path / "run",
        [7],
        how=how,
        callbacks=[seen],
        optimizer=OPTIMIZERS[optimizer],
        reporter=listener,
        documents=lambda step: [f"document {step}"],
    )
    assert all(torch.equal(a, b) for a, b in zip(seen.found[6], seen.found[7], strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(seen.found[7], seen.found[8], strict=True))
    assert done.step == 20 and done.examples == 20 * BATCH, "the step counts, and so do its examples"
    assert len(done.losses) == 19 and all(map(math.isfinite, done.losses))
    assert all(tensor.isfinite().all() for tensor in everything(tmp_path / "run")[0].values())
    (body,) = chain_of(tmp_path / "run").of("skipped")
    assert body["step"] == 7 and body["examples"] == 7 * BATCH and body["documents"] == ["document 7"]
    assert ("the loss is inf" if how == "loss" else "the gradient's norm is nan") == body["why"]
    assert listener.of("skipped")[0]["step"] == 7


def test_a_spike_is_let_through_unless_asked_for(tmp_path):
    through = guarded(tmp_path / "through", [15], how="spike")
    assert len(through.losses) == 20 and next(chain_of(tmp_path / "through").of("skipped"), None) is None
    held = guarded(tmp_path / "held", [15], how="spike", guard={"sigmas": 6})
    (body,) = chain_of(tmp_path / "held").of("skipped")
    assert body["step"] == 15 and "above" in body["why"] and len(held.losses) == 19


@pytest.mark.parametrize("optimizer", [*OPTIMIZERS, "unfused"])
def test_withheld_on_the_device_the_bits_are_those_of_the_host(tmp_path, monkeypatch, optimizer):
    options = OPTIMIZERS.get(optimizer, OPTIMIZERS["adamw"])
    guarded(tmp_path / "host", [1, 9], optimizer=options)
    real = guards.Guard.__init__

    def blind(self, *arguments):
        real(self, *arguments)
        self.at_once = False

    monkeypatch.setattr(guards.Guard, "__init__", blind)
    if optimizer == "unfused":
        from seedstock.training.optimizers import adamw

        class Slow(adamw.AdamW):
            """The fused arithmetic, without the promise to heed ``found_inf``."""

            def __init__(self, *arguments, **given):
                super().__init__(*arguments, **given)
                self._step_supports_amp_scaling = False

        monkeypatch.setattr(adamw, "AdamW", Slow)
    guarded(tmp_path / "device", [1, 9], optimizer=options)
    assert_same(tmp_path / "host", tmp_path / "device")


@pytest.mark.parametrize("stop", [6, 7, 8])
def test_a_resume_through_a_skip_is_bit_for_bit(tmp_path, stop):
    options = {"how": "spike", "guard": {"sigmas": 4, "window": 4, "skips": 4}}
    guarded(tmp_path / "whole", [7, 12], **options)
    with pytest.raises(Interrupted):
        guarded(tmp_path / "cut", [7, 12], stop=stop, **options)
    guarded(tmp_path / "cut", [7, 12], **options)
    assert_same(tmp_path / "whole", tmp_path / "cut")
    for name in ("whole", "cut"):
        assert [body["step"] for body in chain_of(tmp_path / name).of("skipped")] == [7, 12]


REWOUND = {"step": 5, "from": 16, "by": "guard", "without": [8, 16]}


@pytest.mark.parametrize("stop", [10, 13, 18])
def test_after_three_skips_it_goes_back_and_on_without_that_range_whenever_it_is_stopped(tmp_path, stop):
    harmed = [12, 14, 16]
    whole = guarded(tmp_path / "whole", harmed)
    (body,) = chain_of(tmp_path / "whole").of("rewound")
    assert {key: body[key] for key in REWOUND} == REWOUND and body["examples"] == [7 * BATCH, 16 * BATCH]
    assert sorted(whole.losses) != whole.losses and len(whole.losses) == 7 + 4, "steps 1 to 7 and 17 to 20 taught"
    assert whole.step == 20 and whole.examples == 20 * BATCH
    with pytest.raises(Interrupted):
        guarded(tmp_path / "cut", harmed, stop=stop)
    guarded(tmp_path / "cut", harmed)
    assert_same(tmp_path / "whole", tmp_path / "cut")
    assert len(list(chain_of(tmp_path / "cut").of("rewound"))) == 1


def test_a_rewind_that_was_cut_off_is_completed(tmp_path, monkeypatch):
    harmed = [12, 14, 16]
    guarded(tmp_path / "whole", harmed)

    def killed(folder, steps):
        if steps:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(rewind, "_remove", killed)
        with pytest.raises(KeyboardInterrupt):
            guarded(tmp_path / "cut", harmed)
    assert checkpoints.newest(tmp_path / "cut" / "checkpoints").name > "step-00000005"
    guarded(tmp_path / "cut", harmed)
    assert_same(tmp_path / "whole", tmp_path / "cut")


def test_after_so_many_rewinds_it_stops(tmp_path):
    listener = Listener()
    with pytest.raises(SeedstockError, match="no way back that was not tried"):
        guarded(tmp_path / "run", range(12, 40), steps=40, reporter=listener)
    assert len(listener.of("rewound")) == 2 and len(listener.of("not_finite")) == 1
    assert len(list(chain_of(tmp_path / "run").of("rewound"))) == 2
    kept = checkpoints.newest(tmp_path / "run" / "checkpoints")
    assert checkpoints.step_of(kept) < 40
    with pytest.raises(SeedstockError, match="no way back that was not tried"):
        guarded(tmp_path / "none", range(2, 20))  # before the first checkpoint


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0.5, 3.0, width=32), min_size=1, max_size=40),
    st.integers(2, 8),
    st.floats(2, 8),
    st.data(),
)
def test_the_bounds_are_those_of_the_last_good_steps(values, window, sigmas, data):
    guard = guards.Guard(GuardConfig(window=window, sigmas=sigmas), torch.nn.ModuleDict(), World(), torch.device("cpu"))
    good = []
    for value in values:
        value = data.draw(st.sampled_from([value, value * 40, math.nan, math.inf]))
        held, verdict = guard.judge(torch.tensor(value), torch.tensor(1.0))
        limit = math.inf
        if len(good) >= window:
            last = torch.tensor(good[-window:])
            limit = float(last.mean() + sigmas * max(last.std(), guards.FLOOR * last.mean()))
        assert float(verdict[1]) == pytest.approx(limit, rel=1e-4)
        if math.isfinite(value) and abs(value - limit) > 1e-3 * value:
            assert held == (value > limit)
        if not math.isfinite(value):
            assert held
        if not held:
            good.append(value)
    resumed = guards.Guard(
        GuardConfig(window=window, sigmas=sigmas), torch.nn.ModuleDict(), World(), torch.device("cpu")
    )
    resumed.restore(guard.state())
    assert torch.equal(resumed.judge(*2 * [torch.tensor(1.0)])[1], guard.judge(*2 * [torch.tensor(1.0)])[1])


def test_buffers_go_back_too(tmp_path):
    experts = {"experts": 4, "experts_per_token": 2, "expert_width": 32, "balance_rate": 0.01}
    seen = []

    class Biases(StopAt):
        name = "biases"

        def after_step(self, run):
            seen.append([b.clone() for name, b in run.network.named_buffers() if "bias" in name])

    guarded(tmp_path / "run", [4], steps=6, network=small_network(**experts), callbacks=[Biases()])
    assert seen[0], "this network has biases"
    assert all(torch.equal(a, b) for a, b in zip(seen[2], seen[3], strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(seen[3], seen[4], strict=True))
