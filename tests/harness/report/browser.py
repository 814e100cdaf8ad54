"""A headless Chromium, driven over a pipe: what a page really looks like, and what it tried to do.

Speaks the DevTools protocol through --remote-debugging-pipe: JSON messages that end in a NUL, commands on
descriptor 3, answers and events on 4.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome", "headless_shell")
PATIENCE_S = 60.0


def found() -> str | None:
    """Return the path of a Chromium, or None where none is on PATH."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Browser:
    """One browser with one page; every event that it reports is kept."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, answers
        self._buffer = b""
        self._number = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Audits"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Return the answer to a command; AssertionError where the browser refuses it."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._message()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            self.events.append(answer)

    def open(self, page: Path) -> None:
        """Load a page from the disk; events of the page before are forgotten."""
        self.events.clear()
        self.send("Page.navigate", url=page.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self._message())

    def show(self, width: int, *, scheme: str = "light", medium: str = "screen") -> None:
        """Take the width of a screen in CSS pixels, a colour scheme and a medium."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=800,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.send("Emulation.setEmulatedMedia", media=medium, features=features)

    def value(self, expression: str) -> Any:
        """Return what a JavaScript expression gives, asked from outside the page's policy."""
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def complaints(self) -> list[str]:
        """Return what the console, the log and the policy had to say, and every request but the page."""
        texts = []
        for event in self.events:
            method, said = event["method"], event.get("params", {})
            if method == "Log.entryAdded":
                texts.append(said["entry"]["text"])
            elif method in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown"):
                texts.append(json.dumps(said)[:200])
            elif method == "Audits.issueAdded":
                texts.append(said["issue"]["code"])
            elif method == "Network.requestWillBeSent" and said["type"] != "Document":
                texts.append(f"asked for {said['request']['url'][:80]}")
        return texts

    def picture(self) -> bytes:
        """Return the whole page as it is shown, as PNG."""
        size = self.send("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        shot = self.send("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        return base64.b64decode(shot["data"])

    def printed(self, **paper: Any) -> bytes:
        """Return the page on paper, as PDF."""
        answer = self.send("Page.printToPDF", printBackground=False, **paper)
        return base64.b64decode(answer["data"])

    def close(self) -> None:
        """End the browser."""
        self._session = None
        self.send("Browser.close")

    def accessible(self) -> list[tuple[str, str]]:
        """Return (role, name) of everything that a screen reader is told of, in order."""
        nodes = self.send("Accessibility.getFullAXTree")["nodes"]
        return [
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in nodes
            if not node["ignored"]
        ]

    def _message(self) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_S
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._answers], [], [], deadline - time.monotonic())
            assert ready, "the browser does not answer"
            part = os.read(self._answers, 1 << 20)
            assert part, "the browser is gone"
            self._buffer += part
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)


_ARGUMENTS = """
--headless --no-sandbox --disable-gpu --hide-scrollbars --no-first-run --mute-audio --disable-extensions
--disable-dev-shm-usage --disable-background-networking --remote-debugging-pipe
"""

_LAUNCH = """
import fcntl, os, sys
taken = [fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3]]
os.dup2(taken[0], 3), os.dup2(taken[1], 4)
os.closerange(5, 256)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""Gives the pipe the two numbers that the browser looks for, whatever they are here."""


@contextmanager
def started(program: str, home: Path) -> Iterator[Browser]:
    """Start a browser whose profile lies in `home`; it is gone afterwards."""
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    own = [f"--user-data-dir={home}", "about:blank"]
    running = subprocess.Popen(
        [
            *(sys.executable, "-c", _LAUNCH, str(theirs_in), str(theirs_out)),
            *(program, *_ARGUMENTS.split(), *own),
        ],
        pass_fds=(theirs_in, theirs_out),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        browser = Browser(ours_out, ours_in)
        yield browser
        browser.close()
        running.wait(timeout=PATIENCE_S)
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()
        os.close(ours_out)
        os.close(ours_in)
