"""source.process: lines that start another process or load code that is not Python.

Legal, and the message says so: packers, brotli, lrzip and a compiler at run time are in accepted records
(#1394, #1855, #1514). A reader looks for two things there: bytes that no sum counts (a .c file beside the
script), and work that another process does while the clock believes that nothing happens. Advice, no verdict.

Does not catch: code that an imported package starts. `nvidia-smi` alone, which the baseline calls to describe
the machine, draws no note, nor do the ranks that torchrun starts.
"""

from __future__ import annotations

import ast
import re

from checks.source_note import Note, Source, notes
from checks.source_tree import Tree, last_name, strings

ID = "source.process"

_PROCESS = re.compile(
    r"subprocess\.(?:run|call|check_call|check_output|Popen|getoutput|getstatusoutput)"
    r"|os\.(?:system|popen|fork|forkpty|exec\w+|spawn\w+|posix_spawn\w*)|pty\.spawn"
    r"|asyncio\.create_subprocess_\w+"
)
_HELPERS = re.compile(
    r"(?:torch\.)?multiprocessing\.(?:Process|Pool|spawn|start_processes|pool\.Pool)|multiprocess\.Process"
    r"|(?:concurrent\.futures|futures)\.ProcessPoolExecutor|ProcessPoolExecutor"
)
_NATIVE = re.compile(
    r"ctypes\.(?:CDLL|PyDLL|cdll\.LoadLibrary|pydll\.LoadLibrary|util\.find_library)"
    r"|torch\.utils\.cpp_extension\.(?:load|load_inline|CppExtension|CUDAExtension)"
    r"|torch\.ops\.load_library|cffi\.FFI"
)
_ALIASES = (("mp.", "multiprocessing."), ("cpp_extension.", "torch.utils.cpp_extension."))
_COMPILER = re.compile(
    r"(?:^|[\s/])(gcc|g\+\+|cc|c\+\+|clang|clang\+\+|nvcc|rustc|cargo|make)(?=$|\s)"
)
_PACKER = re.compile(r"(?:^|[\s/])(brotli|lrzip|zstd|xz|gzip|bzip2|7z|pyminify)(?=$|\s)")


def check(source: Source) -> tuple[Note, ...]:
    """Return a note for each line that starts a process or loads native code."""
    tree = source.tree
    found = []
    for i in tree.calls:
        node = tree.nodes[i]
        assert isinstance(node, ast.Call)
        message = _message(tree, i, _name(tree, node))
        if message:
            found.append((i, message))
    return notes(source, ID, found)


def _name(tree: Tree, node: ast.Call) -> str:
    name = tree.qualified(node.func)
    for short, long in _ALIASES:
        if name.startswith(short):
            return long + name.removeprefix(short)
    # mp.get_context("fork").Process(...) hangs on a call.
    if not name and last_name(node.func) in ("Process", "Pool"):
        inner = node.func.value if isinstance(node.func, ast.Attribute) else node.func
        if last_name(inner) == "get_context":
            return f"multiprocessing.{last_name(node.func)}"
    return name


def _message(tree: Tree, i: int, name: str) -> str:
    if _PROCESS.fullmatch(name):
        command = " ".join(strings(tree, i))[:4000]
        if re.match(r"\s*nvidia-smi\b", command):
            return ""
        compiler, packer = _COMPILER.search(command), _PACKER.search(command)
        if compiler:
            return f"compiles at run time ({compiler[1]}): legal; the sources count where bytes do"
        if packer:
            return f"starts {packer[1]}: legal; its time belongs on a clock"
        return f"starts a process ({name[:80]}): legal in itself; see what it does, and when"
    if _HELPERS.fullmatch(name):
        return (
            f"starts helpers ({name[:80]}): legal in itself; see what they do while no clock runs"
        )
    if _NATIVE.fullmatch(name):
        return f"loads native code ({name[:80]}): legal; its source is not read here, and may count"
    return ""
