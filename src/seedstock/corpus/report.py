"""What became of the documents, for people: a page (``report.html``) and a table for the terminal.

Both are made from the keys of :func:`seedstock.corpus.summary.summarise`; the page also shows short samples, read from
the corpus folder when it is written, with personal data and secrets taken out. After a document is erased, writing
the page again erases it there.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedstock.corpus.audit import DIMENSIONS
from seedstock.corpus.summary import summarise

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["summarise", "table", "write_report"]

GROUPS = {"by_source": "Source", "by_domain": "Domain", "by_language": "Language", "by_licence": "Licence"}
LISTED = 12  # languages, and licences, on a terminal
SHOWN = 25  # rows of a group before the rest is added up


def write_report(folder: Path, summary: dict[str, Any]) -> None:
    """Writes ``report.html`` of a corpus folder, one file without anything from elsewhere."""
    from jinja2 import Environment, StrictUndefined

    from seedstock.corpus import quarantined, samples
    from seedstock.ledger.files import write_text

    folder = Path(folder)
    drawn = samples.draw(folder)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(size=size, number=number, percent=percent, step=step_name)
    template = environment.from_string(Path(__file__).with_name("report.html.j2").read_text(encoding="utf-8"))
    flow = [{**row, "samples": drawn.get((row["phase"], row["step"], row["reason"]), [])} for row in summary["flow"]]
    clusters = samples.largest_clusters(folder, summary["duplicates"]["largest"])
    groups = [(title, _shown(summary[key])) for key, title in GROUPS.items()]
    audit = summary.get("audit")
    page = template.render(
        summary=summary,
        flow=flow,
        kept=drawn.get(samples.KEPT, []),
        clusters=clusters,
        pairs=samples.pairs(folder),
        sizes=sorted((int(size), count) for size, count in summary["duplicates"]["sizes"].items()),
        groups=groups,
        audit=audit,
        flags=[_flag(flag, audit) for flag in audit["flags"]] if audit else [],
        charts=[_chart(column) for column in summary.get("measured", ())],
        selection=[_in_order(step) for step in summary.get("select", [])],
        media=_most(summary.get("media", {})),
        extraction=_most(summary.get("extraction", {})),
        dimensions=[(name, audit["by"][name]) for name in DIMENSIONS if name in audit["by"]] if audit else [],
        machine=[(by, _most(audit["machine"].get(f"by_{by}", {}))) for by in ("domain", "year")]
        if audit and "machine" in audit
        else [],
        quarantine=quarantined.by_reason(folder / "quarantine.jsonl"),
    )
    write_text(folder / "report.html", page)


def _most(groups: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The most documents first, as they were before JSON put the names in order."""
    return dict(sorted(groups.items(), key=lambda item: (-item[1]["documents"], item[0])))


def _in_order(step: dict[str, Any]) -> dict[str, Any]:
    return {**step, **{name: _most(step[name]) for name in step if name.startswith("by_")}}


def _chart(column: dict[str, Any]) -> dict[str, Any]:
    """What the page shows of one column that rules look at."""
    from markupsafe import Markup

    from seedstock.corpus.charts import histogram, short

    read, here = sum(column["read"]), sum(column["here"])
    if column["type"] == "value":
        read, here = read + column["others"]["read"], here + column["others"]["here"]
    axis = " (logarithmic axis)" if column["scale"] == "log" else ""
    title = f"{column['column']}{axis}: its rules dropped {number(here)} of {number(read)} documents"
    edges = column["edges"]
    number_ = column["type"] == "number"
    names = [f"{short(low)} to {short(high)}" for low, high in pairwise(edges)] if number_ else list(map(str, edges))
    counts = zip(names, column["read"], column["kept"], column["here"], strict=True)
    return {
        **column,
        "title": title,
        "svg": Markup(histogram(column, title)),
        "reasons": list(dict.fromkeys(rule["reason"] for rule in column["rules"])),
        "languages": sum(len(rule.get("by_language") or ()) for rule in column["rules"]),
        "numbers": [row for row in counts if row[1]],
    }


