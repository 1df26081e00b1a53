"""How answers look to people on a terminal: tables and plain lines, from the values that ``--json`` prints."""

from __future__ import annotations

from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

SHOWN = 40  # rows before the rest is counted
MARKS = {"problem": "red", "warning": "yellow", "note": "cyan", "good": "green"}


def table(title: str, *columns: str) -> Table:
    """An empty table with its title at the left."""
    made = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for column in columns:
        name = column.strip(">")
        # An id that is cut off cannot be asked for again; a licence may be a long expression.
        made.add_column(
            name,
            justify="right" if column.endswith(">") else "left",
            no_wrap=name in ("split", "licence", "language"),
            max_width=18 if name == "licence" else None,
            min_width=32 if name == "document" else None,
            overflow="ellipsis" if name == "licence" else "fold",
        )
    return made


def _row(shown: Table, *cells: str) -> None:
    """A row of data: ``a[i]`` and ``[/usr/bin]`` are no markup, whatever console prints them."""
    shown.add_row(*map(Text, cells))


def scores(values: dict[str, Any]) -> Group:
    """Bits per byte of the model beside the floors, in total and by group."""
    if "losses" in values:
        return own_scores(values)
    held = values["held_out"]
    shown = table("bits per byte on held-out text (lower is better)", "predicted by", "bits per byte>", "")
    floors = values.get("floors", {})
    for order, bits in floors.get("orders", {}).items():
        shown.add_row(f"counts of order {order} (Witten-Bell)", f"{bits:.3f}")
    for name, bits in floors.get("xz", {}).items():
        if isinstance(bits, float):
            shown.add_row(f"xz, {name.replace('_', ' ')}", f"{bits:.3f}")
    shown.add_section()
    beats = floors.get("beats_best")
    verdict = {True: "below every count model", False: f"above order {floors.get('best_order')}", None: ""}[beats]
    error = held.get("standard_error")
    spread = f" ± {error:.3f}" if error is not None else ""
    shown.add_row("this model", f"{held['bits_per_byte']:.3f}{spread}", verdict, style="bold")
    parts: list[Any] = [Text(), shown]
    if "nats_per_character" in held:
        parts.append(Text(f"{held['nats_per_character']:.4f} nats a character"))
    return Group(*parts)


def own_scores(values: dict[str, Any]) -> Group:
    """The held-out losses of a model that does not predict the next token, beside the floors."""
    shown = table("on held-out windows", "", "mean>", "")
    for name, value in values["floors"].get("items", {}).items():
        shown.add_row(name, f"{value:.4f}", "without learning")
    for order, one in values["floors"].get("tokens", {}).get("orders", {}).items():
        shown.add_row(f"counts of order {order} (nats a token)", f"{one['nats_per_token']:.4f}", "")
    if "beside" in values["floors"]:  # runs of before do not have it
        shown.add_row(
            "counts of both neighbours (nats a token)", f"{values['floors']['beside']['nats_per_token']:.4f}", ""
        )
    shown.add_section()
    for group in ("losses", "metrics"):
        for name, one in values[group].items():
            if one["mean"] is not None:
                error = one["standard_error"]
                spread = f" ± {error:.4f}" if error is not None else ""
                over = f"over {one['terms']:,} terms" if group == "losses" else ""
                shown.add_row(name, f"{one['mean']:.4f}{spread}", over, style="bold" if group == "losses" else "")
    if bound := values.get("bound"):
        bits, error = bound["bits_per_byte_at_most"], bound["standard_error"] or 0.0
        shown.add_row("bits per byte, at most", f"{bits:.4f} ± {error:.4f}", f"{bound['draws']} draws a window")
    if probes := values.get("probes"):
        shown.add_section()
        for name in ("knn", "linear"):
            own, raw = (f"{probes[what][name]['accuracy']:.1%}" for what in ("features", "raw"))
            shown.add_row(f"{name} probe: class found", own, f"{raw} from raw values")
    tables = [
        draw(values[name]) for name, draw in (("retrieval", retrieval), ("captions", captions)) if values.get(name)
    ]
    return Group(Text(), shown, *(part for one in tables for part in (Text(), one)))


def captions(found: dict[str, Any]) -> Table:
    """What captions were written for held-out pictures, beside those of the training pictures that look most alike."""
    columns = ("pictures>", "exact>", "character error>", "nearest picture: exact>", "its error>")
    shown = table("captions written", "language", *columns)
    for language, one in found.items():
        ways = [one.get(name) for name in ("model", "nearest")]
        cells = [cell for way in ways if way for cell in (f"{way['exact']:.1%}", f"{way['character_error']:.3f}")]
        _row(shown, language, f"{one['pictures']:,}", *cells)
    return shown


