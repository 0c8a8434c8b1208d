"""A headless Chromium, driven by the DevTools protocol over its own websocket."""

from __future__ import annotations

import base64
import itertools
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="Chromium is not installed; on Debian or Ubuntu: apt-get install -y chromium"
)
FLAGS = (
    *(
        "--headless",
        "--no-sandbox",
        "--use-gl=angle",
        "--use-angle=swiftshader",
        "--enable-unsafe-swiftshader",
    ),
    *("--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--hide-scrollbars", "--no-proxy-server", "--remote-debugging-port=0"),
)
PATIENCE_S = 120.0
PHONE = (390, 844)
DESKTOP = (1360, 900)


class Page:
    """One tab.

    Args:
        socket: Connection to the tab.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._numbers = socket, itertools.count(1)
        self.requested: list[str] = []
        """Addresses that the tab has asked for."""
        self.problems: list[str] = []
        """What its console was told: errors, and what the content policy refused."""
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(timeout=PATIENCE_S))
            self._note(message)
            if message.get("id") == number:
                assert "error" not in message, message["error"]
                return message["result"]

    def _note(self, message: dict[str, Any]) -> None:
        params = message.get("params", {})
        if message.get("method") == "Network.requestWillBeSent":
            self.requested.append(params["request"]["url"])
        elif message.get("method") == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.problems.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        elif message.get("method") == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.problems.append(details.get("exception", {}).get("description") or details["text"])

    def open(self, address: str) -> None:
        """Go to an address."""
        self.call("Page.navigate", url=address)

    def run(self, script: str) -> Any:
        """Return the value of an expression, awaited where it is a promise."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def becomes(self, condition: str, patience_s: float) -> bool:
        """Wait until an expression is true; say whether it came to that."""
        end = time.monotonic() + patience_s
        while time.monotonic() < end:
            value = f"try {{ return Boolean({condition}); }} catch {{ return false; }}"
            if self.run(f"(() => {{ {value} }})()"):
                return True
            time.sleep(0.1)
        return False

    def wait(self, condition: str) -> None:
        """Wait until an expression is true."""
        if self.becomes(condition, PATIENCE_S):
            return
        shown = self.text()[:500]
        raise AssertionError(f"never true: {condition}; console: {self.problems}; shown: {shown}")

    def text(self) -> str:
        """Return the text of the page."""
        return str(self.run("document.body.innerText"))

    def click(self, selector: str, containing: str = "") -> None:
        """Click, as a mouse does, the first element that a selector finds and that holds a text."""
        found = (
            f"[...document.querySelectorAll({selector!r})].find(e => e.innerText.includes({containing!r}))"
        )
        self.wait(f"Boolean({found})")
        self.run(f"{found}.scrollIntoView({{ block: 'center' }})")
        box = f"const b = {found}.getBoundingClientRect()"
        x, y = self.run(f"(() => {{ {box}; return [b.x + b.width / 2, b.y + b.height / 2]; }})()")
        self.drag((x, y), (x, y))

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Press the mouse at one point and let it go at another."""
        common = {"button": "left", "clickCount": 1}
        self.call("Input.dispatchMouseEvent", type="mousePressed", x=start[0], y=start[1], **common)
        if start != end:
            for part in (0.25, 0.5, 0.75, 1.0):
                x, y = (a + part * (b - a) for a, b in zip(start, end, strict=True))
                self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y, buttons=1, **common)
        self.call("Input.dispatchMouseEvent", type="mouseReleased", x=end[0], y=end[1], **common)

    def press(self, key: str) -> None:
        """Press and let go one key."""
        text = {"text": key} if len(key) == 1 else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def resize(self, width: int, height: int, dark: bool = False) -> None:
        """Give the page a size in pixels, and the colours that it should prefer."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media="", features=[scheme])

    def shoot(self, path: Path, whole: bool = False) -> None:
        """Write a picture of what is seen, or of the whole page."""
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))


@contextmanager
def opened_browser(folder: Path, size: tuple[int, int] = DESKTOP) -> Iterator[Page]:
    """Yield a tab of a new Chromium that keeps everything in ``folder``."""
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={folder / 'profile'}", "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        line = next((one for one in process.stderr if "DevTools listening on" in one), None)
        assert line is not None, "Chromium ended"
        port = line.split("ws://127.0.0.1:")[1].split("/")[0]
        import httpx

        tabs = httpx.get(f"http://127.0.0.1:{port}/json", trust_env=False, timeout=PATIENCE_S).json()
        address = next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
        with connect(address, max_size=2**28, proxy=None) as socket:
            page = Page(socket)
            page.resize(*size)
            yield page
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE_S)
        assert process.stderr is not None
        process.stderr.close()
