"""A run that was cut off goes on bit for bit: train 20 = train 10 + resume 10, after a stop or a kill."""

import multiprocessing
import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from small_run import SmallLoader, small_config, small_fit, small_network

from seedstock.errors import IntegrityError, Interrupted, RecipeError, SeedstockError
from seedstock.ledger import manifest
from seedstock.ledger.chain import Chain
from seedstock.progress import Silent
from seedstock.training.callbacks.base import Callback
from seedstock.training.checkpoint import folder as checkpoints
from seedstock.training.state import load_weights


class Listener(Silent):
    """Keeps what it is told."""

    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)


class StopAt(Callback):
    """Asks for a stop as a signal would, at one step; counts the steps it saw."""

    name = "stop_at"

    def __init__(self, step=None, signals=False):
        self.step, self.signals, self.seen = step, signals, 0

    def after_step(self, run):
        self.seen += 1
        if run.step == self.step:
            if self.signals:
                os.kill(os.getpid(), signal.SIGTERM)
            else:
                run.stop.request("asked to stop")

    def state(self):
        return {"seen": self.seen}

    def restore(self, state):
        self.seen = state["seen"]


def everything(folder: Path):
    """Every tensor of a run's newest checkpoint, and the digest of what was fed."""
    newest = checkpoints.newest(folder / "checkpoints")
    found = {
        f"{path.stem}.{name}": tensor
        for path in sorted(newest.glob("*.safetensors"))
        for name, tensor in load_file(path).items()
    }
    return found, checkpoints.read_state(newest)


def assert_same(a: Path, b: Path):
    (tensors, state), (others, other) = everything(a), everything(b)
    assert tensors.keys() == others.keys()
    for name, tensor in tensors.items():
        assert tensor.dtype == others[name].dtype and torch.equal(tensor, others[name]), name
    for key in ("step", "example", "tokens", "digest", "optimizer"):
        assert state[key] == other[key], key


OPTIMIZERS = {"adamw": {"kind": "adamw"}, "muon": {"kind": "muon", "precision": "bf16"}}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_train_20_is_train_10_and_resume_10(tmp_path, optimizer, precision):
    options = {"steps": 20, "checkpoint_every": 8, "ema": 0.9, "precision": precision, "micro_batch": 4}
    config = small_config(optimizer=OPTIMIZERS[optimizer], **options)
    whole = small_fit(tmp_path / "whole", config, callbacks=[StopAt()])
    with pytest.raises(Interrupted, match="after step 10 of 20; the state is saved"):
        small_fit(tmp_path / "cut", config, callbacks=[StopAt(10)])
    assert checkpoints.newest(tmp_path / "cut" / "checkpoints").name == "step-00000010"
    counter = StopAt()
    rest = small_fit(tmp_path / "cut", config, callbacks=[counter])
    assert_same(tmp_path / "whole", tmp_path / "cut")
    assert whole.losses[10:] == rest.losses and whole.digest == rest.digest
    assert counter.seen == 20, "a callback's state is part of the checkpoint"
    assert rest.attempt == 2
    kinds = [record["kind"] for record in Chain(tmp_path / "cut" / "ledger" / "chain.jsonl").records]
    assert kinds == ["attempt", "checkpoint", "checkpoint", "attempt", "checkpoint", "checkpoint"]


def test_the_resumed_weights_are_those_that_are_loaded(tmp_path):
    network = small_network()
    small_fit(tmp_path / "run", small_config(steps=4, ema=0.5), network)
    newest = checkpoints.newest(tmp_path / "run" / "checkpoints")
    other = small_network()
    assert load_weights(newest, other, average=False) == 4
    for (name, a), b in zip(network.named_parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b), name
    load_weights(newest, other)
    assert any(not torch.equal(a, b) for a, b in zip(network.parameters(), other.parameters(), strict=True))
    path = newest / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match=r"model\.safetensors") as error:
        load_weights(newest, other)
    assert "remove that folder, then `seedstock resume run`" in error.value.fix


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_at_the_end_of_the_step_and_says_how_to_go_on(tmp_path, number):
    class Send(Callback):
        def read(self, run, readings):
            if run.step == 3:
                os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    with pytest.raises(Interrupted) as error:
        small_fit(tmp_path / "name", small_config(), callbacks=[Send()])
    assert "seedstock resume name" in str(error.value) and error.value.code == 75
    assert signal.getsignal(number) is before
    assert checkpoints.newest(tmp_path / "name" / "checkpoints").name == "step-00000003"


