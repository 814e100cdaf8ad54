from __future__ import annotations

import re

import msgspec
import pytest

from checks.contract import Status
from harness.report.html_page import render_html
from harness.report.page_style import DARK, LIGHT, sheet
from tests.harness.report import samples
from tests.harness.report.pages import inspected


@pytest.mark.parametrize("make", samples.ALL)
def test_nothing_acts_and_everything_has_a_name(make) -> None:
    page = inspected(render_html(make()))
    assert not page.faults


@pytest.mark.parametrize("make", samples.ALL)
def test_nothing_is_fetched_or_run(make) -> None:
    page = inspected(render_html(make()))
    assert page.metas[0] == {"charset": "utf-8"}
    policy = page.metas[1]
    assert policy["http-equiv"] == "Content-Security-Policy"
    assert "default-src 'none'" in policy["content"]
    assert "script" not in policy["content"]
    assert not re.search(r"url\(|@import|expression|behavior|//", page.style)


def test_hostile_words_are_there_to_be_read() -> None:
    page = inspected(render_html(samples.failing()))
    assert "<script>alert(1)</script>" in page.text
    assert r"\x1b[31mred" in page.text
    assert r"\u202egnp.exe" in page.text
    assert "(4,121 characters)" in page.text


def test_the_inspection_itself_sees_what_is_planted() -> None:
    html = render_html(samples.empty())
    planted = {
        "<script>": "element script",
        '<p onclick="x">y</p>': "p: attribute onclick",
        '<a href="https://x.example">y</a>': "a: leads elsewhere",
        "<p>": "closes nothing",
        "<h3>a</h3>": "h3 after h1",
        "<!-- -->": "comment",
        "\x1b": "character",
    }
    for markup, fault in planted.items():
        faults = inspected(html.replace("<main", f"{markup}<main", 1)).faults
        assert any(fault in found for found in faults), (markup, faults)


def test_the_verdict_is_the_first_heading_and_the_title() -> None:
    for make, word in (
        (samples.passing, "PASS"),
        (samples.undecided, "UNDECIDED"),
        (samples.died, "FAIL"),
    ):
        html = render_html(make())
        assert f"<title>{word}: " in html
        assert f'<h1><span class="word">{word}</span>' in html


def test_every_check_has_one_row_in_words() -> None:
    for make in samples.ALL:
        report = make()
        html = render_html(report)
        for found in report.findings:
            row = re.findall(
                rf'<span class="badge">([A-Z-]+)</span></span></td><th [^>]*>{found.id}</th>', html
            )
            assert row == [str(found.status)]


def test_sections_of_a_whole_run() -> None:
    page = inspected(render_html(samples.passing()))
    assert [text for level, text in page.headings if level == 2] == [
        "Checks",
        "What to do next",
        "Seeds against the baseline",
        "Time",
        "Bytes",
        "What peeking could have gained",
        "Worst challenged positions",
        "Loss over the stream",
        "Guarantees of this machine",
        "What was judged",
    ]
    # Four charts are drawn for two widths, two stand side by side and are drawn once.
    assert page.drawings == 10


def test_what_was_not_measured_is_left_out_or_said() -> None:
    died = render_html(samples.died())
    assert "no score" in died
    assert "chart-bytes" not in died
    assert "chart-blind" not in died
    assert "not started" in died
    assert "Seeds against the baseline" not in render_html(samples.undecided())
    assert "did not get as far as a check" in render_html(samples.empty())


def test_seeds_that_are_not_drawn_are_counted() -> None:
    report = samples.passing()
    assert "seeds are drawn" not in render_html(report)
    seeds = tuple(msgspec.structs.replace(report.seeds[n % 3], seed=n) for n in range(20))
    html = render_html(msgspec.structs.replace(report, seeds=seeds))
    assert html.count("The first 6 of 20 seeds are drawn.") == 2
    assert html.count("The first 12 of 20 seeds are drawn.") == 1


def test_power_has_a_sentence() -> None:
    text = inspected(render_html(samples.passing())).text
    assert "Power: 256 questions meet, with 99% confidence, a taint of 1.8% of positions" in text
    assert (
        "Power: with this deviation, this many seeds show an improvement of more than 0.0" in text
    )


def test_an_artifact_over_the_cap_says_so_in_words() -> None:
    html = render_html(samples.passing())
    assert "over the cap" not in html
    report = samples.passing()
    smaller = [
        type(f)(**{**{n: getattr(f, n) for n in f.__slots__}, "limit": 1_000_000.0})
        if f.id == "bytes.artifact"
        else f
        for f in report.findings
    ]
    over = render_html(msgspec.structs.replace(report, findings=tuple(smaller)))
    assert "over the cap" in over


def _luminance(colour: str) -> float:
    """Return relative luminance as WCAG 2.2 defines it."""
    channels = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _contrast(one: str, other: str) -> float:
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["ink", "soft", "accent", "pass", "fail", "error", "open"])
def test_text_has_contrast_in_both_schemes(scheme: dict[str, str], name: str) -> None:
    assert _contrast(scheme[name], scheme["page"]) >= 4.5
    assert _contrast(scheme[name], scheme["panel"]) >= 4.5


def test_both_schemes_name_the_same_colours_and_all_are_used() -> None:
    assert LIGHT.keys() == DARK.keys()
    used = set(re.findall(r"var\(--([a-z]+)\)", sheet()))
    assert used - {"state"} == LIGHT.keys()
    assert {str(status) for status in Status} == {"PASS", "FAIL", "ERROR", "NOT-RUN"}