def retrieval(found: dict[str, Any]) -> Table:
    """Which picture a caption finds among the held-out ones, by language, beside a linear map from pixels to words."""
    columns = ("pairs>", "by chance>", "R@1>", "R@5>", "R@10>", "linear R@1>", "linear R@10>")
    shown = table("pictures found by their captions", "language", *columns)
    for language, one in found.items():
        linear = one.get("linear", {})
        own = (f"{one['model'][f'picture R@{k}']:.1%}" for k in (1, 5, 10))
        beside = (f"{linear[f'picture R@{k}']:.1%}" if linear else "" for k in (1, 10))
        _row(shown, language, f"{one['pairs']:,}", f"{one['chance']:.1%}", *own, *beside)
    return shown


def answer(result: dict[str, Any]) -> Group | Table:
    """An answer of ``seedstock trace``."""
    return {"step": _step, "document": _documents, "text": _matches}[result["question"]](result)


def _step(result: dict[str, Any]) -> Group:
    spans = result["spans"]
    beyond = "" if result["on_record"] else ", beyond the newest checkpoint"
    beyond += f", skipped ({result['skipped']})" if result.get("skipped") else ""
    shown = table(f"step {result['step']}{beyond}: {len(spans)} spans of documents", *_span(result.get("unit")))
    for span in spans[:SHOWN]:
        _row(shown, f"{span['example']:,}", f"{span['stop'] - span['start']:,}", *_origin(span))
    return Group(shown, _rest(spans))


def _span(unit: str | None = None) -> tuple[str, ...]:
    return "example>", f"{unit or 'tokens'}>", "document", "licence", "language"


def _origin(span: dict[str, Any], *more: str) -> tuple[str, str, str]:
    """A document's id with what else there is to say of it below, so that a terminal of 80 columns has room for all."""
    coarse = f" ({span['provenance']})" if span.get("provenance") else ""
    lines = (span["document"], (span.get("locator") or "forgotten") + coarse, *more)
    return "\n".join(filter(None, lines)), span.get("licence") or "", span.get("language") or ""


def _documents(result: dict[str, Any]) -> Group:
    parts: list[Any] = []
    unit = result.get("unit") or "tokens"
    for entry in result["documents"]:
        decision = entry["decision"]
        why = f" ({decision['phase']}: {decision['reason']})" if decision["reason"] else ""
        shown = table(f"document {entry['document']}", "", "")
        _row(shown, "where", f"{entry['source']}: {entry['locator'] or 'forgotten'}")
        if entry["provenance"]:
            _row(shown, "provenance", f"{entry['provenance']}: a part of a file whose documents are not known")
        _row(shown, "URL", entry["url"] or "none")
        _row(shown, "licence", entry["licence"] or "none declared")
        _row(shown, "decision", f"{decision['decision']}{why}")
        if entry["kept_instead"]:
            shown.add_row("kept instead", entry["kept_instead"])
        for place in entry["occurrences"]:
            shown.add_row("shards", f"{place['split']}, stratum {place['stratum']}: {place['tokens']:,} {unit}")
        shown.add_row("steps", _numbers(entry["steps"]) or "none read it")
        if entry.get("skipped"):
            shown.add_row("skipped steps", _numbers(entry["skipped"]))
        shown.add_row("checkpoints", _numbers(entry["checkpoints"]) or "none learnt it")
        for one in entry["descendants"]:
            shown.add_row(
                "goes on in", f"{one['run']}: its {one['stage']} has {one['parent']}@{one['step']} as a parent"
            )
        parts += [shown, Text()]
    return Group(*parts)


def _matches(result: dict[str, Any]) -> Group:
    matches = result["matches"]
    if not matches:
        return Group(Text("no training or held-out document holds this text"))
    shown = table(f"{len(matches)} places hold this text", "split", "document", "licence", "language")
    for match in matches[:SHOWN]:
        raw = ", ".join(f"{low}-{high}" for low, high in match.get("raw") or [])
        _row(shown, match["split"], *_origin(match, f"raw bytes {raw}" if raw else ""))
    return Group(shown, _rest(matches))


def _rest(rows: list[Any]) -> Text:
    return Text(f"and {len(rows) - SHOWN:,} more: --json prints them all" if len(rows) > SHOWN else "")


def _numbers(numbers: list[int], shown: int = 12) -> str:
    text = ", ".join(f"{number:,}" for number in numbers[:shown])
    return f"{text} and {len(numbers) - shown:,} more" if len(numbers) > shown else text


def findings(found: list[dict[str, Any]]) -> Group:
    """What the doctor found, the worst first."""
    parts: list[Any] = []
    for finding in found:
        line = Text(f"{finding['level']:8}", style=MARKS[finding["level"]])
        line.append(finding["what"], style="default")
        parts.append(line)
        parts += [Text(f"        {finding[key]}") for key in ("evidence", "advice") if finding[key]]
    return Group(*parts)