@pytest.mark.parametrize("when", ["after_step", "finish"])
def test_a_signal_in_the_last_step_is_not_lost(tmp_path, when):
    def send(self, run):
        if run.step == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted, match="training is finished and saved, evaluation comes next"):
        small_fit(tmp_path / "run", small_config(steps=4), callbacks=[type("Send", (Callback,), {when: send})()])
    done = small_fit(tmp_path / "run", small_config(steps=4))
    assert done.step == 4 and done.losses == []


STEPS = 100  # more than the machine can do in the time that the kills leave it


def train_alone(folder):
    torch.set_num_threads(1)
    small_fit(folder, small_config(steps=STEPS, checkpoint_every=2, ema=0.9))


def test_killed_at_random_instants_it_ends_as_if_it_had_not_been(tmp_path):
    """Saves take most of such a run's time, so most kills hit one."""
    folder, chain = tmp_path / "killed", tmp_path / "killed" / "ledger" / "chain.jsonl"
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["seedstock.training.fit"])  # torch is imported once for all
    chance = random.Random(5)
    for _ in range(3):
        known = len(Chain(chain).records)
        process = context.Process(target=train_alone, args=(folder,))
        process.start()
        while process.is_alive() and len(Chain(chain).records) <= known + 2:
            time.sleep(0.001)
        time.sleep(chance.random() * 0.05)
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
    last = context.Process(target=train_alone, args=(folder,))
    last.start()
    last.join()
    assert last.exitcode == 0
    assert not list((folder / "checkpoints").glob(".*")), "nothing half-written is left"
    assert [body["attempt"] for body in Chain(chain).of("attempt")] == [1, 2, 3, 4]
    small_fit(tmp_path / "whole", small_config(steps=STEPS, checkpoint_every=STEPS, ema=0.9))
    assert_same(tmp_path / "whole", folder)


def test_a_damaged_newest_checkpoint_is_passed_over(tmp_path):
    config = small_config(steps=20, checkpoint_every=5)
    small_fit(tmp_path / "whole", config)
    with pytest.raises(Interrupted):
        small_fit(tmp_path / "cut", config, callbacks=[StopAt(12)])
    victim = tmp_path / "cut" / "checkpoints" / "step-00000012" / "optimizer.safetensors"
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 4
    victim.write_bytes(data)
    listener = Listener()
    small_fit(tmp_path / "cut", config, reporter=listener)
    assert any("step-00000012 is damaged" in text and "optimizer.safetensors" in text for text in listener.said)
    assert any("going on from step-00000010" in text for text in listener.said)
    assert_same(tmp_path / "whole", tmp_path / "cut")
    assert not victim.parent.exists() or manifest.problems(victim.parent)


def test_a_checkpoint_whose_record_was_not_yet_written_counts(tmp_path):
    """A kill between the checkpoint's rename and its record in the chain."""
    config = small_config(steps=10, checkpoint_every=5)
    small_fit(tmp_path / "whole", config)
    with pytest.raises(Interrupted):
        small_fit(tmp_path / "cut", config, callbacks=[StopAt(5)])
    path = tmp_path / "cut" / "ledger" / "chain.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    small_fit(tmp_path / "cut", config)
    assert_same(tmp_path / "whole", tmp_path / "cut")
    assert [body["step"] for body in Chain(path).of("checkpoint")] == [5, 8, 10]