def step_name(step: dict[str, Any]) -> str:
    """``filter: gopher.words (almost empty)``."""
    reason = f" ({step['reason']})" if step["reason"] else ""
    return f"{step['phase']}: {step['step']}{reason}"


def _flag(flag: dict[str, Any], audit: dict[str, Any]) -> dict[str, Any]:
    return {**flag, "at": "all steps" if flag["step"] is None else step_name(audit["steps"][flag["step"]])}


def percent(value: float) -> str:
    """``92.3 %``; as many digits as a share near nothing or all needs."""
    digits = 1 if 0.001 <= value <= 0.999 or value in (0, 1) else 3
    return f"{100 * value:.{digits}f} %"


def table(summary: dict[str, Any]) -> RenderableType:
    """A summary for the terminal: what was read, what was dropped and why, and what is left by language and licence."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    flow = Table(title="documents, from read to kept", title_justify="left")
    for column in ("phase", "step", "reason"):
        flow.add_column(column)
    for column in ("documents", "bytes"):
        flow.add_column(column, justify="right")
    flow.add_row("read", "", "", *_numbers(summary["read"]))
    for row in summary["flow"]:
        names = (f"− {row['phase']}", row["step"], row["reason"])
        flow.add_row(*map(Text, names), *_numbers(row))  # a name may hold what looks like markup
    flow.add_section()
    flow.add_row("= kept", "", _notes(summary), *_numbers(summary["kept"]), style="bold")

    kept = Table(title="kept, by language and licence", title_justify="left")
    for column in ("", "name"):
        kept.add_column(column)
    for column in ("documents", "bytes"):
        kept.add_column(column, justify="right")
    for key in ("by_language", "by_licence"):
        found = [(name, counts) for name, counts in _ranked(summary[key]) if counts["kept_documents"]]
        for name, counts in found[:LISTED]:
            shown = {"documents": counts["kept_documents"], "bytes": counts["kept_bytes"]}
            kept.add_row(GROUPS[key].lower(), Text(name), *_numbers(shown))
        if rest := [counts for _, counts in found[LISTED:]]:
            shown = {name: sum(one[f"kept_{name}"] for one in rest) for name in ("documents", "bytes")}
            kept.add_row(GROUPS[key].lower(), f"{len(rest)} more", *_numbers(shown))
        kept.add_section()
    return Group(flow, kept)


def _notes(summary: dict[str, Any]) -> str:
    notes = [
        f"{number(summary['changed']['documents'])} changed",
        f"{number(summary['held_out']['documents'])} held out",
    ]
    if summary["quarantine"]:
        notes.append(f"{number(summary['quarantine'])} unreadable, in quarantine")
    return ", ".join(notes)


def _numbers(counts: dict[str, int]) -> tuple[str, str]:
    return number(counts["documents"]), size(counts["bytes"])


def _ranked(groups: dict[str, dict[str, int]]) -> list[tuple[str, dict[str, int]]]:
    """The most kept bytes first; a summary that was read from JSON has its names in alphabetical order."""
    listed = [(name or "none", counts) for name, counts in groups.items()]
    return sorted(listed, key=lambda item: (-item[1]["kept_bytes"], -item[1]["bytes"], item[0]))


def _shown(groups: dict[str, dict[str, int]]) -> list[tuple[str, dict[str, int]]]:
    """The largest groups, and the rest added up."""
    listed = _ranked(groups)
    rest = [counts for _, counts in listed[SHOWN:]]
    if not rest:
        return listed
    together = {key: sum(counts[key] for counts in rest) for key in rest[0]}
    return [*listed[:SHOWN], (f"{len(rest)} others", together)]


def number(value: int) -> str:
    """``12,345``."""
    return f"{value:,}"


def size(value: float) -> str:
    """Bytes in decimal units: ``24.0 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
