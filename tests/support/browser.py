"""A real browser, driven through the WebDriver BiDi protocol.

Firefox implements the protocol itself, Chromium through its driver. Needs only the Debian packages
firefox-esr, chromium and chromium-driver.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
import shutil
import subprocess
import time
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from tornado.websocket import WebSocketClientConnection, websocket_connect

START = 60.0  # seconds
PROGRAMS: Mapping[str, Sequence[str]] = {
    "chromium": ("chromium", "chromedriver"),
    "firefox": ("firefox-esr",),
}
CHROMIUM = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
PREFERENCES = 'user_pref("{name}", {value});\n'
FIREFOX: Mapping[str, object] = {
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "remote.active-protocols": 1,
}

# JavaScript functions
SCROLL_TO = """
    async (selector) => {
      const found = document.querySelector(selector);
      found.scrollIntoView({ block: "center", behavior: "instant" });
      const frame = () => new Promise((drawn) => requestAnimationFrame(drawn));
      await frame();
      await frame();
      return found;
    }
"""
CHOOSE = """
    (selector, text) => {
      const list = document.querySelector(selector);
      const texts = [...list.options].map((option) => option.text);
      if (texts.includes(text)) {
        list.value = list.options[texts.indexOf(text)].value;
        list.dispatchEvent(new Event("change", { bubbles: true }));
      }
      return texts;
    }
"""
FILL = """
    (selector, text) => {
      const field = document.querySelector(selector);
      field.value = text;
      field.dispatchEvent(new Event("change", { bubbles: true }));
    }
"""


def missing(name: str) -> str:
    """Name of a browser's first program that is not installed; "" if all are installed."""
    return next((each for each in PROGRAMS[name] if not shutil.which(each)), "")


class Browser:
    """One tab of a running browser."""

    def __init__(self, socket: WebSocketClientConnection, loop: asyncio.AbstractEventLoop) -> None:
        self._socket, self._loop = socket, loop
        self._numbers = itertools.count(1)
        self.log: list[str] = []
        """Uncaught errors, and messages that the page logs."""
        self.requests: list[str] = []
        """Addresses that the browser requested."""
        self.tab = ""
        """The browser's identifier of the tab."""

    def begin(self, *, is_new: bool) -> None:
        """Begins a session if `is_new`, subscribes to events, and takes the first tab."""
        if is_new:
            self.send("session.new", capabilities={})
        events = ["log.entryAdded", "network.beforeRequestSent"]
        self.send("session.subscribe", events=events)
        self.tab = self.send("browsingContext.getTree")["contexts"][0]["context"]

    def end(self) -> None:
        """Closes the connection."""
        self._socket.close()

    def send(self, method: str, /, **parameters: Any) -> dict[str, Any]:
        """Sends a command and returns its result.

        Raises:
            RuntimeError: the browser answers with an error.
        """
        number = next(self._numbers)
        command = {"id": number, "method": method, "params": parameters}
        self._loop.run_until_complete(self._write(json.dumps(command)))
        while True:
            text = self._loop.run_until_complete(self._read())
            if text is None:
                raise RuntimeError(f"{method}: the browser has gone")
            answer = json.loads(text)
            if answer.get("method") == "log.entryAdded":
                self.log.append(f"{answer['params']['level']}: {answer['params']['text']}")
            elif answer.get("method") == "network.beforeRequestSent":
                self.requests.append(answer["params"]["request"]["url"])
            elif answer.get("id") == number:
                if answer["type"] == "error":
                    raise RuntimeError(f"{method}: {answer['message']}")
                result: dict[str, Any] = answer["result"]
                return result

    def open(self, address: str) -> None:
        """Opens an address and waits until it is loaded."""
        self.send("browsingContext.navigate", context=self.tab, url=address, wait="complete")

    def resize(self, width: int, height: int) -> None:
        """Sets the page's size, in CSS pixels."""
        size = {"width": width, "height": height}
        self.send("browsingContext.setViewport", context=self.tab, viewport=size)

    def ask(self, expression: str) -> Any:
        """Value of a JavaScript expression, converted through JSON; promises are awaited.

        Raises:
            RuntimeError: the expression throws.
        """
        answer = self._evaluate(f"(async () => JSON.stringify(await ({expression})))()")
        return json.loads(answer["value"]) if answer["type"] == "string" else None

    def wait(self, expression: str, seconds: float = 30.0) -> Any:
        """Waits until an expression is true; returns its value.

        Raises:
            TimeoutError: the expression is still false after `seconds` seconds.
        """
        end = time.monotonic() + seconds
        while not (value := self.ask(expression)):
            if time.monotonic() > end:
                raise TimeoutError(f"{expression}; the log: {self.log}")
            time.sleep(0.05)
        return value

    def text(self, selector: str) -> str:
        """The text of the first element that a selector matches."""
        return str(self.ask(f"document.querySelector({json.dumps(selector)}).textContent"))

    def click(self, selector: str) -> None:
        """Scrolls to an element and clicks on its centre.

        The mouse moves there twice: elements that it passes over the first time may change size
        and move the target.
        """
        for is_there in (False, True):
            found = self._evaluate(f"({SCROLL_TO})({json.dumps(selector)})")
            origin = {"type": "element", "element": {"sharedId": found["sharedId"]}}
            actions: list[dict[str, Any]] = [
                {"type": "pointerMove", "x": 0, "y": 0, "origin": origin}
            ]
            if is_there:
                actions += [{"type": kind, "button": 0} for kind in ("pointerDown", "pointerUp")]
            self._act({"type": "pointer", "id": "mouse", "actions": actions})

    def press(self, *keys: str) -> None:
        """Presses keys in turn; a key is named by its character in the WebDriver standard."""
        kinds = ("keyDown", "keyUp")
        actions = [{"type": kind, "value": key} for key in keys for kind in kinds]
        self._act({"type": "key", "id": "keyboard", "actions": actions})

    def choose(self, selector: str, text: str) -> None:
        """Selects the option with the given text in a list."""
        options = self.ask(f"({CHOOSE})({json.dumps(selector)}, {json.dumps(text)})")
        assert text in options, f"{selector}: {text} is not among {options}"

    def fill(self, selector: str, text: str) -> None:
        """Replaces the text of a field."""
        self.ask(f"({FILL})({json.dumps(selector)}, {json.dumps(text)})")

    def screenshot(self, path: Path) -> None:
        """Writes a picture of the whole page."""
        shot = self.send("browsingContext.captureScreenshot", context=self.tab, origin="document")
        path.write_bytes(b64decode(shot["data"]))

    async def _write(self, text: str) -> None:
        """Sends a message."""
        await self._socket.write_message(text)

    async def _read(self) -> str | bytes | None:
        """The next message; None if the browser has closed the connection."""
        return await self._socket.read_message()

    def _act(self, source: Mapping[str, Any]) -> None:
        """Performs the actions of one input source."""
        self.send("input.performActions", context=self.tab, actions=[source])

    def _evaluate(self, expression: str) -> dict[str, Any]:
        """Evaluates an expression; returns its value in the protocol's form."""
        answer = self.send(
            "script.evaluate",
            expression=expression,
            awaitPromise=True,
            target={"context": self.tab},
        )
        if answer["type"] == "exception":
            raise RuntimeError(answer["exceptionDetails"]["text"])
        value: dict[str, Any] = answer["result"]
        return value


