"""What GitHub would make of Markdown: parsed by markdown-it, and looked through as GitHub does afterwards.

GitHub parses with cmark-gfm and then searches the text for mentions, issues, commits, formulas and emoji, a
text node at a time, except in code. The patterns here are wider than those it is known to use.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from markdown_it import MarkdownIt
from markdown_it.token import Token

_PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
_LATE = re.compile(
    r"@\w | \$. | .\$ | \#\d | \bgh-\d | :// | www\. | :(?!\d+:)[\w+-]+: | :100: | :1234: | \w@"
    r" | (?<![\w.])(?=[0-9a-f]*[a-f])(?=[0-9a-f]*\d)[0-9a-f]{7,40}(?!\w)",
    re.VERBOSE | re.IGNORECASE,
)
_NEUTRAL = frozenset({"text", "text_special", "softbreak", "html_inline"})


@dataclass
class Page:
    """Everything that is not plain text, counted, and the text nodes in order."""

    structure: Counter[str] = field(default_factory=Counter)
    html: Counter[str] = field(default_factory=Counter)
    texts: list[str] = field(default_factory=list)
    searched: list[str] = field(default_factory=list)
    headings: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)

    @property
    def late(self) -> list[str]:
        """Return what GitHub would make a link, a formula or an emoji of, though nobody marked it up."""
        return [found.group() for text in self.searched for found in _LATE.finditer(text)]

    @property
    def text(self) -> str:
        return "".join(self.texts)


def read(source: str) -> Page:
    page = Page()
    tokens = _PARSER.parse(source)
    for token, before in zip(tokens, [None, *tokens], strict=False):
        if token.type == "inline":
            nodes = list(_nodes(token.children or [], page))
            page.texts += nodes
            if before is not None and before.type == "heading_open":
                page.headings.append("".join(nodes))
            if before is not None and before.type in ("td_open", "th_open"):
                page.rows[-1].append("".join(nodes))
        elif token.type == "html_block":
            page.html.update(line for line in token.content.split("\n") if line)
        else:
            page.structure[token.type] += 1
        if token.type == "tr_open":
            page.rows.append([])
    return page


def _nodes(children: Iterable[Token], page: Page) -> Iterator[str]:
    """Yield what stands in one text node once the page is HTML; GitHub searches none of code."""
    text, code = "", False
    for child in children:
        if child.type in ("text", "text_special"):
            text += child.content
            continue
        if child.type == "softbreak":
            text += "\n"
            continue
        page.searched += [] if code else [text]
        yield text
        text = ""
        code = child.content == "<code>" or (code and child.content != "</code>")
        if child.type == "html_inline":
            page.html[child.content] += 1
        else:
            page.structure[child.type] += 1
        if child.type == "code_inline":
            yield child.content
    page.searched.append(text)
    yield text
