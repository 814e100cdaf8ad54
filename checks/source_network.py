"""source.network: calls that reach for a network, and commands that do.

Training may download, evaluation may not: "no download, no network in evaluation" (README of the contest).
Advice, no verdict: which phase a line runs in is for the reader to see.

Does not catch: a library that downloads when it is imported, a name made up at run time, code in C. The
collectives of torch.distributed are left out: they connect the ranks of one machine.
"""

from __future__ import annotations

import ast
import re

from checks.source_note import Note, Source, notes
from checks.source_tree import Tree, last_name, strings

ID = "source.network"

_MODULES = frozenset(
    "socket urllib urllib3 http ftplib smtplib telnetlib xmlrpc requests httpx aiohttp websockets "
    "pycurl wget gdown huggingface_hub modelscope kaggle boto3 botocore s3fs gcsfs paramiko wandb".split()
)
_HARMLESS = re.compile(
    r"urllib\.parse\b.*|urllib\.error\b.*|http\.HTTPStatus\b.*|http\.cookies\b.*"
    r"|socket\.(gethostname|getfqdn|error|timeout|AF_\w+|SOCK_\w+)"
    r"|wandb\.(log|finish|Artifact|config|run|summary)\b.*"
)
_CALLS = frozenset(
    "snapshot_download hf_hub_download urlretrieve urlopen load_state_dict_from_url load_dataset "
    "download_url create_connection from_pretrained".split()
)
_COMMAND = re.compile(
    r"\b(?:curl|wget|aria2c|gsutil|rclone|scp|ssh|huggingface-cli|hf download|gdown|git clone|git fetch"
    r"|aws s3|apt-get install|apt install|conda install|pip3? install|uv pip install)\b"
)
_STARTS = re.compile(
    r"(?:subprocess|os)\.(?:run|call|check_call|check_output|Popen|getoutput|getstatusoutput|system|popen"
    r"|exec\w+|spawn\w+|posix_spawn\w*)"
)


def check(source: Source) -> tuple[Note, ...]:
    """Return a note for each line that calls or imports what reaches a network."""
    tree = source.tree
    found: list[tuple[int, str]] = []
    for i, node in enumerate(tree.nodes):
        if isinstance(node, ast.Import | ast.ImportFrom):
            found += [(i, message) for message in _imported(node)]
        elif isinstance(node, ast.Call):
            message = _called(tree, i, node)
            if message:
                found.append((i, message))
    return notes(source, ID, found)


def _imported(node: ast.Import | ast.ImportFrom) -> list[str]:
    """Return messages for imports that have no other use than a network."""
    if isinstance(node, ast.ImportFrom):
        names = [f"{node.module or ''}.{alias.name}" for alias in node.names]
    else:
        names = [alias.name for alias in node.names]
    # `import socket` and `import http` alone say nothing: what is called of them does.
    tell = [n for n in names if n.partition(".")[0] in _MODULES and n not in ("socket", "http")]
    tell = [n for n in tell if not _HARMLESS.fullmatch(n) and n != "urllib"]
    return [f"imports {name[:80]}, which reaches a network" for name in tell]


def _called(tree: Tree, i: int, node: ast.Call) -> str:
    name = tree.qualified(node.func)
    if _STARTS.fullmatch(name):
        # A command may stand in one string or as a list of words.
        command = _COMMAND.search(" ".join(strings(tree, i)))
        return f"starts `{command.group()}`, which reaches a network" if command else ""
    first = name.partition(".")[0]
    if first in _MODULES and "." in name and not _HARMLESS.fullmatch(name):
        return f"calls {name[:80]}, which reaches a network"
    if name == "torch.hub.load" or last_name(node.func) in _CALLS:
        local = any(
            k.arg == "local_files_only" and getattr(k.value, "value", 0) is True
            for k in node.keywords
        )
        return "" if local else f"calls {last_name(node.func)}, which may download"
    return ""
