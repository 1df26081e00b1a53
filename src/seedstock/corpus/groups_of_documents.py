"""Which groups a document belongs to, as far as its signals and its source say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedstock.corpus.languages import normalise

if TYPE_CHECKING:
    import pyarrow as pa

UNDETERMINED = "und"
_YEAR = re.compile(r"\b(1[4-9]\d\d|20\d\d)\b")
_VARIETY = re.compile(r"^[A-Za-z]{2,3}([-_][A-Za-z]{4})?[-_]([A-Za-z]{2}|\d{3}|[A-Za-z0-9]{5,8})\b")
_FACTS = r'"(date|page|year|dialect|language|script)": '


def dimensions(folder: Path, part: str, table: pa.Table) -> dict[str, list[str]]:
    """Each row's value in every dimension; empty where it is not known."""
    import pyarrow.compute as pc

    rows = table.num_rows
    found = {name: ["" if one is None else one for one in table[name].to_pylist()] for name in ("source", "domain")}
    found["licence"] = table["licence"].to_pylist()
    identified = _signal(folder, "language", part, "language") or [""] * rows
    if (media := _media(folder, part)) is not None:  # of a label or a caption no language can be told
        identified = ["" if other else one for one, other in zip(identified, media, strict=True)]
    script = _signal(folder, "language", part, "script")
    dialect = _signal(folder, "dialect", part, "dialect")
    telling = pc.fill_null(pc.match_substring_regex(table["meta"], _FACTS), False).to_pylist()
    metas = table["meta"].to_pylist()
    language: list[str] = []
    scripts: list[str] = []
    years: list[str] = []
    dialects: list[str] = []
    for row, own in enumerate(table["language"].to_pylist()):
        meta = json.loads(metas[row]) if telling[row] else {}
        declared = meta.get("language")
        # What was dropped while it was read was never asked for its language.
        language.append(
            own if own and own != UNDETERMINED else normalise(str(declared or "")) or identified[row] or UNDETERMINED
        )
        scripts.append((script[row] if script else "") or str(meta.get("script") or ""))
        years.append(year(meta))
        dialects.append(str(meta.get("dialect") or (dialect[row] if dialect else "") or _variety(declared)))
    return found | {"language": language, "script": scripts, "year": years, "dialect": dialects}


def _media(folder: Path, part: str) -> list[str | None] | None:
    import pyarrow.parquet as pq

    path = folder / "media" / part
    return pq.read_table(path, columns=["media_type"])["media_type"].to_pylist() if path.is_file() else None


def _signal(folder: Path, name: str, part: str, column: str) -> list[str] | None:
    import pyarrow.parquet as pq

    from seedstock.corpus import summary

    path = summary.signal_part(folder, name, part)
    if path is None or column not in pq.read_schema(path).names:
        return None
    return [one or "" for one in pq.read_table(path, columns=[column])[column].to_pylist()]


def year(meta: dict[str, Any]) -> str:
    """The year that a document was written or published in, empty where its source does not say.

    Of a page it is the one that the page gives: the date of the record that it came in is that of the crawl.
    """
    page = meta.get("page")
    known = page.get("date") if isinstance(page, dict) else None
    if known is None and not ({"extract", "record", "page"} & meta.keys()):
        known = meta.get("date", meta.get("year"))
    found = _YEAR.search(str(known or ""))
    return found[1] if found else ""


def _variety(declared: Any) -> str:
    """A declared language tag that says more than a language: ``en-GB``, ``zh-Hant-TW``."""
    return declared if isinstance(declared, str) and _VARIETY.match(declared) else ""