def plan(figures: str, rows: list[dict[str, Any]] | None, mixture: Any) -> Group:
    """What a recipe will take, and what its mixture comes to where the shards are there."""
    lines = Text(figures)
    if rows is None:
        return Group(lines, Text("\nmixture: known once there are shards (`seedstock tokenize RECIPE`)"))
    return Group(lines, Text(), mixed(rows, mixture.by))


def mixed(rows: list[dict[str, Any]], by: list[str]) -> Table:
    """What is read of each group of a mixture, and how often; with a schedule, the share in each phase."""
    phases = len(rows[0]["phases"]) if rows else 1
    columns = ("stored>", "natural>", "read>", "share>", *(("by phase",) if phases > 1 else ()), "passes>", "cap>")
    shown = table("mixture, in tokens", "/".join(by), *columns)
    for row in rows:
        shares = ", ".join(f"{share:.1%}" for share in row["phases"])
        cells = (f"{row['stored']:,}", f"{row['natural']:.1%}", f"{row['tokens']:,}", f"{row['share']:.1%}")
        more = (shares,) if phases > 1 else ()
        _row(shown, row["group"], *cells, *more, f"{row['passes']:.2f}", str(row["cap"] or "none"))
    return shown


def verified(result: dict[str, Any]) -> str:
    """What ``seedstock verify`` found."""
    lines = [f"{problem['file']}: {problem['what']}" for problem in result["problems"]]
    checked = result["checked"]
    lines += result["notes"]
    counts = f"{checked['files']:,} files, {checked['folders']:,} sealed folders, {checked['records']:,} records"
    if result["problems"]:
        lines.append(f"FAILED: {len(result['problems'])} problems in {counts}")
    else:
        lines.append(f"verified: {counts}; head {result['head']}")
    return "\n".join(lines)


def forgotten(result: dict[str, Any]) -> str:
    """What ``seedstock forget`` did."""
    lines = [f"forgotten: {identity}" for identity in result["asked"]]
    lines += [f"forgotten as its duplicate: {identity}" for identity in result["twins"]]
    lines += [f"rewritten: {folder['folder']}" for folder in result["folders"]]
    for seen in result["seen"]:
        lines.append(
            f"{seen['run']}: {len(seen['steps'])} steps read {seen['document'][:16]}; "
            f"checkpoints that learnt it: {_numbers(seen['checkpoints']) or 'none'}; without it again: "
            f"seedstock resume {seen['run']} --from {seen['resume_from']}"
        )
    for one in result["descendants"]:
        lines.append(f"{one['run']}: its {one['stage']} has {one['parent']}@{one['step']} as a parent, which learnt it")
    return "\n".join([*lines, result["advice"]])


def passage(text: str, near: list[dict[str, Any]]) -> Group:
    """A generated passage, and the training documents nearest to it."""
    parts: list[Any] = [Text(text)]
    if near:
        shown = table("nearest training documents", "shared>", "passage, and where it is", "licence", "read in steps")
        for one in near:
            shared = " ".join(one["passage"].split())
            where = "\n".join(filter(None, (shared if len(shared) <= 48 else shared[:47] + "…", one["locator"])))
            steps = _numbers(one["steps"], 3) or "not yet"
            _row(shown, f"{one['score']:.0%}", where, one["licence"] or "", steps)
        parts += [Text(), shown]
    return Group(*parts)


def exported(ledger: dict[str, Any]) -> str:
    """The shards that were written in another format."""
    lines = [
        f"{pair['name']}.bin, .idx: {pair['documents']:,} documents, {pair['tokens']:,} tokens ({pair['source']}, "
        f"{pair['domain']}, {pair['language']})"
        for pair in ledger["pairs"]
    ]
    return "\n".join([*lines, "read back equal; ledger.json and documents.parquet say what they are of"])


def parity(report: dict[str, Any]) -> str:
    """A parity report in lines: what was compared, how far apart it was, and whether that is near enough."""
    return "\n".join(f"{key.replace('_', ' ')}: {_told(value)}" for key, value in report.items())


def _told(value: Any) -> str:
    """A value of a report for people; lists of numbers are for ``--json``."""
    if isinstance(value, dict):
        verdict = {True: ["passed"], False: ["FAILED"]}.get(value.get("passed"), [])  # type: ignore[arg-type]
        rest = {key.replace("_", " "): one for key, one in value.items() if key != "passed" and type(one) is not list}
        inner = [
            f"{key} ({_told(one)})" if isinstance(one, dict) else f"{key} {_told(one)}" for key, one in rest.items()
        ]
        return ", ".join([*inner, *verdict])
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
