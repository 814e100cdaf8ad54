"""Every way an audit is shown: complete, in the order asked for, and harmless whatever a record says."""

import csv
import html
import io
import json
import re

import pytest
from msgspec.structs import replace
from rich.console import Console

from checks.contract import Status
from harness.audit import csv_table, html_page, markdown_page, model, sections, survey, text_page
from harness.audit.contest import load
from tests.harness.audit.written import SCORES, write_record

HOSTILE = (
    "\x1b[31mred\x07 <script>alert(1)</script> | ::error:: [x](javascript:1) @everyone `a` =1+1 "
    "\u202egnp\n# head"
)


@pytest.fixture(scope="module")
def contest():
    return load()


@pytest.fixture(scope="module")
def many(contest, tmp_path_factory):
    base = tmp_path_factory.mktemp("many")
    folders = [
        write_record(
            base / f"r{index}",
            {seed: bpb + index * 1e-3 for seed, bpb in SCORES.items()},
            claims={"date": f"2026-04-{9 - index:02}"},
        )
        for index in range(4)
    ]
    folders.append(write_record(base / "cheat", claims={"val_bpb": 1.0, "bytes_total": 1}))
    return survey.survey([(folder, folder.name) for folder in folders], contest, jobs=1)


@pytest.fixture(scope="module")
def hostile(contest, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile") / "record"
    write_record(
        folder, claims={"name": HOSTILE, "author": HOSTILE, "hardware": HOSTILE, "blurb": HOSTILE}
    )
    (folder / "train_seed7.log").write_text(
        f"seed:7\n{HOSTILE}\nfinal_{HOSTILE[5:12]} val_bpb:1.2\n"
    )
    return survey.survey([(folder, f"x{HOSTILE}")], contest, jobs=1)


def on_terminal(audit, width=120, sort="id"):
    console = Console(
        file=io.StringIO(), width=width, highlight=False, markup=False, color_system=None
    )
    text_page.print_audit(audit, console, sort)
    return console.file.getvalue()


def read(shown):
    """Return the words of a page without what its format puts around them."""
    return re.sub(r"</?span>", "", html.unescape(shown)).replace("\\", "")


RENDERERS = {
    "text": on_terminal,
    "markdown": markdown_page.render_markdown,
    "html": html_page.render_html,
    "csv": csv_table.render_csv,
}


@pytest.mark.parametrize("name", RENDERERS)
def test_every_record_is_in_the_table(many, name):
    shown = RENDERERS[name](many)
    for folder in many.folders:
        assert folder.id in read(shown)


@pytest.mark.parametrize("name", ["text", "markdown", "html"])
@pytest.mark.parametrize("which", range(5))
def test_every_finding_of_one_record_is_on_its_page(many, name, which):
    alone = model.Audit(
        harness_version="0",
        contest="c",
        rulesets=("r",),
        folders=(many.folders[which],),
        exit_code=1,
    )
    flat = " ".join(read(RENDERERS[name](alone)).split())
    for finding in alone.folders[0].findings:
        assert finding.id in flat
        if name != "text":
            assert " ".join(finding.message.split()) in flat
    for run in alone.folders[0].runs:
        assert run.log in flat
        assert f"{run.val_bpb:.8f}" in flat


@pytest.mark.parametrize("key", sections.SORTS)
def test_the_table_is_in_the_order_asked_for(many, key):
    rows = [cells[0] for _, cells in sections.table(many, key).rows]
    assert sorted(rows) == sorted(folder.id for folder in many.folders)
    values = [sections.SORTS[key](next(f for f in many.folders if f.id == name)) for name in rows]
    assert values == sorted(values)
    first = next(csv.DictReader(io.StringIO(csv_table.render_csv(many, key))))
    assert first["id"] == rows[0]


def test_the_worst_stands_first_on_a_page(many):
    cheat = next(folder for folder in many.folders if folder.id == "cheat")
    statuses = [status for status, _ in sections.page(cheat)[0].rows]
    assert statuses == sorted(
        statuses, key=[Status.FAIL, Status.ERROR, Status.PASS, Status.NOT_RUN].index
    )
    assert statuses[0] is Status.FAIL


def test_a_finding_names_the_lines_that_it_compares(many):
    folder = many.folders[0]
    score = next(finding for finding in folder.findings if finding.id == "claims.score")
    claim, logged = sections.where(folder, score).split("; ")
    assert claim == folder.json.sources["claimed_val_bpb"]
    assert logged == f"{folder.runs[0].sources['val_bpb']} and 2 more"


def test_csv_has_plain_numbers_and_no_formulas(many, hostile):
    rows = list(csv.DictReader(io.StringIO(csv_table.render_csv(many))))
    assert len(rows) == len(many.folders)
    assert (
        float(rows[1]["mean_val_bpb"]) == many.folders[1].headline.mean_val_bpb
        or rows[0]["id"] == "cheat"
    )
    text = csv_table.render_csv(hostile)
    for row in csv.reader(io.StringIO(text)):
        assert not any(cell.startswith(("=", "+", "@", "\t", "\r")) for cell in row)


@pytest.mark.parametrize("name", RENDERERS)
@pytest.mark.parametrize("alone", [True, False])
def test_nothing_of_a_record_acts(hostile, many, name, alone):
    folders = hostile.folders if alone else (*hostile.folders, *many.folders)
    audit = model.Audit(
        harness_version="0", contest="c", rulesets=("r",), folders=folders, exit_code=1
    )
    shown = RENDERERS[name](audit)
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "\u202e" not in shown
    if name == "text":
        assert not re.search(r"(?m)^\s*::", shown)
        assert "::error::" not in shown
    if name == "html":
        assert "<script" not in shown
        assert "javascript:" not in re.sub(r">[^<]*<", "><", shown)
    if name == "markdown":
        assert not re.search(r"(?<!\\)<", re.sub(r"</?span>", "", shown))
        assert "@everyone" not in shown
        assert "[x](" not in shown
        assert all(
            line.count("|") - line.count("\\|") in (0, line.count("|") - line.count("\\|"))
            for line in shown.splitlines()
        )
        assert not re.search(r"(?m)^# head", shown)


def test_markdown_rows_have_as_many_cells_as_their_headings(hostile):
    shown = markdown_page.render_markdown(hostile)
    cells = None
    for line in shown.splitlines():
        if not line.startswith("|"):
            cells = None
            continue
        count = len(re.findall(r"(?<!\\)\|", line))
        cells = cells or count
        assert count == cells, line


def test_json_is_the_whole_of_it(many):
    plain = json.loads(model.encode(many))
    assert [folder["id"] for folder in plain["folders"]] == [folder.id for folder in many.folders]
    assert plain["folders"][0]["runs"][0]["sources"]["val_bpb"].startswith("train_seed")


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_a_page_fits_the_terminal(many, width):
    alone = model.Audit(
        harness_version="0", contest="c", rulesets=("r",), folders=many.folders[:1], exit_code=1
    )
    assert max(len(line) for line in on_terminal(alone, width).splitlines()) <= width


def test_no_number_is_cut_on_a_narrow_terminal(many):
    alone = replace(many, folders=many.folders[:1])
    for width in (40, 70, 80, 100):
        shown = on_terminal(alone, width)
        for run in alone.folders[0].runs:
            for number in (f"{run.val_bpb:.8f}", f"{run.counted_bytes:,}", f"{run.val_tokens:,}"):
                assert number in shown, (width, number)
        table = on_terminal(many, width)
        for folder in many.folders:
            assert f"{folder.max_counted_bytes:,}" in table
            assert all(name in " ".join(table.split()) for name in sections.fails(folder))


@pytest.mark.parametrize("width", [60, 400])
@pytest.mark.parametrize("alone", [True, False])
def test_nothing_acts_on_a_terminal_of_any_width(hostile, many, width, alone):
    folders = hostile.folders if alone else (*hostile.folders, *many.folders)
    shown = on_terminal(replace(many, folders=folders), width)
    assert not any(character in shown for character in "\x1b\x07\u202e")
    assert "::error::" not in shown


def test_a_finding_of_nothing_names_no_line(many):
    folder = next(folder for folder in many.folders if folder.id == "cheat")
    for finding in folder.findings:
        if finding.status is Status.NOT_RUN and finding.measured is finding.limit is None:
            assert sections.where(folder, finding) == ""
    deviation = next(f for f in folder.findings if f.id == "claims.deviation")
    assert deviation.status is Status.NOT_RUN


@pytest.mark.parametrize("start", ["=1+1", "+1", "-1", "@SUM(A1)"])
def test_a_name_is_no_formula(many, start):
    folder = replace(many.folders[0], id=start)
    rows = list(csv.reader(io.StringIO(csv_table.render_csv(replace(many, folders=(folder,))))))
    assert rows[1][0] == f"'{start}"
