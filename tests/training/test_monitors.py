"""What can be watched of a run: one stream of events, and every tracker gets the same numbers of it."""

import gzip
import json
import socket
import sys

import pytest
import torch
from small_run import small_config, small_fit
from test_fit import Listener
from test_resume import StopAt, assert_same

from seedstock.errors import Interrupted, RecipeError
from seedstock.training.callbacks.tracker import Tracker
from seedstock.training.callbacks.vitals import Vitals


class Book(Tracker):
    """Keeps what it is sent."""

    name = "book"

    def __init__(self):
        self.rows, self.closed = [], False

    def write(self, numbers, step):
        self.rows += [(name, step, value) for name, value in numbers.items()]

    def close(self):
        self.closed = True


def test_a_tracker_gets_each_reading_and_the_numbers_of_every_event(tmp_path):
    book, listener = Book(), Listener()
    given = {"validate": lambda nets, step: {"bits": step / 10, "text": "no number"}, "reporter": listener}
    config = small_config(steps=6, validate_every=3)
    result = small_fit(tmp_path / "run", config, callbacks=[book, Vitals(2, 100.0)], **given)
    by = {(name, step): value for name, step, value in book.rows}
    losses = [by["training/loss", step] for step in range(1, 7)]
    assert losses == pytest.approx(result.losses, abs=1e-6)
    assert by["validation/bits", 3] == pytest.approx(0.3) and by["validation/bits", 6] == pytest.approx(0.6)
    assert by["vitals/update_norm", 4] > 0 and ("vitals/update_norm", 3) not in by
    assert all(isinstance(value, float | int) for value in by.values()) and book.closed
    assert [event["step"] for event in listener.of("validation")] == [3, 6], "the stream itself goes on"


def test_the_update_norm_is_that_of_the_difference_of_weights(tmp_path):
    class Copies(StopAt):
        name = "copies"

        def __init__(self):
            super().__init__()
            self.found = {}

        def after_step(self, run):
            self.found[run.step] = torch.cat([p.detach().flatten() for p in run.parameters.values()])

    listener, copies = Listener(), Copies()
    small_fit(tmp_path / "run", small_config(steps=5), callbacks=[copies, Vitals(3, 473.0)], reporter=listener)
    third, last = listener.of("vitals")
    assert (third["step"], last["step"]) == (3, 5)
    assert third["update_norm"] == pytest.approx(float((copies.found[3] - copies.found[2]).norm()), rel=1e-4)
    assert third["weight_norm"] == pytest.approx(float(copies.found[3].norm()), rel=1e-5)
    assert third["memory_bytes"] > 2**20 and 0 <= third["waited_share"] < 1
    assert last["watt_hours"] >= third["watt_hours"] > 0 and last["energy"] in ("measured", "estimated")
    assert last["co2_grams"] == pytest.approx(last["watt_hours"] / 1000 * 473, abs=1e-3)


def test_watching_changes_no_bit(tmp_path):
    small_fit(tmp_path / "plain", small_config(steps=8))
    small_fit(tmp_path / "watched", small_config(steps=8, profile=True), callbacks=[Book(), Vitals(2, 100.0)])
    assert_same(tmp_path / "plain", tmp_path / "watched")


@pytest.mark.parametrize("steps", [2, 12])
def test_a_profile_has_the_operators_of_a_few_steps(tmp_path, steps):
    listener = Listener()
    small_fit(tmp_path / "run", small_config(steps=steps, profile=True), reporter=listener)
    (event,) = listener.of("profile")
    folder = tmp_path / "run" / "profile"
    assert event["step"] == min(steps, 8) and len(list(folder.iterdir())) == 2
    (trace,) = folder.glob("trace-*.json.gz")
    names = {one.get("name") for one in json.loads(gzip.decompress(trace.read_bytes()))["traceEvents"]}
    assert "aten::mm" in names
    (table,) = folder.glob("operators-*.txt")
    assert "aten::mm" in table.read_text()


@pytest.mark.parametrize("package", ["wandb", "mlflow"])
def test_a_tracker_that_is_not_installed_is_named(tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(RecipeError, match=r"is not installed") as error:
        small_fit(tmp_path / "run", small_config(callbacks=[{"kind": package}]))
    assert "pip install 'seedstock[track]'" in error.value.fix


def test_mlflow_holds_the_losses_of_both_attempts_in_one_run(tmp_path):
    pytest.importorskip("mlflow", reason="the extra track is not installed")
    config = small_config(steps=6, checkpoint_every=3, callbacks=[{"kind": "mlflow", "experiment": "tests"}])
    with pytest.raises(Interrupted):
        small_fit(tmp_path / "run", config, callbacks=[StopAt(4)])
    rest = small_fit(tmp_path / "run", config, callbacks=[StopAt()])
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=(tmp_path / "run" / "mlflow").as_uri())
    experiment = client.get_experiment_by_name("tests")
    (run,) = client.search_runs([experiment.experiment_id])
    history = {one.step: one.value for one in client.get_metric_history(run.info.run_id, "training/loss")}
    assert sorted(history) == [1, 2, 3, 4, 5, 6] and run.info.run_name == "run"
    assert [history[5], history[6]] == pytest.approx(rest.losses, abs=1e-6)


def test_weights_and_biases_writes_offline_and_nothing_of_the_machine(tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="the extra track is not installed")
    monkeypatch.setattr(socket, "gethostname", lambda: "a-telling-name")
    result = small_fit(tmp_path / "run", small_config(steps=3, callbacks=[{"kind": "wandb"}]))
    (file,) = (tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb")
    data = file.read_bytes()
    assert b"training/loss" in data and str(round(result.losses[-1], 6)).encode() in data
    assert b"a-telling-name" not in data and str(tmp_path).encode() not in data
    assert not list((tmp_path / "run" / "wandb").glob("**/wandb-metadata.json"))
