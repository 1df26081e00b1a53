"""What people see is what the documents hold: nothing in them is read as markup."""

import argparse
import io

import pytest

from seedstock import views
from seedstock.cli import options
from seedstock.cli.console import Console, terminal
from seedstock.corpus import report

ODD = ["list[int] -> a[i]", "[/usr/bin]", "[bold]x", ":warning:", "https://example.org/[a]"]


def nearest(text):
    return {"score": 0.5, "passage": text, "locator": text, "licence": text[:18], "steps": [1]}


@pytest.mark.parametrize("text", ODD)
def test_a_document_is_printed_as_it_is(capsys, monkeypatch, text):
    monkeypatch.setenv("COLUMNS", "200")
    shown = views.passage(text, [nearest(text)])
    options.show(argparse.Namespace(json=False), {}, shown)
    Console().say(shown)
    Console().say(text)
    captured = capsys.readouterr()
    whole = len(text) <= 18  # a licence may be cut off
    assert captured.out.count(text) == 3 + whole
    assert captured.err.count(text) == 4 + whole


@pytest.mark.parametrize("text", ODD)
def test_names_from_data_are_printed_as_they_are_on_any_console(text):
    import rich.console

    counts = {"documents": 1, "bytes": 1}
    group = {text: {"documents": 1, "bytes": 1, "kept_documents": 1, "kept_bytes": 1}}
    summary = {"read": counts, "kept": counts, "changed": counts, "held_out": counts, "quarantine": 0}
    summary |= {"flow": [{"phase": "filter", "step": text, "reason": text, **counts}]}
    summary |= {"by_language": group, "by_licence": group}
    printed = io.StringIO()
    rich.console.Console(file=printed, width=200, emoji=False).print(report.table(summary))
    assert printed.getvalue().count(text) == 4


def test_a_live_bar_prints_what_it_is_told(monkeypatch):
    printed = io.StringIO()
    monkeypatch.setattr("seedstock.cli.console.terminal", lambda **_: _on(printed))
    console = Console()
    console._terminal = True
    with console.bar("[/usr/bin]", 10, "steps") as bar:
        bar.advance(1, text="a[i]")
        bars = bar._progress.make_tasks_table(bar._progress.tasks)
        console.say("list[int] [/usr/bin]")
    assert "list[int] [/usr/bin]" in printed.getvalue()
    drawn = io.StringIO()
    _on(drawn).print(bars)
    assert "[/usr/bin]" in drawn.getvalue() and "a[i]" in drawn.getvalue()


def _on(file):
    made = terminal()
    made.file, made._force_terminal, made.width = file, True, 200
    return made


def test_eighty_columns_are_enough_for_whom_a_step_read():
    import rich.console

    about = {"locator": "a-package==1.0/" + "a_long_name/" * 8 + "one.py", "licence": "MIT AND " * 6 + "MIT"}
    span = {
        "example": 792,
        "start": 0,
        "stop": 257,
        "document": "7ac31bd56ae5dbf821f686934b61b91a",
        "language": "python",
    }
    told = {"question": "step", "step": 100, "on_record": True, "spans": [span | about]}
    printed = io.StringIO()
    rich.console.Console(file=printed, width=80).print(views.answer(told))
    lines = printed.getvalue().splitlines()
    (first,) = (line.split() for line in lines if span["document"] in line)
    assert first[:3] == ["792", "257", span["document"]] and first[-1] == "python"
    assert "".join(line.strip() for line in lines[3:]) == about["locator"]


def test_what_a_step_read_is_counted_in_what_the_run_learns_from():
    import rich.console

    told = {"question": "step", "step": 1, "on_record": True, "spans": []}
    heads = {}
    for unit in ("pictures", "tokens"):
        printed = io.StringIO()
        rich.console.Console(file=printed, width=80).print(views.answer({**told, "unit": unit}))
        heads[unit] = printed.getvalue().split("\n")[1].split()
    assert heads["pictures"][1] == "pictures" and heads["tokens"][1] == "tokens"


def test_a_parity_proof_is_told_without_braces_and_lists():
    near = {"positions": 3, "largest_difference": 1.049e-05, "passed": True}
    report = {"class": "A", "logits": {"text": near}, "greedy": {"tokens": [4, 5], "equal": 1, "passed": False}}
    assert views.parity(report | {"passed": False}).splitlines() == [
        "class: A",
        "logits: text (positions 3, largest difference 1.05e-05, passed)",
        "greedy: equal 1, FAILED",
        "passed: no",
    ]
