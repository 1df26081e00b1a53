"""How the parts of a paper look in Markdown and in HTML: one template says what a paper says, for both."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Protocol

from markupsafe import Markup, escape

_SPECIAL = re.compile(r"([\\`*_\[\]<>|~#])")
_ANCHOR = re.compile(r"[^a-z0-9]+")


class Format(Protocol):
    """The functions that a template calls; each returns text that is not escaped again."""

    sections: list[tuple[str, str]]

    def finalize(self, value: object) -> Markup: ...
    def h2(self, text: str) -> Markup: ...
    def h3(self, text: str) -> Markup: ...
    def p(self, caller: Callable[[], str]) -> Markup: ...
    def code(self, text: object) -> Markup: ...
    def strong(self, text: object) -> Markup: ...
    def link(self, text: str, url: str | None) -> Markup: ...
    def items(self, values: Sequence[object]) -> Markup: ...
    def block(self, language: str, text: str) -> Markup: ...
    def table(
        self, caption: str, head: Sequence[str], rows: Sequence[Sequence[object]], numbers: int = 0
    ) -> Markup: ...


def anchor(text: str) -> str:
    """The id of a heading."""
    return _ANCHOR.sub("-", text.lower()).strip("-")


class Markdown:
    """GitHub's and Hugging Face's Markdown."""

    def __init__(self) -> None:
        self.sections: list[tuple[str, str]] = []

    def finalize(self, value: object) -> Markup:
        """Escapes what Markdown would read as its own signs."""
        if isinstance(value, Markup):
            return value
        text = "" if value is None else " ".join(str(value).split()) or str(value)
        return Markup(_SPECIAL.sub(r"\\\1", text))

    def h2(self, text: str) -> Markup:
        return Markup("\n\n## {}\n\n").format(self.finalize(text))

    def h3(self, text: str) -> Markup:
        return Markup("\n\n### {}\n\n").format(self.finalize(text))

    def p(self, caller: Callable[[], str]) -> Markup:
        return Markup("\n\n" + " ".join(str(caller()).split()) + "\n\n")

    def code(self, text: object) -> Markup:
        return Markup("`" + str(text).replace("`", "'").replace("|", "\\|") + "`")

    def strong(self, text: object) -> Markup:
        return Markup("**{}**").format(self.finalize(text))

    def link(self, text: str, url: str | None) -> Markup:
        if not url:
            return self.finalize(text)
        target = re.sub(r"[\s()<>]", lambda found: f"%{ord(found[0]):02X}", url)
        return Markup("[{}]({})").format(self.finalize(text), Markup(target))

    def items(self, values: Sequence[object]) -> Markup:
        return Markup("\n\n" + "".join(f"- {self.finalize(value)}\n" for value in values) + "\n")

    def block(self, language: str, text: str) -> Markup:
        return Markup(f"\n\n```{language}\n{text.strip()}\n```\n\n")

    def table(self, caption: str, head: Sequence[str], rows: Sequence[Sequence[object]], numbers: int = 0) -> Markup:
        marks = ["---"] * (len(head) - numbers) + ["---:"] * numbers
        lines = [[self.finalize(cell) for cell in row] for row in (head, *rows)]
        lines.insert(1, [Markup(mark) for mark in marks])
        body = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        return Markup(f"\n\n{self.finalize(caption)}:\n\n{body}\n\n")


class Html:
    """HTML; the last ``numbers`` columns of a table are figures. ``sections`` gathers (heading, anchor)."""

    def __init__(self) -> None:
        self.sections: list[tuple[str, str]] = []

    def finalize(self, value: object) -> Markup:
        return escape("" if value is None else value)

    def h2(self, text: str) -> Markup:
        self.sections.append((text, anchor(text)))
        return Markup('\n<h2 id="{}">{}</h2>\n').format(anchor(text), text)

    def h3(self, text: str) -> Markup:
        return Markup('\n<h3 id="{}">{}</h3>\n').format(anchor(text), text)

    def p(self, caller: Callable[[], str]) -> Markup:
        return Markup("<p>" + " ".join(str(caller()).split()) + "</p>\n")

    def code(self, text: object) -> Markup:
        return Markup("<code>{}</code>").format(text)

    def strong(self, text: object) -> Markup:
        return Markup("<strong>{}</strong>").format(text)

    def link(self, text: str, url: str | None) -> Markup:
        if not url or not url.startswith(("https://", "http://", "mailto:", "#")):
            return escape(text)
        return Markup('<a href="{}">{}</a>').format(url, text)

    def items(self, values: Sequence[object]) -> Markup:
        return Markup("<ul>\n{}</ul>\n").format(Markup("").join(Markup("<li>{}</li>\n").format(one) for one in values))

    def block(self, language: str, text: str) -> Markup:
        return Markup('<pre tabindex="0"><code>{}</code></pre>\n').format(text.strip())

    def table(self, caption: str, head: Sequence[str], rows: Sequence[Sequence[object]], numbers: int = 0) -> Markup:
        first = len(head) - numbers

        def line(cells: Sequence[object], tag: str, scope: str) -> Markup:
            parts = []
            for number, cell in enumerate(cells):
                name = "th" if number == 0 and tag == "td" else tag
                kind = Markup(' scope="{}"').format("row" if tag == "td" else scope) if name == "th" else Markup("")
                style = Markup(' class="number"') if number >= first else Markup("")
                parts.append(Markup("<{0}{1}{2}>{3}</{0}>").format(name, kind, style, cell))
            return Markup("<tr>{}</tr>\n").format(Markup("").join(parts))

        body = Markup("").join(line(row, "td", "row") for row in rows)
        return Markup(
            '<div class="wide" role="region" tabindex="0" aria-label="{0}"><table>\n<caption>{0}</caption>\n'
            "<thead>{1}</thead>\n<tbody>{2}</tbody>\n</table></div>\n"
        ).format(caption, line(head, "th", "col"), body)
