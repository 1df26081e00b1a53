"""``fit``: what it reports, what it settles, what it refuses."""

import contextlib
import math
import sys

import numpy as np
import pytest
import torch
from small_run import BATCH, CONTEXT, SmallLoader, small_config, small_fit, small_network

from seedstock.errors import RecipeError, SeedstockError
from seedstock.ledger.chain import Chain
from seedstock.objectives.causal import Causal
from seedstock.progress import Silent
from seedstock.training import measure
from seedstock.training.callbacks.base import Callback
from seedstock.training.checkpoint import folder as checkpoints
from seedstock.training.configs.training import TrainingConfig


class Listener(Silent):
    """Keeps what it is told."""

    def __init__(self):
        self.said, self.events, self.shown, self.advanced = [], [], [], 0

    def say(self, text):
        self.said.append(text)

    def event(self, kind, **fields):
        self.events.append({"event": kind, **fields})

    @contextlib.contextmanager
    def bar(self, label, total, unit):
        self.total = total
        yield self

    def advance(self, amount=1, **shown):
        self.advanced += amount
        self.shown.append(shown)

    def of(self, kind):
        return [event for event in self.events if event["event"] == kind]


def test_it_learns_and_tells(tmp_path):
    listener = Listener()
    result = small_fit(tmp_path / "run", small_config(steps=60, checkpoint_every=60), reporter=listener)
    assert abs(result.losses[0] - math.log(64)) < 0.2
    assert sum(result.losses[-5:]) / 5 < 0.6 * result.losses[0]
    steps = listener.of("step")
    assert [event["step"] for event in steps] == list(range(1, 61))
    assert [event["loss"] for event in steps] == pytest.approx(result.losses, abs=1e-6)
    last = steps[-1]
    assert last["examples"] == 60 * BATCH == result.examples
    assert last["tokens"] == 60 * BATCH * CONTEXT == result.tokens
    assert {"learning_rate", "grad_norm", "tokens_per_second", "mfu", "seconds", "waited"} <= last.keys()
    assert listener.advanced == listener.total == 60
    assert listener.shown[-1].keys() == {"loss", "tokens/s", "MFU", "left"} and listener.shown[-1]["left"] == "0:00"
    assert 0 < result.mfu < 1 and result.tokens_per_second > 0


def test_long_runs_write_about_a_thousand_events():
    from seedstock.training.callbacks.events import Events
    from seedstock.training.readings import Reading

    class Run:
        steps, reporter, peak_flops = 25_000, Listener(), 0.0

    events = Events()
    for step in range(1, Run.steps + 1):
        events.read(Run, [Reading(step, step, step, float(step), 1.0, 0.1, 0.01, 0.0, 7)])
    found = Run.reporter.of("step")
    assert len(found) == 1000 and found[0]["loss"] == 13.0 and found[-1]["step"] == 25_000
    assert found[0]["tokens_per_second"] == 700


def test_mfu_is_told_by_the_data_sheet_too_where_there_is_one(tmp_path, monkeypatch):
    from seedstock.training import measure

    listener = Listener()
    monkeypatch.setattr(measure, "peak", lambda dtype, device: 1e6)
    monkeypatch.setattr(measure, "sheet", lambda device: 2e6)
    small_fit(tmp_path / "run", small_config(steps=4), reporter=listener)
    for event in listener.of("step"):
        assert event["mfu"] > 1 and event["mfu_of_sheet"] == pytest.approx(event["mfu"] / 2, rel=1e-3)


def test_the_rate_follows_the_schedule(tmp_path):
    listener = Listener()
    config = small_config(steps=10, schedule={"kind": "linear", "warmup": 2}, optimizer={"kind": "adamw"})
    small_fit(tmp_path / "run", config, reporter=listener)
    rates = [event["learning_rate"] for event in listener.of("step")]
    assert rates == pytest.approx([3e-3 * x for x in (0.5, 1, 1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125)])


