"""What is measured of each line of a page to tell content from the rest; nothing here knows a language."""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np

from seedstock.corpus.extract.markup import Page

TAGS = (
    *(("p",), ("li",), ("h1",), ("h2", "h3", "h4", "h5", "h6"), ("td", "th"), ("div",), ("blockquote",)),
    *(("pre", "code"), ("figcaption",), ("button", "label", "legend", "summary"), ("dt", "dd"), ("span", "section")),
)
ABOVE = (
    *(
        ("article",),
        ("main",),
        ("nav", "menu"),
        ("footer",),
        ("header",),
        ("aside",),
        ("form",),
        ("ul", "ol"),
        ("table",),
    ),
    *(("figure",), ("section",), ("blockquote",)),
)
WORDS = (
    "comment|disqus|reply|replies|respond|discuss",
    r"nav|menu|breadcrumb|paginat|pager|toolbar|topbar",
    r"foot|copyright|colophon",
    r"sidebar|^side$|rail|secondary|widget",
    r"relat|recommend|trend|popular|^more|most|also|teaser|promo|outbrain|taboola|readmore|latest|next|prev|carousel",
    r"shar|social|follow|facebook|twitter|addthis",
    r"^ad$|^ads|^adv|advert|sponsor|banner|dfp|commercial|affiliate",
    r"newsletter|subscri|^sign|login|regist|paywall|donat|^cta$",
    r"meta|byline|author|date|publish|timestamp|posted|categor|^tag$|^tags$|kicker|eyebrow|contributor|^bio$",
    r"caption|credit|image|photo|gallery|slide|media|video|figure|thumb|player",
    r"cookie|consent|gdpr|modal|popup|overlay|alert|notice|disclaimer|legal|hidden|^sr$|visually",
    r"headline|title|heading|header|masthead|branding|logo",
    r"subtitle|subhead|standfirst|summary|^dec$|^dek$|^deck$|^dekk$|^lead$|lede|intro|excerpt|abstract|descri",
    r"article|story|^post$|^posts$|^entry$|hentry|blog",
    r"content|text|copy|paragraph|body|prose|markdown",
    r"^list|item$|items$|card|grid|tile|feed",
    r"search|filter|sort|form|input|button|btn",
    r"quote|pull",
    r"infobox|reflist|references|navbox|^toc$|editsection|catlinks",
    r"forum|thread|topic|message|answer|question|review|qa$",
    r"product|price|cart|spec|feature|buy|shop",
    r"^doc|api|code|highlight|example|tutorial|wiki",
    r"^main",
)
TAG_BITS = {tag: 1 << at for at, group in enumerate(TAGS) for tag in group}
ABOVE_BITS = {tag: 1 << at for at, group in enumerate(ABOVE) for tag in group}
_WORDS = [re.compile(words) for words in WORDS]
SHIFT = len(ABOVE)
BITS = SHIFT + len(WORDS) + 1
BODY = 1 << (BITS - 1)  # a name that says both, as "article-body" and "entry__content" do
PARTS = re.compile("[a-z]+")
ENDS = ".!?…。！？؟।։።:;"
QUOTES = "\"'”’»)]」』"
COLUMNS, DIGITS, UPPER = 152, 37, 38  # how many features there are, and the numbers of two of them


ARTICLE, TEXT = (1 << (SHIFT + WORDS.index(words)) for words in WORDS if words.startswith(("article|", "content|")))


@lru_cache(1 << 14)
def _word_hints(word: str) -> int:
    """The bits of ``WORDS`` that one word sets."""
    return sum(1 << (SHIFT + at) for at, words in enumerate(_WORDS) if words.search(word))


@lru_cache(1 << 15)
def _name_hints(name: str) -> int:
    """The bits that one class or id sets; sites use the same few on every page, and the same words everywhere."""
    found = 0
    for word in PARTS.findall(name):
        found |= _word_hints(word)
    return found | BODY if found & ARTICLE and found & TEXT else found


@lru_cache(1 << 15)
def _hints(tag: str, names: str) -> int:
    found = ABOVE_BITS.get(tag, 0)
    for name in names.split()[:8] if names else ():
        found |= _name_hints(name[:64])
    return found


def _ends(text: str) -> bool:
    """Whether a line ends as a sentence does."""
    end, before = text[-1:], text[-2:-1]
    return bool(end) and (end in ENDS or (end in QUOTES and bool(before) and before in ENDS))