@contextlib.contextmanager
def browser(name: str, folder: Path) -> Iterator[Browser]:
    """Starts a headless browser, yields its tab, and stops the browser.

    Args:
        name: one of `PROGRAMS`.
        folder: an empty folder for its profile.
    """
    command = (
        ["chromedriver", "--port=0"]
        if name == "chromium"
        else ["firefox-esr", "--headless", "--remote-debugging-port=0", "--profile", str(folder)]
    )
    values = ((key, json.dumps(value)) for key, value in FIREFOX.items())
    lines = (PREFERENCES.format(name=key, value=value) for key, value in values)
    (folder / "user.js").write_text("".join(lines))
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    loop = asyncio.new_event_loop()
    try:
        port = _port(log, process)
        if name == "chromium":
            address, ending = _chromium(port, folder)
        else:
            address, ending = f"ws://127.0.0.1:{port}/session", None  # ends with its process
        tab = Browser(loop.run_until_complete(_connected(address)), loop)
        tab.begin(is_new=ending is None)
        yield tab
        tab.end()
        if ending:
            urlopen(ending, timeout=START).close()
    finally:
        process.terminate()
        process.wait(START)
        loop.close()


async def _connected(address: str) -> WebSocketClientConnection:
    """Connects to a browser, for messages of up to 256 MiB, such as screenshots."""
    return await websocket_connect(address, max_message_size=2**28)


def _port(log: Path, process: subprocess.Popen[bytes]) -> int:
    """Port that a program listens on, read from its log."""
    said = re.compile(r"(?:successfully on port |ws://127\.0\.0\.1:)(\d+)")
    end = time.monotonic() + START
    while time.monotonic() < end and process.poll() is None:
        if found := said.search(log.read_text(errors="replace")):
            return int(found[1])
        time.sleep(0.05)
    raise TimeoutError(log.read_text(errors="replace"))


def _chromium(port: int, folder: Path) -> tuple[str, Request]:
    """Starts a Chromium session; returns its address and the request that ends it."""
    options = {"args": [*CHROMIUM, f"--user-data-dir={folder / 'profile'}"]}
    wanted = {"webSocketUrl": True, "goog:chromeOptions": options}
    body = json.dumps({"capabilities": {"alwaysMatch": wanted}}).encode()
    place = f"http://127.0.0.1:{port}/session"
    with urlopen(Request(place, body), timeout=START) as answer:
        session = json.load(answer)["value"]
    address = str(session["capabilities"]["webSocketUrl"])
    return address, Request(f"{place}/{session['sessionId']}", method="DELETE")
