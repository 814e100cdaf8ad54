"""The style sheet of report.html: system fonts, restrained colours, light, dark, phone and paper.

Every text colour has a contrast of at least 4.5 to 1 on its background in both schemes; a test computes it
from the variables below. No colour carries a meaning alone: the words are always beside it.
"""

from __future__ import annotations

LIGHT = {
    "page": "#ffffff",
    "panel": "#f6f7f9",
    "line": "#dfe3e8",
    "ink": "#16191d",
    "soft": "#57606a",
    "accent": "#1f5fbf",
    "pass": "#14703c",
    "fail": "#b3261e",
    "error": "#7a3aa8",
    "open": "#875400",
    "shade": "#dbe3ee",
}

DARK = {
    "page": "#14171b",
    "panel": "#1c2026",
    "line": "#333a43",
    "ink": "#e8eaed",
    "soft": "#a3adb8",
    "accent": "#7fb0ff",
    "pass": "#62c98c",
    "fail": "#ff8f85",
    "error": "#c99bf2",
    "open": "#e5b55c",
    "shade": "#2c3644",
}

_SHEET = """
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.55 system-ui,-apple-system,
"Segoe UI",Roboto,"Noto Sans","Helvetica Neue",Arial,sans-serif;overflow-wrap:anywhere}
.wrap{max-width:64rem;margin:0 auto;padding:0 1.5rem}
code,.mono{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;
font-size:.86em}
h1,h2,h3,p,dl,dd,ul,table,figure{margin:0;padding:0}
h2{font-size:1.3rem;line-height:1.25;letter-spacing:-.01em;font-weight:650}
h3{font-size:.95rem;font-weight:650;margin-top:1rem}
section{padding:2.2rem 0;border-top:1px solid var(--line)}
section>p{max-width:44rem;margin-top:.45rem}
.note{color:var(--soft)}
a{color:var(--accent)}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px;border-radius:2px}
.skip{position:absolute;left:-999rem}
.skip:focus{left:1rem;top:1rem;background:var(--page);padding:.5rem 1rem;z-index:1}
.hidden{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
td,dd,.text{unicode-bidi:plaintext}

.pass{--state:var(--pass)}.fail{--state:var(--fail)}.error{--state:var(--error)}.open{--state:var(--open)}
header{border-top:6px solid var(--state);padding:2rem 0 2.2rem}
.eyebrow{color:var(--soft);font-size:.875rem}
h1{margin-top:.9rem;line-height:1.05}
.word{display:block;color:var(--state);font-size:clamp(3rem,10vw,5.2rem);font-weight:750;
letter-spacing:-.035em}
.meaning{display:block;color:var(--state);font-size:1.15rem;font-weight:600;line-height:1.4;
margin-top:.45rem;max-width:46rem}
.who{display:block;font-size:1.45rem;font-weight:650;letter-spacing:-.01em;line-height:1.3;
margin-top:1.3rem}
.message{font-size:1.06rem;margin-top:.3rem;max-width:46rem}
.keys{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.6rem,1fr));gap:1rem 1.6rem;
margin-top:1.7rem;padding-top:1.1rem;border-top:1px solid var(--line)}
.keys dt{color:var(--soft);font-size:.8rem}
.keys dd{font-size:1.3rem;font-weight:600;letter-spacing:-.01em;font-variant-numeric:tabular-nums}
.keys small{display:block;color:var(--soft);font-weight:400;font-size:.8rem;letter-spacing:0}

table{border-collapse:collapse;width:100%;margin-top:1.1rem;font-size:.925rem}
caption{text-align:left;color:var(--soft);font-size:.85rem;padding-bottom:.4rem}
th,td{text-align:left;vertical-align:top;padding:.55rem .9rem .55rem 0;border-top:1px solid var(--line)}
th,td{min-width:4.2rem}
tr>:last-child{padding-right:0}
thead th{border-top:0;color:var(--soft);font-weight:500;font-size:.8rem;padding-bottom:.3rem;
overflow-wrap:normal;vertical-align:bottom}
tbody th{font-weight:600;min-width:4.9rem}
.stack tbody th{min-width:8.2rem}
.num{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
td.num,th.num{padding-left:.4rem}
.unit{color:var(--soft);font-size:.85em}
.badge{display:inline-block;min-width:5.2rem;padding:.06rem .5rem;border-radius:3px;text-align:center;
border:1.5px solid var(--state);color:var(--state);font-size:.78rem;font-weight:700;letter-spacing:.03em;
white-space:nowrap;line-height:1.5}
.fail .badge{background:var(--state);color:var(--page)}
.checks td,.checks th{padding-top:.65rem;padding-bottom:.6rem}
.checks .found{padding-left:.5rem;width:48%}
.checks td.num{white-space:normal;overflow-wrap:normal}
.checks th[scope=row]{white-space:nowrap}
.power,.advisory{color:var(--soft);font-size:.85rem;margin-top:.15rem}
details{margin-top:.15rem}
summary{cursor:pointer;color:var(--accent);font-size:.85rem;width:fit-content}
details[open]>summary{margin-bottom:.35rem}
.wide-details>summary{font-size:.95rem}
.evidence{font-size:.85rem;background:var(--panel);padding:.7rem .9rem;border-radius:4px}
.evidence h3{margin:.8rem 0 .2rem;font-size:.85rem}
.evidence>:first-child{margin-top:0}
.outline>div{display:flex;flex-wrap:wrap;gap:.1rem 1rem;padding:.1rem 0}
.outline dt{flex:0 1 11rem;min-width:5rem}
.outline dd{flex:1 1 10rem}
.outline .outline{border-left:2px solid var(--line);padding-left:.8rem;margin-bottom:.2rem}
.outline dt{color:var(--soft)}
.outline dd{font-variant-numeric:tabular-nums;min-width:0}
.outline>.item,.outline>.group{display:block}
.facts{display:grid;grid-template-columns:minmax(7rem,11rem) 1fr;margin-top:1rem;font-size:.925rem}
.facts dt,.facts dd{border-top:1px solid var(--line);padding:.5rem 1rem .5rem 0}
.facts dt{color:var(--soft)}
.facts dd{padding-right:0;min-width:0}
.facts .mono{display:block;color:var(--soft)}
.steps{margin-top:.7rem;padding-left:1.3rem;max-width:46rem}
.steps li{margin-top:.3rem}
.held,.loose{white-space:nowrap}
.held{color:var(--pass)}.loose{color:var(--open)}
figure{margin-top:1.2rem}
figcaption{font-weight:600;font-size:.95rem;margin-bottom:.5rem}
.jump{margin-top:1.4rem;font-size:.9rem}
.jump a{display:inline-block;padding:.25rem 0;margin-right:1.15rem;text-underline-offset:.2em}
.tokens{line-height:1.95}
.token{display:inline-block;max-width:100%;min-width:.6em;white-space:pre-wrap;line-height:1.4;
font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.84rem;
border:1px solid var(--line);border-radius:3px;padding:0 .14em;margin-right:2px;unicode-bidi:isolate}
.space{--ink:var(--soft);margin:0 .1em 0 0;background:linear-gradient(var(--ink) 0 0) 0 90%/1px .28em,
linear-gradient(var(--ink) 0 0) 100% 90%/1px .28em,linear-gradient(var(--ink) 0 0) 0 90%/100% 1px;
background-repeat:no-repeat}
mark{background:var(--accent);color:var(--page)}
mark.token{border-color:var(--accent);font-weight:650}
mark .space{--ink:var(--page)}
.worst td.num,.worst th{white-space:nowrap}
.worst tbody th{min-width:0;font-variant-numeric:tabular-nums}
.worst small{color:var(--soft);font-size:.8rem;margin-left:.4em}
.worst tr>:last-child{padding-left:.9rem;width:60%}
.whole{white-space:nowrap}
.bad{color:var(--fail);font-weight:650}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(19rem,100%),1fr));gap:1rem 2.5rem}
footer{border-top:1px solid var(--line);padding:1.5rem 0 3rem;color:var(--soft);font-size:.85rem}

.chart{display:block;width:100%;height:auto;font-size:13px;fill:var(--ink);overflow:visible}
.narrow{display:none}
.narrow .chart{max-width:26rem}
.pair .chart{max-width:25rem}
.chart .strong{font-weight:650}
.chart .tick{fill:var(--soft);font-size:12px}
.chart .figure{font-variant-numeric:tabular-nums}
.chart .bad{fill:var(--fail);font-weight:650}
.chart .grid{stroke:var(--line)}
.chart .base{stroke:var(--soft)}
.chart .edge{stroke:var(--soft);stroke-width:1.5}
.chart .limit{stroke:var(--ink);stroke-width:1.5;stroke-dasharray:5 3}
.chart .far{stroke:var(--soft);stroke-width:1.5;stroke-dasharray:1 3}
.chart .whisker{stroke:var(--accent);stroke-width:2}
.chart .accent{fill:var(--accent)}
.chart .quiet{fill:var(--soft)}
.chart .over{fill:var(--fail)}
.chart .shade{fill:var(--shade)}
.chart .accent-mean{stroke:var(--accent);stroke-width:3}
.chart .quiet-mean{stroke:var(--soft);stroke-width:3}
.chart .cloud{stroke:var(--accent);stroke-width:4;stroke-linecap:round;stroke-opacity:.55;fill:none}
.chart .off{stroke:var(--fail);stroke-width:7;stroke-opacity:1}
.chart .line{fill:none;stroke:var(--accent);stroke-width:1.75;stroke-linejoin:round}
.chart .line-1{stroke:var(--open);stroke-dasharray:6 3}
.chart .line-2{stroke:var(--pass);stroke-dasharray:2 3}
.chart .line-3{stroke:var(--error);stroke-dasharray:8 3 2 3}
.chart .line-4{stroke:var(--fail);stroke-dasharray:1 4}
.chart .line-5{stroke:var(--soft);stroke-dasharray:10 4}

@media screen and (max-width:46rem){
.wrap{padding:0 1rem}
section{padding:1.6rem 0}
.wide{display:none}.narrow{display:block}
.keys{grid-template-columns:1fr 1fr}
.outline>div{display:block}.facts{grid-template-columns:1fr}
.facts dt{padding-bottom:0}.facts dd{border-top:0;padding-top:0}
.stack,.stack caption,.stack tbody,.stack tr,.stack td,.stack th{display:block;border:0}
.stack thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.stack tr{border-top:1px solid var(--line);padding:.8rem 0}
.stack td,.stack th{padding:0;text-align:left;white-space:normal}
.stack td.num{display:inline-block;margin-right:1.2rem;padding:.1rem 0}
.stack td[data-label]::before{content:attr(data-label) " ";color:var(--soft);font-size:.8rem}
.stack th[scope=row]{display:inline-block;margin:0 .6rem .15rem 0}
.checks .found{padding-left:0;width:auto}
.stack.checks td.num{display:block;margin:.1rem 0}
.stack .state{display:inline-block;margin-right:.6rem}
.seeds td[data-label]{display:flex;justify-content:space-between;margin:0}
.seeds td[data-label]::before{font-size:.9rem}
.seeds th[data-label]::before,.worst th[data-label]::before{content:attr(data-label) " "}
.stack tbody th{min-width:0}
.worst tbody th{display:block}
.worst td{display:inline-block;margin-right:1.2rem}
.worst td:last-child{display:block;width:auto;margin:0;padding:.2rem 0 0}
.worst td:last-child::before{display:none}
}
@page{margin:14mm 13mm 16mm;
@bottom-right{content:counter(page) " of " counter(pages);font:8pt system-ui,sans-serif}}
@media print{
html{font-size:12.5px}
body{font-size:10pt}
.wrap{max-width:none;padding:0}
.skip,.jump{display:none}
header{padding:.8rem 0 1.2rem}
.word{font-size:3rem}
section{padding:1rem 0}
.keys{grid-template-columns:repeat(5,1fr)}
table,.facts,.note{font-size:9pt}
th,td,.checks td,.checks th{padding-top:.3rem;padding-bottom:.3rem}
h2,h3,figcaption,caption,section>p,.facts dt{break-after:avoid}
section>p{break-inside:avoid}
#next{break-inside:avoid}
.pair,.wide,section>table{break-before:avoid}
tr:not(.fail,.error,.open),table:not(.checks,.worst),figure,.pair,.facts dt,.facts dd,.keys,li,footer{
break-inside:avoid}
thead{display:table-header-group}
details::details-content{content-visibility:visible;block-size:auto}
summary{color:var(--soft);list-style:none}
.wide-details:not(.apart)>summary,tr.pass details{display:none}
.apart::details-content{content-visibility:hidden;block-size:0}
.outline dt,.outline dd{flex-basis:7rem}
footer{padding:.7rem 0 0}
.evidence{border:1px solid var(--line)}
.badge,.chart *,mark,.space{print-color-adjust:exact;-webkit-print-color-adjust:exact}
}
"""


def sheet() -> str:
    """Return the whole style sheet."""
    light, dark = (_variables(colours) for colours in (LIGHT, DARK))
    return (
        f":root{{color-scheme:light dark;{light}}}"
        f"@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}"
        f"{_SHEET}"
    )


def _variables(colours: dict[str, str]) -> str:
    return "".join(f"--{name}:{colour};" for name, colour in colours.items())
