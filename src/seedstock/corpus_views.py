"""How a look at a corpus recipe, and the difference of two corpora, are shown on a terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from seedstock.corpus.report import number, size

SHOWN = 12  # rows of a table before the rest is left to --json
EXCERPT = 160  # characters of an example


def _table(title: str, *columns: str) -> Table:
    made = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for column in columns:
        name = column.strip(">")
        made.add_column(name, justify="right" if column.endswith(">") else "left", overflow="fold")
    return made


def _row(shown: Table, *cells: str) -> None:
    shown.add_row(*map(Text, cells))  # what a document says is no markup


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"


def _interval(entry: dict[str, Any]) -> str:
    if entry["share"] is None:
        return "in the sample"
    low, high = entry["interval"]
    return f"{100 * low:.1f}–{100 * high:.1f} %"


def previewed(values: dict[str, Any]) -> Group:
    """What the steps would do, with examples of what would go and of what would change."""
    sources = _table("drawn from", "source", "documents>", "partitions>", "read>", "there may be>")
    for source in values["sources"]:
        drawn = f"{source['drawn_partitions']} of {source['partitions']}"
        about = number(source["estimated_documents"])
        _row(sources, source["source"], number(source["documents"]), drawn, size(source["read_bytes"]), about)
    title = f"what would become of {number(values['documents'])} documents (estimates are for all, 95 % interval)"
    flow = _table(title, "phase", "step", "reason", "drawn>", "share>", "interval", "of bytes>")
    for row in values["flow"]:
        numbers = (number(row["documents"]), _percent(row["share"]), _interval(row), _percent(row["byte_share"]))
        _row(flow, row["phase"], row["step"], row["reason"], *numbers)
    flow.add_section()
    kept = values["kept"]
    numbers = (number(kept["documents"]), _percent(kept["share"]), _interval(kept), _percent(kept["byte_share"]))
    _row(flow, "kept", "", "", *numbers)
    parts: list[Any] = [sources, Text(), flow]
    if values["unreadable"]["documents"]:
        lost = _table("could not be read", "source", "step", "reason", "drawn>")
        for reason in values["unreadable"]["reasons"][:SHOWN]:
            _row(lost, reason["source"], reason["step"], reason["reason"], number(reason["count"]))
        parts += [Text(), lost]
    for row in values["flow"]:
        if row["samples"]:
            parts += [Text(), Text(f"{row['phase']}: {row['reason'] or row['step']}", style="bold")]
            parts += [_example(sample) for sample in row["samples"][:2]]
    for edit in values["edits"]:
        where = f"in {number(edit['documents'])} documents"
        share = "" if edit["share"] is None else f", {_percent(edit['share'])} of all ({_interval(edit)})"
        parts += [Text(), Text(f"{edit['kind']}: {number(edit['edits'])} changes {where}{share}", style="bold")]
        for shown in edit["examples"]:
            line = Text(f"  … {shown['before']} ")
            line.append(shown["removed"], style="strike dim").append(f" → {shown['replacement'] or 'nothing'}", "green")
            parts.append(line.append(f" {shown['after']} …"))
    parts += [Text(), *(Text(f"note: {note}", style="dim") for note in values["notes"])]
    return Group(*parts)


def _example(sample: dict[str, Any]) -> Text:
    excerpt = " ".join(sample["excerpt"].split())
    shown = excerpt[:EXCERPT] + ("…" if len(excerpt) > EXCERPT else "")
    return Text(f"  {sample['source']}: {sample['locator']} ({size(sample['bytes'])})\n    ").append(shown, "dim")


def compared(values: dict[str, Any]) -> Group:
    """How two corpora differ."""
    parts: list[Any] = [_sides(values)]
    if values["matched_by"] == "text":
        parts.append(Text("made under different keys: documents are matched by their texts", style="dim"))
    if values["settings"]:
        asked = _table("what they were asked to be", "", "A", "B")
        new = {entry["key"] for entry in values["settings"] if None in (entry["a"], entry["b"])}
        told = [entry for entry in values["settings"] if entry["key"].rpartition(": ")[0] not in new]
        for entry in told[: 3 * SHOWN]:
            _row(asked, entry["key"], _value(entry["a"]), _value(entry["b"]))
        if len(told) > 3 * SHOWN:
            _row(asked, f"{len(told) - 3 * SHOWN} more: --json", "", "")
        parts += [Text(), asked]
    if values["decisions"]:
        changed = _table("decisions that differ", "A", "B", "documents>", "bytes>")
        for entry in values["decisions"][:SHOWN]:
            _row(changed, _why(entry["a"]), _why(entry["b"]), number(entry["documents"]), size(entry["b_bytes"]))
        parts += [Text(), changed]
        for entry in values["decisions"][:SHOWN]:
            if entry["samples"]:
                parts += [Text(), Text(f"{_why(entry['a'])} → {_why(entry['b'])}", style="bold")]
                parts += [_example(sample) for sample in entry["samples"][:2]]
    for side, name in (("only_a", "only in A"), ("only_b", "only in B")):
        if values[side]["samples"]:
            parts += [Text(), Text(name, style="bold"), *(_example(sample) for sample in values[side]["samples"][:2])]
    for about, rows in values["by"].items():
        moved = [row for row in rows if row["a"] != row["b"]]
        if moved:
            shown = _table(f"kept, by {about}", about, "A>", "B>", "bytes A>", "bytes B>")
            for row in moved[:SHOWN]:
                counts = [number(row[side]["kept_documents"]) for side in "ab"]
                _row(shown, row["name"] or "unknown", *counts, *(size(row[side]["kept_bytes"]) for side in "ab"))
            if len(moved) > SHOWN:
                _row(shown, f"{len(moved) - SHOWN} more: --json", "", "", "", "")
            parts += [Text(), shown]
    if not (values["settings"] or values["decisions"] or values["splits"] or _moved(values)):
        parts += [Text(), Text("They hold the same documents, decided alike.")]
    return Group(*parts)


def _moved(values: dict[str, Any]) -> int:
    return values["only_a"]["documents"] + values["only_b"]["documents"] + values["texts"]


def _sides(values: dict[str, Any]) -> Table:
    shown = _table("", "", "A>", "B>", "only in A>", "only in B>")
    for about, label in (("documents", "read"), ("kept_documents", "kept")):
        _row(shown, label, *(number(values[side][about]) for side in ("a", "b", "only_a", "only_b")))
    for about, label in (("bytes", "bytes read"), ("kept_bytes", "bytes kept")):
        _row(shown, label, *(size(values[side][about]) for side in ("a", "b", "only_a", "only_b")))
    changed = sum(entry["documents"] for entry in values["decisions"])
    lost, gained = (
        sum(e["documents"] for e in values["decisions"] if e[one]["decision"] != "dropped" == e[other]["decision"])
        for one, other in ("ab", "ba")
    )
    moved = sum(entry["documents"] for entry in values["splits"])
    _row(shown, "in both", number(values["both"]), "", "", "")
    _row(shown, "decided otherwise", number(changed), "", "", "")
    _row(shown, "  kept in A, dropped in B", number(lost), "", "", "")
    _row(shown, "  dropped in A, kept in B", number(gained), "", "", "")
    _row(shown, "with another text", number(values["texts"]), "", "", "")
    _row(shown, "in another split", number(moved), "", "", "")
    return shown


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "–" if value is None else str(value)


def _why(why: dict[str, str]) -> str:
    if not why["phase"]:
        return why["decision"]
    return f"{why['phase']}: {why['reason'] or why['step']}"
