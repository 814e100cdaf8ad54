"""Packed scripts come apart as they were packed, and nothing of them runs."""

import base64
import binascii
import bz2
import gzip
import lzma
import time
import tracemalloc
import zlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from checks.source_tree import MAX_CHARACTERS, MAX_TOKENS, split_lines
from harness.audit import decode, unwrap
from harness.audit.unwrap import Layer, text_of

RAW = {"format": lzma.FORMAT_RAW, "filters": [{"id": lzma.FILTER_LZMA2}]}


def _deflated(data):
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def brotli_compress(data):
    import brotli

    return brotli.compress(data, quality=5)


# Each encoder: bytes in, bytes out, and the expression that undoes it, with @@ for what it is applied to.
ENCODERS = {
    "zlib": (zlib.compress, "zlib.decompress(@@)"),
    "zlib raw": (_deflated, "zlib.decompress(@@, -15)"),
    "zlib object": (_deflated, "zlib.decompressobj(wbits=-15).decompress(@@)"),
    "gzip": (gzip.compress, "gzip.decompress(@@)"),
    "bz2": (bz2.compress, "bz2.decompress(@@)"),
    "lzma": (lzma.compress, "lzma.decompress(@@)"),
    "lzma alone": (lambda d: lzma.compress(d, lzma.FORMAT_ALONE), "lzma.decompress(@@)"),
    "lzma preset": (lambda d: lzma.compress(d, preset=9), "lzma.decompress(@@)"),
    "lzma raw": (
        lambda d: lzma.compress(d, **RAW),
        'lzma.decompress(@@, format=lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2}])',
    ),
    "lzma raw preset": (
        lambda d: lzma.compress(d, **RAW),
        'L.decompress(@@, L.FORMAT_RAW, None, [{"id": L.FILTER_LZMA2, "preset": 9 | L.PRESET_EXTREME}])',
    ),
    "brotli": (brotli_compress, "brotli.decompress(@@)"),
    "b64": (base64.b64encode, "base64.b64decode(@@)"),
    "urlsafe": (base64.urlsafe_b64encode, "base64.urlsafe_b64decode(@@)"),
    "b85": (base64.b85encode, "B.b85decode(@@)"),
    "a85": (base64.a85encode, "base64.a85decode(@@)"),
    "b32": (base64.b32encode, "base64.b32decode(@@)"),
    "b16": (base64.b16encode, "base64.b16decode(@@)"),
    "hex": (binascii.hexlify, "bytes.fromhex(@@.decode())"),
    "unhexlify": (binascii.hexlify, "binascii.unhexlify(@@)"),
    "codecs": (binascii.hexlify, 'codecs.decode(@@, "hex")'),
    "imported": (zlib.compress, '__import__("zlib").decompress(@@)'),
    "reversed": (lambda d: d[::-1], "@@[::-1]"),
    "replaced": (lambda d: d.replace(b"z", b"\0\1z"), '@@.replace(b"\\0\\1z", b"z")'),
    "stripped": (lambda d: b"~~" + d + b"~", '(b"~" + @@ + b"~~")[3:-3]'),
    "latin": (lambda d: d, '@@.decode("latin-1").encode("L1")'),
    "joined": (lambda d: d, 'b"".join([@@, b""])'),
}
HEAD = "import base64, binascii, bz2, codecs, gzip, lzma, zlib, brotli\nimport lzma as L, base64 as B\n"
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=300).map(
    lambda text: f"import os\n{text}"
)


def packed(data, chain, run="exec(@@)"):
    """Return a script that runs `data` after undoing the encoders of `chain`."""
    expression = run
    for name in chain:
        encode, undo = ENCODERS[name]
        data = encode(data)
        expression = expression.replace("@@", undo)
    return HEAD + expression.replace("@@", repr(data)) + "\n"


def texts(script):
    data = script if isinstance(script, bytes) else script.encode()
    return [layer.text for layer in unwrap.unwrap("t.py", data).layers]


def notes(script):
    return unwrap.unwrap("t.py", script.encode()).notes


@given(TEXTS, st.lists(st.sampled_from(sorted(ENCODERS)), max_size=4))
def test_what_any_chain_of_encoders_packs_comes_out_again(text, chain):
    script = packed(text.encode(), chain)
    assert texts(script)[:2] == [script, text_of(text.encode())[0]]


@pytest.mark.parametrize("name", sorted(ENCODERS))
def test_each_encoder_is_undone(name):
    assert texts(packed(b"print('here')", [name]))[1:] == ["print('here')"]


