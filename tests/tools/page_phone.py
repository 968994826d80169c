"""Times of the page on a slow device: Chromium with a phone's screen and a throttled processor.

    python -m tests.tools.page_phone

Prints the milliseconds until the page first shows content, until it can be used, and from a choice
in the section Look until the charts are drawn (the median over its lists).
"""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from tests.page.node import PAGE
from tests.support.browser import Browser, browser

SLOWDOWNS = (1, 4, 6)  # of the processor; Chromium's tools offer 4 and 6 for phones
SCREEN = {"width": 390, "height": 844, "deviceScaleFactor": 3, "mobile": True}
LOADED = """
    (async () => {
      const entry = async (name) => {
        for (;;) {
          const [found] = performance.getEntriesByName(name);
          if (found) return found;
          await new Promise((drawn) => requestAnimationFrame(drawn));
        }
      };
      const content = await entry("first-contentful-paint");
      const [navigation] = performance.getEntriesByType("navigation");
      return { content: content.startTime, ready: navigation.loadEventEnd };
    })()
"""
CHOICES = """
    (async () => {
      const times = [];
      for (const list of document.querySelectorAll("#look select")) {
        const options = [...list.options];
        if (options.length < 2) continue;
        const started = performance.now();
        list.value = options.at(-1).value;
        list.dispatchEvent(new Event("change", { bubbles: true }));
        await new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)));
        times.push(performance.now() - started);
      }
      return times;
    })()
"""


def become_a_phone(tab: Browser, slowdown: float) -> None:
    """Emulates a phone in a Chromium tab: its screen, and a CPU `slowdown` times slower."""
    session = tab.send("goog:cdp.getSession", context=tab.tab)["session"]

    def command(method: str, **parameters: Any) -> None:
        """Sends a command of Chromium's own protocol."""
        tab.send("goog:cdp.sendCommand", session=session, method=method, params=parameters)

    command("Emulation.setCPUThrottlingRate", rate=slowdown)
    command("Emulation.setDeviceMetricsOverride", **SCREEN)


def measure(slowdown: float) -> dict[str, float]:
    """Milliseconds until content, until ready and until a choice is drawn, by name."""
    with TemporaryDirectory() as folder, browser("chromium", Path(folder)) as tab:
        become_a_phone(tab, slowdown)
        tab.open((PAGE / "index.html").as_uri())
        times: dict[str, float] = tab.ask(LOADED)
        return times | {"choice": median(tab.ask(CHOICES))}


def main() -> None:
    """Runs the command."""
    for slowdown in SLOWDOWNS:
        times = {name: round(time) for name, time in measure(slowdown).items()}
        print(f"processor slowed {slowdown} times: {json.dumps(times)}")


if __name__ == "__main__":
    main()
