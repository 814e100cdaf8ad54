"""Every token as likely as any other; speaks the protocol by itself, with nothing imported but sockets.

It starts in a few milliseconds, which is what tests want that start it often, and shows that docs/protocol.md
is enough to write a scorer in any language.
"""

import array
import json
import math
import socket
import struct
import sys
from pathlib import Path

HEADER = struct.Struct("<4sHHQ")
OPEN, DATA, SCORE, ACCEPT, PREDICT, CLOSE, READY, NATS, DONE, LOGPROBS = (
    *range(1, 7),
    *range(17, 21),
)


def send(kind: int, payload: bytes = b"") -> None:
    judge.sendall(HEADER.pack(b"HRN1", kind, 0, len(payload)) + payload)


def exactly(size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += judge.recv(size - len(data)) or sys.exit(0)
    return data


def receive() -> tuple[int, bytes]:
    _, kind, _, length = HEADER.unpack(exactly(HEADER.size))
    return kind, exactly(length)


judge = socket.socket(fileno=0)
vocab = json.loads(receive()[1])["vocab_size"]
nats = math.log(vocab)
send(READY)
if sys.argv[1] == "train":
    _, payload = receive()  # the descriptors that travel with it are left where they are
    Path(json.loads(payload)["out"], "none.bin").write_bytes(b"nothing to learn")
while sys.argv[1] == "score":
    kind, payload = receive()
    if kind == CLOSE:
        break
    if kind == SCORE:
        send(NATS, array.array("d", [nats] * (len(payload) // 4)).tobytes())
    elif kind == PREDICT:
        send(LOGPROBS, array.array("f", [-nats] * vocab).tobytes())
    else:
        send(DONE)
