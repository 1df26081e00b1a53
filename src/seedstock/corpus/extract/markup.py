"""One pass over the markup of a page: its elements, and its lines of text with their places in the source.

This is no full HTML5 tree builder. It keeps what telling content from navigation needs (which blocks a line stands in,
which of its characters are links), and where in the source every character stands, which tree builders throw away. The
time is linear in the page whatever it holds: every pattern is possessive, and what never ends is cut off beforehand.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_INLINE = (
    "a abbr acronym b basefont bdi bdo big blink cite code data del dfn em font i ins kbd mark nobr q rb rp rt ruby "
    "s samp small span strike strong sub sup time tt u var wbr label amp-img img picture source"
)
INLINE = frozenset(_INLINE.split())
_VOID = "area base basefont bgsound col embed frame hr img input link meta param source track wbr br"
VOID = frozenset(_VOID.split())
_OPAQUE = (
    "script style noscript template svg math iframe object select datalist textarea canvas audio video map head "
    "noembed noframes title"
)
OPAQUE = frozenset(_OPAQUE.split())
"""Elements whose content is no text of the page."""
CLOSED_BY = {
    "li": frozenset({"li"}),
    "dt": frozenset({"dt", "dd"}),
    "dd": frozenset({"dt", "dd"}),
    "tr": frozenset({"tr", "td", "th"}),
    "td": frozenset({"td", "th"}),
    "th": frozenset({"td", "th"}),
    "tbody": frozenset({"tr", "td", "th", "thead", "tbody"}),
    "option": frozenset({"option"}),
}
"""Which open elements an opening tag ends where they are the innermost."""
RAW = frozenset({"script", "style", "title", "textarea"})
SKIPPED, LINK, HIDDEN, BREAK, EMPTY, ROOT, BLOCK = range(7)
KINDS = {
    **dict.fromkeys(VOID, EMPTY),
    **dict.fromkeys(INLINE, SKIPPED),
    **dict.fromkeys(OPAQUE, HIDDEN),
    "a": LINK,
    "br": BREAK,
    "html": ROOT,
    "body": ROOT,
    **dict.fromkeys(("div", "p", "li", "ul", "h1", "h2", "h3", "section", "article", "td", "tr", "table"), BLOCK),
}
FENCE = frozenset({"table", "ul", "ol", "dl", "body", "html"})
PASSES = frozenset({"div", "section", "article", "main"})
"""Closing tags that end what a fence holds open."""
DEEPEST = 512  # elements inside one another, as in browsers; deeper ones count as their 512th ancestor

TAG = re.compile(
    r"<(?:(/?)([a-zA-Z][a-zA-Z0-9:_.-]*+)((?:[^>=]++|=\s*+(?:\"[^\"]*+\"|'[^']*+')?+)*+)>"
    r"|!--(?:-?>|.*?--!?>)|[!?/][^>]*+>)",
    re.S,
)
CLOSING = {name: re.compile(f"</{name}(?=[\\s/>])", re.I | re.A) for name in OPAQUE}
NAMED = re.compile(r"(?:^|\s)(?:class|id|role|itemprop)\s*=\s*(\"[^\"]*\"|'[^']*'|[^\s\"'>]+)", re.I)


@dataclass(slots=True)
class Line:
    """Text without a block boundary in it: its runs in the source, its block, and how many characters are links."""

    node: int
    runs: list[tuple[int, int]]
    chars: int
    linked: int
    links: int
    after_break: bool


@dataclass(slots=True)
class Page:
    """The blocks of a page in the order of their opening tags, and its lines; block 0 is the document.

    ``tags``, ``names`` (class, id, role and itemprop together), ``parents``, ``first`` and ``last`` (its lines are
    ``lines[first:last]``) have an entry a block.
    """

    source: str
    tags: list[str] = field(default_factory=lambda: ["html"])
    names: list[str] = field(default_factory=lambda: [""])
    parents: list[int] = field(default_factory=lambda: [-1])
    first: list[int] = field(default_factory=lambda: [0])
    last: list[int] = field(default_factory=lambda: [-1])
    lines: list[Line] = field(default_factory=list)
    head: tuple[int, int] = (0, 0)


def parse(source: str) -> Page:
    """The page of some HTML. Never fails: whatever the markup, text stays text."""
    from seedstock.corpus.extract import markup_native

    native = markup_native.read(source, source.encode("utf-8", "surrogatepass"))
    return native.page if native else parse_plainly(source)


def parse_plainly(source: str) -> Page:
    """``parse`` in Python: the reference of the compiled pass."""
    page, end = Page(source), len(source)
    # A comment that nothing ends hides the rest of the page; no tag begins after the last ">".
    open_comment = source.find("<!--", max(0, source.rfind("-->")))
    if open_comment >= 0:
        end = open_comment
    last = source.rfind(">", 0, end) + 1
    tags, names, parents, lines = page.tags, page.names, page.parents, page.lines
    tags_open = set()
    search = TAG.search
    stack = [0]
    runs: list[tuple[int, int]] = []
    chars = linked = links = 0
    link = after_break = False
    known: dict[str, str] = {}
    at = 0
    endless: set[str] = set()  # opaque elements that nothing closes from here on

    while at < last:
        match = search(source, at, last)
        if match is None:
            break
        begin, stop = match.span()
        if begin > at:
            # Whitespace counts once a line has begun: it may be what parts two words.
            if runs:
                runs.append((at, begin))
                chars += begin - at
                if link:
                    linked += begin - at
            elif not source[at:begin].isspace():
                runs.append((at, begin))
                chars = begin - at
                linked = chars if link else 0
        at = stop
        closing, name, attributes = match.groups()
        if name is None:
            continue
        kind = KINDS.get(name)
        if kind is None:
            name = name.lower()
            kind = KINDS.get(name, BLOCK)
        if kind == SKIPPED:
            continue
        if kind == LINK:
            links += not closing
            link = not closing
            continue
        if kind == HIDDEN:
            name = name.lower()
            if closing or name in endless or (attributes.endswith("/") and name not in RAW):
                continue
            found = CLOSING[name].search(source, stop)
            if found:
                if name == "head" and not page.head[1]:
                    page.head = (begin, found.start())
                at = source.find(">", found.end()) + 1 or end
            elif name in RAW:
                at = last = end  # the rest of the page is inside, as browsers have it
            else:
                endless.add(name)
            continue
        if runs:
            lines.append(Line(stack[-1], runs, chars, linked, links, after_break))
            runs = []
        links = 0
        after_break = kind == BREAK
        if kind in (BREAK, EMPTY):
            continue
        name = name.lower()
        if closing:
            if tags[stack[-1]] == name and len(stack) > 1:
                page.last[stack.pop()] = len(lines)
            elif name in tags_open:
                _close(page, name, stack, len(lines))
            continue
        if kind == ROOT:
            if attributes:
                names[0] = named(attributes)
            continue
        inner = tags[stack[-1]]
        if name in CLOSED_BY:
            ended = CLOSED_BY[name]
            while inner in ended:
                page.last[stack.pop()] = len(lines)
                inner = tags[stack[-1]]
        if inner == "p":
            page.last[stack.pop()] = len(lines)
            link = False
        if len(stack) < DEEPEST:
            parents.append(stack[-1])
            stack.append(len(tags))
            tags.append(name)
            tags_open.add(name)
            if attributes:
                if attributes not in known:
                    known[attributes] = named(attributes)
                names.append(known[attributes])
            else:
                names.append("")
            page.first.append(len(lines))
            page.last.append(-1)
    if at < end and (runs or not source[at:end].isspace()):
        chars, linked = (chars if runs else 0) + end - at, linked if runs else 0
        runs.append((at, end))
    if runs:
        lines.append(Line(stack[-1], runs, chars, linked, links, after_break))
    page.last = [len(lines) if stop < 0 else stop for stop in page.last]
    return page


def _close(page: Page, name: str, stack: list[int], count: int) -> None:
    """Pops the innermost open element of this name, and what is open inside it, unless a table or list fences it in."""
    for depth in range(len(stack) - 1, max(0, len(stack) - 33), -1):
        tag = page.tags[stack[depth]]
        if tag == name:
            for node in stack[depth:]:
                page.last[node] = count
            del stack[depth:]
            return
        if tag in FENCE and name not in FENCE and name not in PASSES:
            return


def named(attributes: str) -> str:
    """Class, id, role and itemprop of an element; a character beyond ASCII is a question mark."""
    attributes = attributes[:2048].encode("ascii", "replace").decode()
    if "'" in attributes or "itemprop" in attributes or "role" in attributes or "=" not in attributes:
        return " ".join(value.strip("\"'") for value in NAMED.findall(attributes)).lower()
    # Nearly all markup is double-quoted, and need not be matched.
    names = ""
    for key in ('class="', ' id="'):
        at = attributes.find(key)
        if at >= 0:
            at += len(key)
            names += attributes[at : attributes.find('"', at)] + " "
    return names.lower() if names or '"' in attributes else " ".join(NAMED.findall(attributes)).lower()