def test_a_finished_run_is_left_alone(tmp_path):
    done = small_fit(tmp_path / "run")
    again = small_fit(tmp_path / "run", loader=SmallLoader())
    assert again.step == 20 and again.losses == [] and again.digest == done.digest
    assert again.resumed_at_end and not done.resumed_at_end
    assert again.mfu == pytest.approx(done.mfu, rel=0.01) and done.mfu > 0, "figures are those of the run"
    assert again.tokens_per_second == pytest.approx(done.tokens_per_second, rel=0.01)
    assert len(Chain(tmp_path / "run" / "ledger" / "chain.jsonl").records) == 6


def test_another_recipes_checkpoints_are_refused(tmp_path):
    small_fit(tmp_path / "run", small_config(steps=4))
    with pytest.raises(IntegrityError, match="seed 1, not 2"):
        small_fit(tmp_path / "run", small_config(steps=8), seed=2)
    with pytest.raises(IntegrityError, match="has shape"):
        small_fit(tmp_path / "run", small_config(steps=8), small_network(width=64))
    with pytest.raises(IntegrityError, match="average of the weights"):
        small_fit(tmp_path / "run", small_config(steps=8, ema=0.9))
    with pytest.raises(IntegrityError, match="optimizer is muon, not adamw"):
        small_fit(tmp_path / "run", small_config(steps=8, optimizer={"kind": "adamw"}))
    with pytest.raises(RecipeError, match="beyond the 2 of the recipe") as error:
        small_fit(tmp_path / "run", small_config(steps=2))
    assert "--name" in error.value.fix


def test_a_checkpoint_of_another_recipe_or_plan_is_refused_wherever_it_came_from(tmp_path):
    """Same shapes, seed and optimizer: only the identity tells them apart, and the chain does not know the folder."""
    for name, batches in (("ours", 4), ("theirs", 8)):
        small_fit(tmp_path / name, small_config(steps=batches, checkpoint_every=4), identity=name)
    moved = tmp_path / "ours" / "checkpoints" / "step-00000008"
    shutil.copytree(tmp_path / "theirs" / "checkpoints" / "step-00000008", moved)
    with pytest.raises(IntegrityError, match=r"step-00000008: the checkpoints belong to another recipe") as error:
        small_fit(tmp_path / "ours", small_config(steps=12), identity="ours")
    assert "`seedstock resume ours`" in error.value.fix
    shutil.rmtree(moved)
    assert small_fit(tmp_path / "ours", small_config(steps=12), identity="ours").step == 12


def test_another_version_of_a_package_is_named_on_resume(tmp_path):
    listener = Listener()

    def versioned(version):
        one = {"package": "seedstock", "version": "1", "sha256": "ab" * 32}
        return {"objective odd": {"package": "oddities", "version": version, "sha256": "cd" * 32}, "model decoder": one}

    with pytest.raises(Interrupted):
        small_fit(tmp_path / "run", small_config(steps=6), callbacks=[StopAt(2)], providers=versioned("1.0"))
    with pytest.raises(Interrupted):
        small_fit(tmp_path / "run", small_config(steps=6), callbacks=[StopAt(4)], providers=versioned("1.0"))
    small_fit(tmp_path / "run", small_config(steps=6), providers=versioned("1.1"), reporter=listener)
    told = "; not bit for bit, since objective odd oddities 1.0 (cdcdcdcd) → oddities 1.1 (cdcdcdcd)"
    assert listener.said == [f"going on from step-00000004{told}"]
    attempts = list(Chain(tmp_path / "run" / "ledger" / "chain.jsonl").of("attempt"))
    assert [body["providers"]["objective odd"]["version"] for body in attempts] == ["1.0", "1.0", "1.1"]


def test_two_processes_do_not_train_one_run(tmp_path):
    class Second(Callback):
        def after_step(self, run):
            if run.step == 1:
                with pytest.raises(SeedstockError, match="another process is training this run"):
                    small_fit(tmp_path / "run")

    small_fit(tmp_path / "run", small_config(steps=2), callbacks=[Second()])
