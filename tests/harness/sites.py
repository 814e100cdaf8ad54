"""Folders of installed packages as an installer leaves them: files, METADATA, RECORD with its sums."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path


def install(
    site: Path,
    name: str,
    files: Mapping[str, bytes | str] | None = None,
    *,
    version: str = "1.0",
    requires: Sequence[str] = (),
    listed: Mapping[str, str] | None = None,
    record: bool = True,
    editable: bool = False,
) -> Path:
    """Install a package of one module, or of `files`, and return its metadata folder.

    `listed` are further rows of RECORD, each with the sum it states; their files are not written.
    """
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    head = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
    written: dict[str, bytes | str] = {
        **({f"{name.replace('-', '_')}.py": f"NAME = {name!r}\n"} if files is None else files),
        f"{info}/METADATA": "\n".join([*head, *(f"Requires-Dist: {one}" for one in requires), ""]),
    }
    if editable:
        noted = {"url": "file:///elsewhere", "dir_info": {"editable": True}}
        written[f"{info}/direct_url.json"] = json.dumps(noted)
    rows = []
    for path, content in written.items():
        data = content.encode() if isinstance(content, str) else content
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_bytes(data)
        rows.append(f"{path},{stated(data)},{len(data)}")
    rows += [f"{path},{total}," for path, total in (listed or {}).items()]
    if record:
        (site / info / "RECORD").write_text("\n".join([*rows, f"{info}/RECORD,,", ""]))
    return site / info


def stated(data: bytes) -> str:
    """Return a sum in the form of RECORD."""
    text = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"sha256={text}"
