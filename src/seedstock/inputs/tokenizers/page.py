"""The report of a tokenizer as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def page(values: dict[str, Any]) -> str:
    """HTML of what ``report`` or ``evaluate`` measured; all text of the corpus in it is escaped."""
    from jinja2 import Environment

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = Path(__file__).with_name("page.html.j2").read_text(encoding="utf-8")
    return environment.from_string(template).render(**values)