@given(TEXTS, st.integers(1, 4))
def test_layers_in_layers_are_opened_one_by_one(text, depth):
    script = text
    expected = [text]
    for _ in range(depth):
        script = packed(script.encode(), ["zlib", "b85"], "exec(@@.decode())")
        expected.append(script)
    assert texts(script)[: depth + 1] == expected[::-1]


@given(st.binary(max_size=400))
@example(b"\xff\xfeexec('1')")
@example("\N{BYTE ORDER MARK}exec('1')".encode("utf-16"))
@example(b"# coding: punycode\nexec(b'x')")
@example(b"# coding: zlib\n\xe9")
@example(b"exec('\\ud800')\0")
@example(b"exec(eval(compile('1', '', 'exec')))")
def test_arbitrary_bytes_never_raise(data):
    found = unwrap.unwrap("x", data)
    assert found.layers[0].name == "x"
    assert all(len(note) < 400 for note in found.notes)


PIECES = st.sampled_from(
    (
        "exec( eval( compile( zlib.decompress( base64.b85decode( 'a' b'b' ) , + * % [ ] { } : ::-1 x x= "
        "\n import zlib,base64 for def f( lambda : .decode( .join( .replace( 9**9 -1 None 'utf-7' f'{x}' \\ #"
    ).split(" ")
)


@given(st.lists(PIECES, max_size=30).map("".join))
def test_arbitrary_scripts_never_raise_and_name_lines_that_exist(script):
    found = unwrap.unwrap("x", script.encode())
    by_name = {layer.name: layer for layer in found.layers}
    for layer in found.layers[1:]:
        parent = by_name[layer.name.rpartition(":")[0]]
        assert 1 <= layer.line <= len(split_lines(parent.text))


def test_the_line_is_that_of_the_call_in_the_parent_and_how_names_the_steps():
    script = packed(b"\n\nexec('a = 1')", ["lzma raw", "b85"])
    first, second, third = unwrap.unwrap("d/t.py", script.encode()).layers
    assert (first.how, first.line) == ("as it is", 0)
    assert second == Layer(
        "d/t.py:3", "\n\nexec('a = 1')", "base64.b85decode, lzma.decompress, exec", 3
    )
    assert third == Layer("d/t.py:3:3", "a = 1", "exec", 3)


@pytest.mark.parametrize(
    "script",
    [
        "d = 'YSA9IDE='\nd = base64.b64decode(d)\nexec(d)",
        "d = 'YSA9'\nd += 'IDE='\nexec(base64.b64decode(d).decode())",
        "d = 'YSA9' + 'ID' \\\n 'E='\ndef main():\n    exec(base64.b64decode(d))",
        "from base64 import b64decode as f\nexec(f('YSA9IDE='))",
        "f = base64.b64decode\nrun = exec\nrun(f('YSA9IDE='))",
        "exec(getattr(base64, 'b64decode')('YSA9IDE='))",
        "c = compile(base64.b64decode('YSA9IDE='), 'x', 'exec')\nexec(c, {})",
        "import builtins\nbuiltins.exec(''.join(['a', ' = 1']))",
        "exec('1 = a'[::-1])",
        "exec('aX=X1'.replace('X', ' '))",
        "exec(f'a {\"=\"} 1')",
        "exec(bytes('a = 1', 'L1'))",
        "exec(str(b'a = 1', 'utf8'))",
        "exec('n = 1'.replace('n', 'a').strip())",
        "exec(codecs.decode('n = 1', 'rot13'))",
        "exec(bytes([97, 32, 61, 32, 49]))",
    ],
)
def test_forms_of_literals(script):
    assert texts(f"import base64, codecs\n{script}\n")[1:] == ["a = 1"]


def test_an_evaluated_literal_is_a_layer_and_a_models_eval_is_not():
    assert texts("eval('f(x)')\nmodel.eval()\nmodel.exec('x')")[1:] == ["f(x)"]


def test_what_is_decompressed_and_not_seen_to_be_run_is_a_layer_if_it_is_a_script():
    payload = zlib.compress(b"import os\nos.getcwd()\n")
    script = f"import zlib\nopen('x.py', 'wb').write(zlib.decompress({payload!r}))\n"
    layers = unwrap.unwrap("t.py", script.encode()).layers
    assert layers[1].how == "zlib.decompress, not seen to be run"
    weights = f"import zlib\nw = zlib.decompress({zlib.compress(bytes(range(256)))!r})\n"
    assert len(texts(weights)) == 1


