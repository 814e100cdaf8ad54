"""The page in a headless Chromium: nothing runs or is fetched, nothing sticks out, all can be reached."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.report.html_page import render_html
from harness.report.page_style import DARK, LIGHT
from tests.harness.report import browser, samples
from tests.harness.report.browser import Browser

WIDTHS = (320, 390, 768, 1280)
PAPER_PX = 690, 980
"""An A4 page within the margins that the style sheet asks for, in CSS pixels, rounded down."""


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = browser.found()
    if program is None:
        pytest.skip(f"no Chromium on PATH, looked for {', '.join(browser.NAMES)}")
    with browser.started(program, tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    made = {}
    for make in samples.ALL:
        path = folder / f"{make.__name__}.html"
        path.write_text(render_html(make()), "utf-8")
        made[make.__name__] = path
    return made


@pytest.fixture
def view(chromium: Browser, pages: dict[str, Path]):
    def opened(name: str, width: int = 1280, **seen: str) -> Browser:
        chromium.show(width, **seen)
        chromium.open(pages[name])
        return chromium

    return opened


def _planted(page: Path, markup: str, where: str = "<main") -> Path:
    changed = page.with_name(f"planted-{page.name}")
    text = page.read_text("utf-8")
    assert text.count(where) == 1
    changed.write_text(text.replace(where, f"{markup}{where}"), "utf-8")
    return changed


_BESIDE = """
[...document.querySelectorAll('main :is(p, table, figure, dl, ul, details)')].filter(each => {
  const room = document.querySelector('main section').getBoundingClientRect();
  const own = each.getBoundingClientRect();
  return own.width && (own.left < room.left - 1 || own.right > room.right + 1);
}).map(each => each.outerHTML.slice(0, 80))
"""
"""What reaches into the margin, where the page is not yet wider than the screen."""


@pytest.mark.parametrize("name", [make.__name__ for make in samples.ALL])
def test_the_page_loads_alone_and_fits_every_screen(view, name: str) -> None:
    page = view(name)
    assert page.complaints() == []
    page.value("document.querySelectorAll('details').forEach(each => each.open = true)")
    for width in WIDTHS:
        page.show(width)
        assert page.value("document.scrollingElement.scrollWidth") == width
        assert page.value(_BESIDE) == [], width


@pytest.mark.parametrize(
    ("markup", "says"),
    [
        ("<script>document.title = 'x'</script>", "Executing inline script violates"),
        ("<img src='there.png' onerror='1'>", "Loading the image"),
        ("<style>@import 'there.css';</style>", "Loading the stylesheet"),
        ("<form action='there'><input></form><p onclick='1'>x</p>", "inline event handler"),
    ],
)
def test_what_acts_is_stopped_and_noticed(chromium, pages, markup: str, says: str) -> None:
    chromium.open(_planted(pages["passing"], markup))
    chromium.value("document.querySelector('p[onclick]')?.click()")
    assert any(says in complaint for complaint in chromium.complaints())
    assert chromium.value("document.title").startswith("PASS: ")


def test_what_sticks_out_is_noticed(chromium, pages) -> None:
    chromium.show(320)
    chromium.open(_planted(pages["passing"], f"<p style='white-space:nowrap'>{'wide ' * 60}</p>"))
    assert chromium.value("document.scrollingElement.scrollWidth") > 320


_CUT = """
[...document.querySelectorAll('svg.chart')].filter(svg => svg.getClientRects().length).flatMap(svg => {
  const box = svg.getBoundingClientRect();
  return [...svg.querySelectorAll('text')].filter(text => {
    const own = text.getBoundingClientRect();
    return own.left < box.left - 1 || own.right > box.right + 1 || own.top < box.top - 1
        || own.bottom > box.bottom + 1;
  }).map(text => text.textContent);
})
"""


@pytest.mark.parametrize("name", ["passing", "undecided", "died"])
def test_no_letter_of_a_chart_is_cut_off(view, name: str) -> None:
    page = view(name)
    for width in WIDTHS:
        page.show(width)
        assert page.value(_CUT) == [], width
        shown = "[...document.querySelectorAll('svg.chart')].filter(s => s.getClientRects().length)"
        widths = page.value(f"{shown}.map(svg => svg.getBoundingClientRect().width)")
        # Each chart is there once, in the drawing that suits the screen.
        assert len(widths) == {"passing": 6, "undecided": 6, "died": 1}[name]


def _colour(page: Browser, selector: str, property_: str) -> str:
    shown = f"getComputedStyle(document.querySelector({selector!r})).{property_}"
    red, green, blue = re.findall(r"\d+", page.value(shown))[:3]
    return f"#{int(red):02x}{int(green):02x}{int(blue):02x}"


def test_light_dark_and_paper(view) -> None:
    for scheme, medium, colours in (
        ("light", "screen", LIGHT),
        ("dark", "screen", DARK),
        ("dark", "print", LIGHT),
    ):
        page = view("failing", scheme=scheme, medium=medium)
        assert _colour(page, "body", "backgroundColor") == colours["page"]
        assert _colour(page, "body", "color") == colours["ink"]
        assert _colour(page, "mark", "backgroundColor") == colours["accent"]
        assert _colour(page, ".word", "color") == colours["fail"]


def _high(page: Browser, selector: str) -> list[float]:
    each = f"[...document.querySelectorAll({selector!r})]"
    # What lies in a closed details has a size that nobody sees.
    return page.value(
        f"{each}.map(e => e.checkVisibility({{contentVisibilityAuto: true}}) "
        "? e.getBoundingClientRect().height : 0)"
    )


def test_paper_shows_what_a_screen_opens_and_cuts_no_chart(view) -> None:
    screen = view("failing")
    assert not any(_high(screen, "details table, details .evidence"))
    page = view("failing", PAPER_PX[0], medium="print")
    assert all(_high(page, "#time details table, #bytes details table, #worst details table"))
    assert all(_high(page, "tr.fail .evidence"))
    assert not any(_high(page, "tr.pass details, nav, .skip"))
    assert all(_high(page, ".wide .chart"))
    assert not any(_high(page, ".narrow .chart"))
    assert max(_high(page, "figure")) < PAPER_PX[1]
    assert page.value("document.scrollingElement.scrollWidth") <= PAPER_PX[0]


def test_a_report_of_a_page_s_length_prints_on_few_pages(view) -> None:
    page = view("passing")
    sheets = len(re.findall(rb"/Type\s*/Page\b", page.printed(paperWidth=8.27, paperHeight=11.69)))
    assert 4 <= sheets <= 12


def test_the_keyboard_reaches_everything_and_shows_where_it_is(view) -> None:
    page = view("passing", 390)
    reached = []
    for _ in range(60):
        for kind in ("keyDown", "keyUp"):
            page.send(
                "Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9
            )
        here = page.value(
            "(e => e === document.body ? null : [e.tagName, e.textContent.slice(0, 60), "
            "getComputedStyle(e).outlineStyle, e.getBoundingClientRect().left])(document.activeElement)"
        )
        if here is None or here[:2] in reached[1:2]:
            break
        reached.append(here[:2])
        assert here[2] == "solid", here
        assert 0 <= here[3] < 390, here
    assert reached[0] == ["A", "Skip to the checks"]
    kinds = Counter(kind for kind, _ in reached)
    assert kinds["A"] == page.value("document.querySelectorAll('a').length")
    assert kinds["SUMMARY"] == page.value("document.querySelectorAll('summary').length")


@pytest.mark.parametrize("width", [320, 1280])
def test_a_screen_reader_is_told_the_same_on_every_screen(view, width: int) -> None:
    page = view("passing", width)
    told = page.accessible()
    roles = Counter(role for role, _ in told)
    assert ("RootWebArea", "PASS: tilted-transformer") in told
    headings = [name for role, name in told if role == "heading"]
    assert headings[0] == "PASS all 13 required checks hold over 3 seeds tilted-transformer"
    assert [name for role, name in told if role == "region"] == headings[1:]
    assert all(name for role, name in told if role in ("image", "table", "link", "navigation"))
    # Tables that a narrow screen shows as blocks are tables still, with a heading to each column and row.
    assert roles["table"] == 5
    assert roles["columnheader"] == 4 + 7 + 3 + 6 + 4
    assert roles["rowheader"] == 13 + 3 + 4 + 12 + 4
    assert roles["image"] == 6
    assert roles["mark"] == 12
    assert {"banner", "main", "contentinfo", "navigation"} <= roles.keys()
