"""What the charts show, read back from their coordinates."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import msgspec

from harness.report import chart_budget, chart_score
from harness.report.model import Report
from tests.harness.report import samples


def _shapes(svg: str | None, style: str) -> list[dict[str, str]]:
    assert svg is not None
    found = (
        dict(re.findall(r'([a-z0-9]+)="([^"]*)"', shape))
        for shape in re.findall(r"<[a-z]+ [^>]*>", svg)
    )
    return [shape for shape in found if shape.get("class") == style]


def _with_finding(report: Report, check: str, **changes: object) -> Report:
    findings = tuple(replace(f, **changes) if f.id == check else f for f in report.findings)
    return msgspec.structs.replace(report, findings=findings)


def test_better_seeds_lie_further_left_and_the_target_between() -> None:
    svg = chart_score.seeds(samples.passing(), "x", 900)
    own = [float(dot["cx"]) for dot in _shapes(svg, "accent")]
    theirs = [float(dot["cx"]) for dot in _shapes(svg, "quiet")]
    target = float(_shapes(svg, "limit")[0]["x1"])
    nats = [seed.nats_per_token for seed in samples.passing().seeds]
    assert sorted(range(3), key=own.__getitem__) == sorted(range(3), key=nats.__getitem__)
    assert max(own) < target < min(theirs)


def test_dots_lie_at_their_ticks() -> None:
    svg = chart_score.seeds(samples.passing(), "x", 900)
    ticks = {
        float(t): float(x)
        for x, t in re.findall(r'<text x="([\d.]+)"[^>]*class="tick"[^>]*>(1\.\d+)<', svg)
    }
    (low, left), (high, right) = min(ticks.items()), max(ticks.items())
    for dot, seed in zip(_shapes(svg, "accent"), samples.passing().seeds, strict=True):
        read = low + (float(dot["cx"]) - left) / (right - left) * (high - low)
        assert abs(read - seed.nats_per_token) < 1e-5


def test_many_seeds_share_a_row() -> None:
    report = samples.passing()
    many = tuple(msgspec.structs.replace(report.seeds[0], seed=n) for n in range(40))
    svg = chart_score.seeds(msgspec.structs.replace(report, seeds=many), "x", 900)
    assert len({dot["cy"] for dot in _shapes(svg, "accent")}) == 1
    assert "seed, 40" in svg


def test_a_phase_begins_where_the_one_before_ended() -> None:
    svg = chart_budget.phases(samples.passing(), "x", 900)
    bars = _shapes(svg, "accent")[:6]
    for before, after in pairwise(bars):
        # A phase too short to see is drawn wider than it was.
        end = float(before["x"]) + float(before["width"])
        assert abs(end - float(after["x"])) <= 1.5
    shades = _shapes(svg, "shade")[:6]
    assert all(float(s["width"]) > float(b["width"]) for s, b in zip(shades, bars, strict=True))
    assert not _shapes(svg, "over")


def test_a_phase_over_its_budget_stands_out_in_colour_and_mark() -> None:
    svg = chart_budget.phases(samples.died(), "x", 900)
    (late,) = _shapes(svg, "over")
    assert float(late["width"]) >= float(_shapes(svg, "shade")[1]["width"])
    assert "600.0 of 600 s !" in svg
    assert svg.count(">not started<") == 3


def test_files_add_up_to_the_total() -> None:
    svg = chart_budget.artifact(samples.passing(), "x", 900)
    files, (total,) = _shapes(svg, "accent"), _shapes(svg, "quiet")
    assert float(files[0]["x"]) == float(total["x"])
    assert abs(sum(float(f["width"]) for f in files) - float(total["width"])) < 4
    cap = float(_shapes(svg, "limit")[0]["x1"])
    assert float(total["x"]) + float(total["width"]) < cap
    over = _with_finding(samples.passing(), "bytes.artifact", limit=15_000_000)
    svg = chart_budget.artifact(over, "x", 900)
    (total,) = _shapes(svg, "over")
    assert float(total["x"]) + float(total["width"]) > float(_shapes(svg, "limit")[0]["x1"])
    assert "all, over the cap" in svg


def test_many_files_and_a_tokenizer_are_summed_up() -> None:
    report = samples.failing()
    first = msgspec.structs.replace(report.seeds[0], artifact_bytes=10**9)
    svg = chart_budget.artifact(msgspec.structs.replace(report, seeds=(first,)), "x", 900)
    assert ">2 more<" in svg
    assert ">tokenizer of the data<" in svg


def test_a_peeker_lies_above_the_line() -> None:
    report = samples.passing()
    peeker = msgspec.structs.replace(report.seeds[0], blind=((1.0, 3.0), (2.0, 2.0)))
    svg = chart_score.scatter(msgspec.structs.replace(report, seeds=(peeker,)), "x", 400)
    (path,) = _shapes(svg, "cloud")
    above, on = (
        [float(n) for n in pair] for pair in re.findall(r"M([\d.]+) ([\d.]+)h0", path["d"])
    )
    line = _shapes(svg, "base")[0]
    slope = (float(line["y2"]) - float(line["y1"])) / (float(line["x2"]) - float(line["x1"]))

    def height(point: list[float]) -> float:
        return float(line["y1"]) + slope * (point[0] - float(line["x1"])) - point[1]

    assert height(above) > 20
    assert abs(height(on)) < 0.3


def test_the_gain_is_drawn_beside_its_limit() -> None:
    svg = chart_score.gain(samples.passing(), "x", 440)
    limit = float(_shapes(svg, "limit")[0]["x1"])
    ends = [float(w["x2"]) for w in _shapes(svg, "whisker")]
    assert max(ends) < limit
    assert "The limit is 0.001 nats per token." in svg


def test_the_curve_falls_where_the_loss_falls() -> None:
    report = samples.passing()
    falling = msgspec.structs.replace(report.seeds[0], curve=((10, 3.0), (20, 2.0), (30, 1.0)))
    svg = chart_score.curve(msgspec.structs.replace(report, seeds=(falling,)), "x", 900)
    path = next(shape for shape in _shapes(svg, "line line-0") if "d" in shape)
    points = [[float(n) for n in pair] for pair in re.findall(r"([\d.]+) ([\d.]+)", path["d"])]
    assert points == sorted(points)
    assert [y for _, y in points] == sorted(y for _, y in points)


def test_there_is_no_chart_of_nothing() -> None:
    for draw in (chart_score.seeds, chart_score.curve, chart_score.scatter, chart_score.gain):
        assert draw(samples.empty(), "x", 400) is None
        assert draw(samples.died(), "x", 400) is None
    assert chart_budget.artifact(samples.died(), "x", 400) is None
    assert chart_budget.phases(samples.empty(), "x", 400) is None
