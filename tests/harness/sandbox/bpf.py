"""An interpreter of seccomp filters: what a compiled program answers to one system call."""

from __future__ import annotations

import struct
from collections.abc import Sequence

X86_64, I386, AARCH64 = 0xC000003E, 0x40000003, 0xC00000B7
X32_BIT = 0x40000000
ALLOW = "allow"
KILL = "kill"
MASK = (1 << 64) - 1


def answer(
    program: bytes, number: int, arguments: Sequence[int] = (), arch: int = X86_64
) -> str | int:
    """Return "allow", "kill" or the errno that the call ends with."""
    filled = [*(value & MASK for value in arguments), *[0] * 6][:6]
    data = struct.pack("<IIQ6Q", number & 0xFFFFFFFF, arch, 0, *filled)
    code = [struct.unpack_from("<HBBI", program, at) for at in range(0, len(program), 8)]
    at, held = 0, 0
    while True:
        operation, if_true, if_false, k = code[at]
        at += 1
        if operation == 0x20:  # load a word of the call
            (held,) = struct.unpack_from("<I", data, k)
        elif operation == 0x54:
            held &= k
        elif operation == 0x05:
            at += k
        elif operation in (0x15, 0x25, 0x35, 0x45):
            holds = {0x15: held == k, 0x25: held > k, 0x35: held >= k, 0x45: bool(held & k)}
            at += if_true if holds[operation] else if_false
        elif operation == 0x06:
            return _said(k)
        else:
            raise ValueError(f"instruction {operation:#x}")


def _said(action: int) -> str | int:
    kind = action & 0xFFFF0000
    if kind == 0x7FFF0000:
        return ALLOW
    if kind == 0x00050000:
        return action & 0xFFFF
    if kind in (0x00000000, 0x80000000):
        return KILL
    raise ValueError(f"action {action:#x}")