def test_what_is_decompressed_into_a_name_and_run_by_it_is_one_layer():
    payload = zlib.compress(b"import os\n")
    script = f"import zlib\nd = zlib.decompress({payload!r})\nexec(d)\n".encode()
    (_, layer) = unwrap.unwrap("t.py", script).layers
    assert layer == Layer("t.py:3", "import os\n", "zlib.decompress, exec", 3)


def test_prose_that_is_decompressed_is_no_layer():
    payload = zlib.compress(b"import taxes rose\nfrom here on\n")
    assert len(texts(f"import zlib\nprint(zlib.decompress({payload!r}))\n")) == 1


def test_a_step_on_the_way_to_what_is_run_is_no_layer():
    payload = zlib.compress(b"import os\nQQ = 1\n")
    script = f"import zlib\nexec(zlib.decompress({payload!r}).replace(b'QQ', b'a'))\n"
    assert texts(script)[1:] == ["import os\na = 1\n"]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("\n\nexec(open('other.py').read())", "line 3: exec of something that is not a literal"),
        ("x = 'a'\nif y:\n    x = 'b'\nexec(x)", "the name x, given more than one value"),
        ("exec(bytes(c ^ 5 for c in b'abc'))", "a comprehension"),
        (
            "import marshal\nexec(marshal.loads(b'x'))",
            "line 2: marshal.loads: what it loads is not text",
        ),
        ("import runpy\nrunpy.run_path('b.py')", "line 2: runpy.run_path of b.py"),
        ("import zlib\nexec(zlib.decompress(b'junk'))", "zlib.decompress refuses it: error"),
        ("exec(1)", "neither text nor bytes"),
        ("exec('a' * 99_000_000)", "more than 16,000,000 bytes"),
        ("exec(b'\\xff'.decode('idna'))", "the coding idna"),
        ("x = (", "not read: not Python (line 1)"),
        ("a\0b", "not read: not Python"),
        ("-" * 100_000 + "1", "nested too deeply"),
        ("a" + ".b" * 100_000, "nested too deeply"),
        ("a" * (MAX_CHARACTERS + 1), "more than 8,000,000 characters"),
        ("a\n" * (MAX_TOKENS + 1), "more than 300,000 tokens"),
        ("f'" + "{a}" * 1_000_000 + "'", "more than 300,000 tokens"),
        (f"c = '''{'#include <stdio.h>' + chr(10) * 300}'''", "line 1: 301 lines of C in a string"),
    ],
)
def test_what_cannot_be_unwrapped_is_said(script, said):
    found = notes(script)
    assert any(said in note for note in found)
    assert all(note.startswith("t.py: ") for note in found)


@pytest.mark.parametrize(
    ("data", "text", "said"),
    [
        (b"\xef\xbb\xbfa = 1", "a = 1", ""),
        ("a = 'é'".encode("utf-16"), "a = 'é'", "encoded in utf-16, which Python does not run"),
        (b"# coding: latin-1\n\xe9", "# coding: latin-1\né", ""),
        (b"#!/usr/bin/python\n# -*- coding: cp1252 -*-\n\x80", None, ""),
        (
            b"# coding: punycode\na",
            "# coding: punycode\na",
            "names the coding punycode; read as UTF-8",
        ),
        (
            b"# coding: nosuch\na",
            "# coding: nosuch\na",
            "names an unknown coding, nosuch; read as UTF-8",
        ),
        (b"x = 1\n\n# coding: latin-1\n\xe9", None, "not utf-8 at byte 25"),
    ],
)
def test_codings(data, text, said):
    found, problem = text_of(data)
    assert problem == said
    assert text is None or found == text


def test_a_packed_script_declares_its_own_coding():
    assert texts("exec(b'# coding: latin-1\\nx = \"\\xe9\"')")[1] == '# coding: latin-1\nx = "é"'


BOMB = bytes(80_000_000)


@pytest.mark.parametrize(
    ("pack", "undo"),
    [
        (zlib.compress, "zlib.decompress"),
        (gzip.compress, "gzip.decompress"),
        (bz2.compress, "bz2.decompress"),
        (lambda d: lzma.compress(d, preset=0), "lzma.decompress"),
        (brotli_compress, "brotli.decompress"),
    ],
    ids=["zlib", "gzip", "bz2", "lzma", "brotli"],
)
def test_a_bomb_is_stopped_at_the_cap(pack, undo):
    script = f"import zlib, gzip, bz2, lzma, brotli\nexec({undo}({pack(BOMB)!r}))\n".encode()
    tracemalloc.start()
    try:
        found = unwrap.unwrap("t.py", script)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "more than 16,000,000 bytes come out" in found.notes[0]
    assert peak < 4 * decode.MAX_VALUE


