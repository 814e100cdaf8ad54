"""What the charts show, read back from their coordinates."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import msgspec
import pytest

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


def _lanes(svg: str | None, style: str) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Return the bars of a style on the clock, and those against the budget."""
    bars = _shapes(svg, style)
    left = min(float(shade["x"]) for shade in _shapes(svg, "shade"))
    return (
        [bar for bar in bars if float(bar["x"]) < left],
        [bar for bar in bars if float(bar["x"]) >= left],
    )


@pytest.mark.parametrize("width", [900, 340])
def test_a_phase_begins_where_the_one_before_ended(width: int) -> None:
    svg = chart_budget.phases(samples.passing(), "x", width)
    clock, _ = _lanes(svg, "accent")
    assert len(clock) == 3 * 6
    for seed in (clock[index : index + 6] for index in range(0, 18, 6)):
        assert float(seed[0]["x"]) == min(float(bar["x"]) for bar in clock)
        for before, after in pairwise(seed):
            # A phase too short to see is drawn wider than it was.
            end = float(before["x"]) + float(before["width"])
            assert abs(end - float(after["x"])) <= 1.5
    assert not _shapes(svg, "over")


def test_the_clock_is_long_enough_for_the_phases_and_not_for_the_budgets() -> None:
    report = samples.passing()
    quick = tuple(
        msgspec.structs.replace(
            seed, phases=tuple(replace(time, wall_s=time.wall_s / 1000) for time in seed.phases)
        )
        for seed in report.seeds
    )
    for seeds in (report.seeds, quick):
        svg = chart_budget.phases(msgspec.structs.replace(report, seeds=seeds), "x", 900)
        clock, _ = _lanes(svg, "accent")
        used = max(float(bar["x"]) + float(bar["width"]) for bar in clock) - float(clock[0]["x"])
        assert used > 350


def test_the_bar_against_the_budget_is_as_long_as_what_was_used_of_it() -> None:
    report = samples.passing()
    svg = chart_budget.phases(report, "x", 900)
    _, shares = _lanes(svg, "accent")
    times = [time for seed in report.seeds for time in seed.phases]
    for bar, shade, time in zip(shares, _shapes(svg, "shade"), times, strict=True):
        used = float(bar["width"]) / float(shade["width"])
        assert abs(used - time.wall_s / time.budget_s) < 0.01


def test_a_phase_over_its_budget_stands_out_in_colour_and_mark() -> None:
    svg = chart_budget.phases(samples.died(), "x", 900)
    (clock,), (share,) = _lanes(svg, "over")
    (_, edge) = _shapes(svg, "shade")
    assert float(share["width"]) >= float(edge["width"])
    assert float(clock["width"]) > 300
    assert "600.0 of 600 s !" in svg
    assert svg.count(">not started<") == 3


def test_a_phase_far_over_its_budget_does_not_squeeze_the_others() -> None:
    report = samples.died()
    phases = (replace(report.seeds[0].phases[0], wall_s=6e5), *report.seeds[0].phases[1:])
    late = msgspec.structs.replace(report.seeds[0], phases=phases)
    svg = chart_budget.phases(msgspec.structs.replace(report, seeds=(late,)), "x", 900)
    shade, over = _shapes(svg, "shade")[0], _lanes(svg, "over")[1][0]
    assert 1.2 < float(over["width"]) / float(shade["width"]) < 1.3


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
    peeker = msgspec.structs.replace(report.seeds[0], blind=((2.0, 2.0), (1.0, 3.0)))
    svg = chart_score.scatter(msgspec.structs.replace(report, seeds=(peeker,)), "x", 400)
    (path,) = _shapes(svg, "cloud")
    on, above = (
        [float(n) for n in pair] for pair in re.findall(r"M([\d.]+) ([\d.]+)h0", path["d"])
    )
    line = _shapes(svg, "base")[0]
    slope = (float(line["y2"]) - float(line["y1"])) / (float(line["x2"]) - float(line["x1"]))

    def height(point: list[float]) -> float:
        return float(line["y1"]) + slope * (point[0] - float(line["x1"])) - point[1]

    assert height(above) > 20
    bottom = max(float(line["y1"]), float(line["y2"]))
    assert abs((bottom - above[1]) / (bottom - on[1]) - 3 / 2) < 0.01
    assert abs(height(on)) < 0.3


def test_the_gain_is_drawn_beside_its_limit() -> None:
    svg = chart_score.gain(samples.passing(), "x", 440)
    limit = float(_shapes(svg, "limit")[0]["x1"])
    ends = [float(w["x2"]) for w in _shapes(svg, "whisker")]
    assert max(ends) < limit
    assert "The limit is 0.001 nats per token." in svg
    # What is to be won lies further out, so that the limit can be seen to be a part of it.
    (margin,) = (float(line["x1"]) for line in _shapes(svg, "far"))
    zero = float(_shapes(svg, "base")[0]["x1"])
    assert abs((margin - zero) / (limit - zero) - 5) < 0.05
    assert " !" not in svg


def test_a_bound_over_the_limit_is_marked() -> None:
    report = samples.passing()
    evidence = {"gain_upper_nats_per_token": 0.5, "gain_limit_nats_per_token": 0.001}
    first = report.seeds[0]
    findings = tuple(
        replace(f, evidence=evidence) if f.id == "order.blind" else f for f in first.findings
    )
    peeked = msgspec.structs.replace(first, findings=findings)
    svg = chart_score.gain(msgspec.structs.replace(report, seeds=(peeked,)), "x", 440)
    assert "≤ 0.5 !" in svg


def test_answers_beyond_the_tolerance_are_drawn_again_and_counted() -> None:
    report = samples.passing()
    assert not _shapes(chart_score.scatter(report, "x", 400), "cloud off")
    assert "none beyond the tolerance of 0.02" in chart_score.scattered(report)
    blind = ((1.0, 1.019), (1.0, 1.03), (1.0, 0.9), (800.0, 900.0))
    off = msgspec.structs.replace(report.seeds[0], blind=blind)
    report = msgspec.structs.replace(report, seeds=(off,))
    (path,) = _shapes(chart_score.scatter(report, "x", 400), "cloud off")
    assert path["d"].count("M") == 2
    assert "2 beyond the tolerance" in chart_score.scattered(report)
    assert "credited is 0.1 nats" in chart_score.scattered(report)


def test_of_very_many_answers_a_part_is_drawn_and_each_that_is_off() -> None:
    report = samples.passing()
    blind = (*((float(n % 9), float(n % 9)) for n in range(30_000)), (1.0, 5.0))
    many = msgspec.structs.replace(report.seeds[0], blind=blind)
    report = msgspec.structs.replace(report, seeds=(many,))
    svg = chart_score.scatter(report, "x", 400)
    (drawn,), (off,) = _shapes(svg, "cloud"), _shapes(svg, "cloud off")
    assert 4_000 < drawn["d"].count("M") <= 5_000
    assert off["d"].count("M") == 1
    assert "One in 7 is drawn" in chart_score.scattered(report)


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