def measure(page: Page, texts: list[str]) -> np.ndarray:
    """float32 [lines, features] of a page with at least one line; ``texts`` are its lines as they read."""
    lines, count = page.lines, len(page.lines)
    node = np.array([line.node for line in lines])
    chars = np.array([len(text) for text in texts], float)
    share = np.array([line.linked / line.chars for line in lines])
    links = np.array([line.links for line in lines], float)
    words = np.array([text.count(" ") for text in texts], float) + 1
    commas = np.array([text.count(",") + text.count("，") + text.count("、") for text in texts], float)
    ends = np.array([_ends(text) for text in texts], float)
    digits = np.array([text[:1].isdigit() + text[-1:].isdigit() for text in texts], float)
    upper = np.array([text[:80].isupper() for text in texts], float)
    broken = np.array([line.after_break for line in lines], float)
    times: dict[str, int] = {}
    for text in texts:
        times[text] = times.get(text, 0) + 1
    again = np.array([times[text] > 1 for text in texts], float)

    first, last, parents = np.array(page.first), np.array(page.last), np.array(page.parents)
    plain = chars * (1 - share)
    good = np.where((share < 0.4) & (plain > 60) & (ends > 0), plain, 0.0)
    all_before, plain_before, good_before = (np.concatenate([[0.0], np.cumsum(x)]) for x in (chars, plain, good))
    size = all_before[last] - all_before[first]
    best_of = good_before[last] - good_before[first]
    total, best_total = all_before[-1] + 1, good_before[-1] + 1
    # A hint on an element that holds most of the page says nothing about any line of it.
    own = list(map(_hints, page.tags, page.names))
    inherited, near, depth = own.copy(), own.copy(), [0] * len(own)
    for at, (up, spread) in enumerate(zip(page.parents, (size > 0.6 * total)[parents].tolist(), strict=True)):
        if at:
            depth[at] = depth[up] + 1
            near[at] |= own[up]
            if not spread:
                inherited[at] |= inherited[up]
    bits = np.arange(BITS)
    far = (np.array(inherited)[node][:, None] >> bits) & 1
    close = (np.array(near)[node][:, None] >> bits) & 1
    tag_of = np.array([TAG_BITS.get(tag, 0) for tag in page.tags])
    kinds = (tag_of[node][:, None] >> np.arange(len(TAGS))) & 1

    # Which element gathers the prose: a block's prose counts for its parent, and half for the one above.
    up = parents[node]
    score = np.bincount(up + 1, good, len(own) + 1)
    score += np.bincount(np.where(up > 0, parents[up], -1) + 1, good / 2, len(own) + 1)
    score = score[1:] * (plain_before[last] - plain_before[first] + 1) / (size + 1)
    top = int(np.argmax(score))
    number = np.arange(count)
    inside = (number >= first[top]) & (number < last[top])
    around = []
    at_node = node
    for _ in range(4):
        around += [best_of[at_node] / best_total, best_of[at_node] / (size[at_node] + 1), np.log1p(best_of[at_node])]
        at_node = np.maximum(parents[at_node], 0)
    level = np.array(depth)
    local = np.stack(
        [np.log1p(chars), share, ends, np.log1p(plain), good > 0, np.minimum(words, 50) / 50, kinds[:, 0]], 1
    )
    heading = kinds[:, 2] > 0
    title = int(np.argmax(heading)) if heading.any() else 0
    place = [
        number / count,
        all_before[:-1] / total,
        good_before[:-1] / best_total,
        number >= title,
        inside,
        number < first[top],
        number >= last[top],
        score[np.maximum(up, 0)] / (score[top] + 1),
        level[node] - level[top],
        np.full(count, np.log1p(count)),
        np.full(count, np.log1p(best_total)),
    ]
    itself = [links, np.log1p(commas), digits, upper, broken, again, chars / (words + 1), ends * np.log1p(chars)]
    padded = np.pad(local, ((2, 2), (0, 0)))
    same = np.concatenate([[False], up[1:] == up[:-1], [False]]).astype(float)
    context = [padded[:-4], padded[1:-3], padded[3:-1], padded[4:]]
    columns = [local, *context, np.stack([*itself, *place, *around, same[:-1], same[1:]], 1), kinds, far, close]
    return np.concatenate(columns, 1).astype(np.float32)