def test_a_dictionary_as_large_as_the_script_asks_for_is_not_made():
    payload = lzma.compress(b"a = 1", **RAW)
    huge = f'filters=[{{"id": lzma.FILTER_LZMA2, "dict_size": {2**32 - 1}}}]'
    script = f"import lzma\nexec(lzma.decompress({payload!r}, lzma.FORMAT_RAW, {huge}))"
    tracemalloc.start()
    try:
        assert texts(script)[1] == "a = 1"
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 40_000_000


def doubled(times):
    return "a0 = ''\n" + "".join(f"a{i} = a{i - 1} + a{i - 1}\n" for i in range(1, times + 1))


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (doubled(26) + "exec(a26)", "more than 200,000 steps"),
        (doubled(50) + "exec(a50)", "nested more than 60 deep"),
        (
            "x = 'ab' * 7_000_000\n" + "exec(x.replace('a', 'c'))\n" * 500,
            "more than 64,000,000 bytes",
        ),
        (
            "x = 'a' * 4_000\nexec(x.replace('a', 'b' * 5_000))",
            "more than 16,000,000 bytes come out",
        ),
        ("x = 'a' * 9_000_000\nexec(x + x)", "more than 16,000,000 bytes come out"),
        (
            "x = ['a' * 9_000_000] \nexec(''.join([x[0], x[0]]))",
            "more than 16,000,000 bytes come out",
        ),
        ("exec('a' * 9_000_000)", "exec of more than 8,000,000 characters; not kept"),
        ("import zlib\n" + "exec(zlib.decompress(b'junk'))\n" * 5_000, "4,950 more notes"),
        (
            "import base64\nx = '0' * 9_000_000\nexec(base64.b85decode(x))",
            "more than 8,500,000 bytes into base64.b85decode",
        ),
        (
            "import base64\nexec(base64.b85decode('" + "0" * 7_000_000 + "'))",
            "more than 300,000 tokens",
        ),
    ],
)
def test_work_is_bounded_and_the_bound_is_said(script, said):
    start = time.monotonic()
    found = unwrap.unwrap("t.py", script.encode())
    assert time.monotonic() - start < 60
    assert any(said in note for note in found.notes)
    assert len(found.layers) <= unwrap.MAX_LAYERS
    assert len(found.notes) <= unwrap.MAX_NOTES + 1


def test_the_longest_of_many_payloads_is_opened_first_and_the_rest_are_told():
    script = "".join(f"exec('{i}')\n" for i in range(20)) + "exec('long = 1')\n"
    found = unwrap.unwrap("t.py", script.encode())
    assert found.layers[1].text == "long = 1"
    assert len(found.layers) == unwrap.MAX_LAYERS
    assert "t.py: line 10: more than 8 layers; not unwrapped" in found.notes


def test_nothing_is_run(tmp_path):
    mark = tmp_path / "ran"
    deed = f"open({str(mark)!r}, 'w').close()"
    inner = packed(deed.encode(), ["zlib", "b64"])
    script = (
        f"# coding: utf-8\n{deed}\n{inner}\nexec(compile({deed!r}, 'x', 'exec'))\neval({deed!r})\n"
        f"import pickle, marshal\nmarshal.loads(b'')\nexec(f\"{{{deed}}}\")\nexec([{deed}][0])\n"
        f"__import__('os').system('touch {mark}')\n"
    )
    found = texts(script)
    assert deed in found
    assert not mark.exists()


@settings(max_examples=20)
@given(st.integers(0, 3), st.integers(1, 40))
def test_a_stream_that_is_cut_off_is_said(which, cut):
    name = ("zlib", "gzip", "bz2", "lzma")[which]
    data = ENCODERS[name][0](b"import os\n" * 9)
    script = f"import zlib, gzip, bz2, lzma\nexec({name}.decompress({data[:-cut]!r}))"
    found = unwrap.unwrap("t.py", script.encode())
    # Of gzip and lzma a short cut only takes the sum behind the data, which is read as the end.
    assert len(found.layers) == 1 or found.layers[1].text == "import os\n" * 9
    assert len(found.layers) == 2 or found.notes