def test_validation_sees_the_averaged_weights_and_changes_nothing(tmp_path):
    seen = []

    def validate(network, step):
        assert not network.training and not torch.is_grad_enabled()
        torch.rand(3)  # whatever it draws, training goes on as it would have
        seen.append((step, [p.clone() for p in network.parameters()]))
        return {"loss": 1.25}

    listener = Listener()
    options = {"steps": 6, "checkpoint_every": 3, "ema": 0.5}
    plain = small_fit(tmp_path / "plain", small_config(**options))
    watched = small_fit(
        tmp_path / "watched", small_config(validate_every=4, **options), validate=validate, reporter=listener
    )
    assert plain.losses == watched.losses
    assert [step for step, _ in seen] == [4, 6] and watched.validation == {"step": 6, "tokens": 576, "loss": 1.25}
    assert [event["step"] for event in listener.of("validation")] == [4, 6]
    averaged = small_network()
    from seedstock.training.state import load_weights

    load_weights(watched.checkpoint, averaged)
    assert all(torch.equal(a, b) for a, b in zip(averaged.parameters(), seen[-1][1], strict=True))


def test_the_average_follows_its_closed_form():
    from seedstock.training.ema import Average

    p = torch.nn.Parameter(torch.zeros(1))
    average, expected = Average({"p": p}, 0.5), 0.0
    for step in range(1, 8):
        p.data += step
        average.update(step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * p.item()
        assert average.tensors["p"].item() == pytest.approx(expected)
    with average.swapped():
        assert p.item() == pytest.approx(expected)
    assert p.item() == 28


def test_samples_come_from_the_sampler(tmp_path):
    listener = Listener()
    config = small_config(steps=4, sample_every=2)
    small_fit(tmp_path / "a", config, sample=lambda network, step: f"text {step}", reporter=listener)
    assert [(event["step"], event["text"]) for event in listener.of("sample")] == [(2, "text 2"), (4, "text 4")]
    config = small_config(steps=4, callbacks=[{"kind": "samples", "every": 4}])
    small_fit(tmp_path / "b", config, sample=lambda network, step: "again", reporter=listener)
    assert listener.of("sample")[-1]["text"] == "again"
    both = small_config(steps=4, sample_every=2, callbacks=[{"kind": "samples", "every": 4}])
    with pytest.raises(RecipeError, match="two callbacks are named 'samples'"):
        small_fit(tmp_path / "c", both, sample=lambda network, step: "")


def test_tensorboard_is_written_or_asked_for(tmp_path, monkeypatch):
    config = small_config(steps=2, validate_every=2, callbacks=[{"kind": "tensorboard"}])
    try:
        import tensorboard  # noqa: F401
    except ImportError:
        with pytest.raises(RecipeError, match=r"seedstock\[track\]"):
            small_fit(tmp_path / "run", config)
    else:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        small_fit(tmp_path / "run", config, validate=lambda nets, step: {"held_out": 1.5})
        log = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
        assert [one.step for one in log.Scalars("training/loss")] == [1, 2]
        assert [(one.step, one.value) for one in log.Scalars("validation/held_out")] == [(2, 1.5)]


class Poisoned(Causal):
    """Its loss, or its gradient alone, is not finite at one step."""

    def __init__(self, at, gradient):
        super().__init__()
        self.at, self.gradient = at, gradient

    def loss(self, nets, output, batch):
        sums, metrics = super().loss(nets, output, batch)
        if int(batch["examples"][0]) // BATCH == self.at:
            total = sums["causal"]
            zero = output.hidden.sum() * 0
            sums["causal"] = total + zero.sqrt() if self.gradient else total * math.inf
        return sums, metrics


@pytest.mark.parametrize("gradient", [False, True])
def test_what_is_not_finite_stops_the_run_and_is_not_saved(tmp_path, gradient):
    listener = Listener()
    what = "gradient's norm is nan" if gradient else "loss is inf"
    with pytest.raises(SeedstockError, match=what) as error:
        config = small_config(checkpoint_every=4, guard="stop")
        small_fit(tmp_path / "run", config, objective=Poisoned(7, gradient), reporter=listener)
    assert "at step 8, which was fed examples 42, 43, 44, 45, 46, 47" in str(error.value)
    assert "seedstock trace run --step 8" in str(error.value), "people count steps from 1"
    assert listener.of("not_finite")[0]["step"] == 8
    assert listener.of("not_finite")[0]["examples"] == [42, 43, 44, 45, 46, 47]
    assert checkpoints.newest(tmp_path / "run" / "checkpoints").name == "step-00000004"


def test_an_objective_may_pass_the_backbone_more_than_once(tmp_path):
    class Twice(Causal):
        """The mean of two equal passes."""

        def inputs(self, nets, batch):
            return [super(Twice, self).inputs(nets, batch) for _ in range(2)]

        def loss(self, nets, output, batch):
            (first, metrics), (second, _) = (super(Twice, self).loss(nets, one, batch) for one in output)
            return {"causal": (first["causal"] + second["causal"]) / 2}, metrics

    once = small_fit(tmp_path / "once", small_config(steps=4))
    twice = small_fit(tmp_path / "twice", small_config(steps=4), objective=Twice())
    assert twice.losses == pytest.approx(once.losses, rel=1e-5)
    assert twice.tokens == 2 * once.tokens


def test_a_full_disk_during_a_run_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    from seedstock.training.checkpoint import writer

    real = writer.save_file

    def sometimes_full(tensors, path, **options):
        if "step-00000010" in str(path):
            raise OSError(28, "No space left on device")
        real(tensors, path, **options)

    monkeypatch.setattr(writer, "save_file", sometimes_full)
    with pytest.raises(SeedstockError, match="No space left on device"):
        small_fit(tmp_path / "run")
    monkeypatch.undo()
    assert checkpoints.newest(tmp_path / "run" / "checkpoints").name == "step-00000005"
    assert small_fit(tmp_path / "run").step == 20


def test_what_is_left_open_is_settled_once_and_repeated(tmp_path, monkeypatch):
    listener, told = Listener(), []
    config = TrainingConfig(steps=6, checkpoint_every=3)
    network = small_network()
    before = {name: p.clone() for name, p in network.named_parameters()}
    from seedstock.training import settle

    class Stop(Callback):
        name = "stop"

        def after_step(self, run):
            if run.step == 3:
                run.stop.request("stopped")

    with pytest.raises(SeedstockError, match="stopped"):
        small_fit(tmp_path / "run", config, network, reporter=listener, settled=told.append, callbacks=[Stop()], seed=4)
    (chosen,) = told
    assert chosen.precision in ("fp32", "bf16") and chosen.compile is False and chosen.threads >= 1
    assert 1 <= chosen.micro_batch <= BATCH and chosen.optimizer.precision in ("fp32", "bf16")
    figures = listener.of("settled")[0]["figures"]
    measured = figures["seconds_an_example"]
    assert {"fp32, threads 1", "bf16, threads 1"} <= set(measured) and all(value > 0 for value in measured.values())
    assert any(not torch.equal(before[name], p) for name, p in network.named_parameters())

    def never(*args):
        raise AssertionError("measured again")

    monkeypatch.setattr(settle._Probe, "settle", never)
    again = small_fit(tmp_path / "run", config, seed=4)
    assert again.config == chosen and again.step == 6
    whole = small_fit(tmp_path / "whole", chosen, seed=4)
    assert whole.losses[3:] == again.losses


def test_measuring_leaves_weights_and_settings_alone():
    from seedstock.objectives.base import assemble
    from seedstock.objectives.configs.causal import CausalConfig
    from seedstock.training.settle import settle

    network, objective, threads = small_network(), CausalConfig().build(), torch.get_num_threads()
    before = [p.clone() for p in network.parameters()]
    settle(TrainingConfig(steps=3), assemble(network, objective), objective, SmallLoader().batch(0), 1)
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
    assert all(p.grad is None for p in network.parameters())
    assert torch.get_num_threads() == threads and network.compute_dtype == torch.float32


def test_a_horizon_in_time_or_tokens_becomes_steps(tmp_path):
    told = []
    timed = TrainingConfig(time="2 s", checkpoint_every=1000, threads=1, micro_batch=BATCH, precision="fp32")
    result = small_fit(tmp_path / "timed", timed, settled=told.append)
    assert result.step == told[0].steps and told[0].time is None
    assert 0.5 < result.seconds < 30  # a busy machine slows down between the measurement and the end
    tokens = small_config(steps=None, tokens=BATCH * CONTEXT * 7)
    assert small_fit(tmp_path / "tokens", tokens).step == 7
    with pytest.raises(RecipeError, match="the run has no length"):
        small_fit(tmp_path / "none", small_config(steps=None))


def test_a_loader_may_be_anything_that_gives_numbered_batches(tmp_path):
    """The same batches ahead of time, with digests of their own, from a generator."""

    class Ahead(SmallLoader):
        closed = False

        def iterate(self, first, last):
            try:
                for step in range(first, last):
                    yield self.batch(step)
            finally:
                Ahead.closed = True

        def batch(self, step):
            return super().batch(step) | {"digests": np.full((BATCH, 16), step, np.uint8)}

    plain = small_fit(tmp_path / "plain", small_config(steps=3))
    ahead = small_fit(tmp_path / "ahead", small_config(steps=3), loader=Ahead())
    assert plain.losses == ahead.losses and plain.digest != ahead.digest and Ahead.closed
    Ahead.closed = False
    with pytest.raises(SeedstockError, match="loss is inf"):
        small_fit(tmp_path / "bad", small_config(guard="stop"), loader=Ahead(), objective=Poisoned(2, False))
    assert Ahead.closed


def test_equal_runs_are_equal_to_the_last_bit(tmp_path):
    a = small_fit(tmp_path / "a", small_config(steps=5))
    b = small_fit(tmp_path / "b", small_config(steps=5))
    assert a.digest == b.digest and a.losses == b.losses
    for name in ("model.safetensors", "optimizer.safetensors"):
        assert (a.checkpoint / name).read_bytes() == (b.checkpoint / name).read_bytes()


def test_settings_are_as_they_were_afterwards(tmp_path):
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    small_fit(tmp_path / "run", small_config(steps=2))
    assert torch.get_num_threads() == threads and torch.are_deterministic_algorithms_enabled() == strict


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc alone has these settings")
def test_memory_that_was_freed_is_used_again():
    import resource

    from seedstock.training.memory import kept

    def faults():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(10):
            held = [torch.ones(2**20) for _ in range(4)]  # 16 MB: about 4,000 pages
            del held
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    with kept():
        faults()
        assert faults() < 400
    assert faults() > 4000


def test_the_peak_and_the_work_are_of_the_right_size():
    rate = measure.peak(torch.float32, torch.device("cpu"), 0.05)
    assert 1e8 < rate < 1e14
    network = small_network(dropout=0.0)
    multiplied = sum(p.numel() for name, p in network.named_parameters() if p.ndim == 2)  # tied: the head is counted
    config = network.config
    attention = 12 * config.layers * config.heads * config.head_size * CONTEXT
    assert measure.flops_a_token(network, CONTEXT) == 6 * multiplied + attention
    assert measure.flops_a_token(torch.nn.Linear(3, 5), CONTEXT) == 90


def test_the_configuration_is_free_of_torch():
    import subprocess

    code = "import seedstock.training.configs.training, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_configurations_say_what_is_wrong():
    with pytest.raises(ValueError, match="one of steps, tokens and time, not steps and time"):
        TrainingConfig(steps=3, time="5 min")
    with pytest.raises(ValueError, match="did you mean 'learning_rate'"):
        TrainingConfig(steps=3, optimizer={"kind": "adamw", "learning_rat": 1})
    config = TrainingConfig(steps=400, batch_tokens="2k").resolved(256)
    assert config.batch_examples == 8 and TrainingConfig(tokens="4k", batch_tokens=1).resolved(256).steps == 16
    assert TrainingConfig.model_validate(config.model_dump(mode="json", exclude_none=True)) == config


def test_the_attempt_names_what_the_bits_depend_on(tmp_path):
    small_fit(tmp_path / "run", small_config(steps=1))
    chain = Chain(tmp_path / "run" / "ledger" / "chain.jsonl")
    body = chain.last("attempt")
    assert body["versions"]["torch"] == torch.__version__ and "instructions" in body["versions"]
    assert body["settled"] == {
        "steps": 1,
        "precision": "fp32",
        "compile": False,
        "threads": 1,
        "micro_batch": BATCH,
        "optimizer.precision": "bf16",
    }
    state = checkpoints.read_state(tmp_path / "run" / "checkpoints" / "step-00000001")
    assert state["threads"] == 1 and state["versions"] == body["versions"]
