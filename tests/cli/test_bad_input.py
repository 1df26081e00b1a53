"""Bad input gets one message (what, where, what to do), an exit code, and loses nothing."""

import errno
import gzip
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from seedstock.cli import main

TEXT = "".join(f"line {n}: the quick brown fox jumps over {n * n} lazy dogs\n" for n in range(400))
RECIPE = """\
name: tiny
sources: [{name: letters, kind: text, path: letters.txt}]
corpus: {policy: none, dedup: null, held_out: {tail: 10 %}}
mixture: {max_repeats: null}
tokenizer: {kind: bytes}
model: {kind: decoder, context: 32, width: 32, layers: 1, heads: 2, mlp_width: 64}
training: {steps: 4, batch_tokens: 256, precision: fp32, threads: 1, micro_batch: 8, compile: false}
"""


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("letters.txt").write_text(TEXT)
    Path("recipe.yaml").write_text(RECIPE)
    return tmp_path


def failing(capsys, *arguments):
    """The exit code and the message of a command that must fail; nothing half-written may be taken for whole."""
    code = main([*arguments])
    message = capsys.readouterr().err
    assert "Traceback" not in message
    return code, message


def change(old, new):
    assert old in RECIPE
    Path("recipe.yaml").write_text(RECIPE.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "code", "says"),
    [
        ("path: letters.txt", "path: no-such.txt", 3, ["no-such.txt"]),
        ("path: letters.txt", "path: '${NO_SUCH}/letters.txt'", 3, ["NO_SUCH", "set"]),
        ("steps: 4", "stepz: 4", 2, ["recipe.yaml:7", "stepz", "did you mean 'steps'"]),
        ("{kind: bytes}", "{kind: bpe, vocab_size: 32768}", 3, ["vocabulary of 32768", "or less"]),
        ("context: 32", "context: 65536", 3, ["smaller than one window"]),
        ("heads: 2", "heads: 3", 2, ["heads", "recipe.yaml:6"]),
        ("max_repeats: null", "max_repeats: 1", 3, ["max_repeats"]),
    ],
)
def test_a_mistake_is_told_with_what_where_and_what_to_do(capsys, old, new, code, says):
    change(old, new)
    if "max_repeats: 1" in new:
        Path("recipe.yaml").write_text(Path("recipe.yaml").read_text().replace("steps: 4", "steps: 4000"))
    found, message = failing(capsys, "train", "recipe.yaml")
    assert found == code, message
    for words in says:
        assert words in message


def test_an_archive_that_cannot_be_read_and_bytes_that_are_no_text(capsys):
    whole = gzip.compress(json.dumps({"text": TEXT}).encode() + b"\n")
    Path("letters.txt").write_bytes(b"\xff\xfe\x00 not text \x80" * 100)
    assert failing(capsys, "train", "recipe.yaml")[0] == 3
    Path("broken.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    change("kind: text, path: letters.txt", "kind: jsonl, path: broken.jsonl.gz")
    code, message = failing(capsys, "train", "recipe.yaml", "--name", "broken")
    assert code == 3 and "broken.jsonl.gz" in message


def test_an_empty_corpus_says_which_step_dropped_it(capsys):
    change("policy: none", "policy: {licences: {allow: [MIT]}, signals: [{kind: licence}]}")
    code, message = failing(capsys, "train", "recipe.yaml")
    assert code == 3 and "licence" in message


def test_a_run_folder_of_another_recipe_is_left_alone(capsys):
    assert main(["corpus", "recipe.yaml"]) == 0
    change("tokenizer: {kind: bytes}", "tokenizer: {kind: characters}")
    before = Path("runs/tiny/recipe.yaml").read_bytes()
    code, message = failing(capsys, "train", "recipe.yaml")
    assert code == 1 and "belongs to another recipe: tokenizer differ" in message and "--name" in message
    assert Path("runs/tiny/recipe.yaml").read_bytes() == before


def test_a_mended_recipe_goes_on_in_its_run_where_nothing_was_done_yet(capsys):
    change("path: letters.txt", "path: leters.txt")
    code, message = failing(capsys, "corpus", "recipe.yaml")
    assert code == 3 and "mend the path" in message
    Path("recipe.yaml").write_text(RECIPE)
    assert main(["corpus", "recipe.yaml"]) == 0 and main(["corpus", "recipe.yaml"]) == 0
    assert main(["verify", "tiny"]) == 0
    assert "leters.txt" not in Path("runs/tiny/recipe.yaml").read_text()


@pytest.mark.parametrize("command", ["resume", "evaluate", "release", "doctor", "verify", "generate"])
def test_a_run_that_is_not_there_is_answered_with_those_that_are(capsys, command):
    main(["corpus", "recipe.yaml"])
    code, message = failing(capsys, command, "tinny")
    assert code == 1 and "there is no such run" in message and "'tiny'" in message


def test_errors_are_json_where_json_was_asked_for(capsys):
    assert main(["verify", "none", "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["error"] == "there is no such run" and answer["fix"]


@pytest.mark.parametrize("after", [0, 1, 2, 3, 5, 8, 13, 21, 34])
def test_a_full_disk_is_told_and_the_same_command_goes_on(capsys, monkeypatch, after):
    """The disk is full from the ``after``-th write on; then there is room again."""
    real, calls = os.fsync, []

    def full(handle):
        calls.append(handle)
        if len(calls) > after:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", full)
    code, message = failing(capsys, "train", "recipe.yaml")
    assert code == 1 and "No space left on device" in message and "make room" in message, message
    monkeypatch.setattr(os, "fsync", real)
    assert main(["train", "recipe.yaml"]) == 0
    assert main(["verify", "tiny"]) == 0


@pytest.mark.parametrize("seconds", [0.6, 1.2, 2.0, 2.8])
def test_a_killed_run_goes_on_to_the_same_weights(seconds, place, monkeypatch):
    """SIGKILL at some instant of a run; the same command then ends as if nothing had happened."""
    change("steps: 4", "steps: 40, checkpoint_every: 5")
    command = [sys.executable, "-m", "seedstock", "train", "recipe.yaml", "--runs"]
    child = subprocess.Popen([*command, "killed"], stderr=subprocess.DEVNULL)
    time.sleep(seconds)
    child.kill()
    child.wait()
    for runs in ("killed", "whole"):
        assert main(["train", "recipe.yaml", "--runs", runs]) == 0
        assert main(["verify", "tiny", "--runs", runs]) == 0
    one, two = (Path(runs, "tiny/checkpoints/step-00000040/model.safetensors") for runs in ("killed", "whole"))
    assert one.read_bytes() == two.read_bytes()


def test_windows_is_sent_to_wsl(capsys, monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    assert main(["--help"]) == 1
    assert "WSL" in capsys.readouterr().err


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from seedstock.cli import parser; parser().format_help(); "
        "sys.exit(', '.join({'torch', 'numpy', 'pyarrow', 'pydantic', 'rich', 'tokenizers'} & sys.modules.keys()) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_training_without_torch_says_how_to_install_it(capsys, monkeypatch):
    from importlib import util

    monkeypatch.setattr(util, "find_spec", lambda name, *_: None)
    code, message = failing(capsys, "train", "recipe.yaml")
    assert code == 1 and "needs torch" in message and "seedstock demo" in message
