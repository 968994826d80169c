"""The documentation's examples and the smoke run's commands work in a Jupyter kernel."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import start_new_kernel

from pwm.core.task import TaskConfig
from pwm.runs.storage import Store
from pwm.training.config import TrainConfig
from tests.support.histories import made_up, session, shard_of

ROOT = Path(__file__).resolve().parent.parent
PAGES = "".join((ROOT / "docs" / f"{name}.md").read_text() for name in ("train", "grid"))
EXAMPLES = re.findall(r"^```(bash|python)\n(.*?)^```$", PAGES, re.M | re.S)
SMOKE = re.findall(r'^  "\$python" (-m .*\$place.*)$', (ROOT / "reproduce.sh").read_text(), re.M)
# Added to a command to keep the test short.
SHORTER = {"pwm.sweep": "pwm0", "pwm.figures": "pwm0"}
Cell = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cell]:
    """A function that executes code in a new Jupyter kernel and returns the outputs."""
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "jupyter"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(tmp_path))

    def run(code: str) -> list[dict[str, Any]]:
        outputs: list[dict[str, Any]] = []
        reply = client.execute_interactive(code, timeout=120, output_hook=outputs.append)
        shown = "".join(output["content"].get("text", "") for output in outputs)
        assert reply["content"]["status"] == "ok", (code, reply["content"], shown)
        assert "Traceback" not in shown, shown
        return outputs

    yield run
    client.stop_channels()
    manager.shutdown_kernel(now=True)
    manager.cleanup_resources()


def command(flags: str) -> str:
    """A cell that runs a command, as `!python FLAGS` does, and checks its exit status."""
    return f"!{sys.executable} {flags}\nassert _exit_code == 0, _exit_code"


@pytest.mark.machine
def test_the_examples_and_the_smoke_run_work_in_a_kernel(cell: Cell, tmp_path: Path) -> None:
    cell(
        'import os\nassert os.environ["MPLBACKEND"] == "module://matplotlib_inline.backend_inline"'
    )
    run = TrainConfig(
        task=TaskConfig(episode_length=15), critic_weight=3, num_episodes=20_000, log_every=100
    )
    shard = shard_of([run, replace(run, seed=1)])
    Store(tmp_path / "results").put(shard, made_up(2, 200, log_every=100), [session(1, 20_000)])

    (_, train), *_ = (block for block in EXAMPLES if block[0] == "bash")
    cell(command(train.removeprefix("python")))
    examples = [code for language, code in EXAMPLES if language == "python"]
    assert len(examples) == 4
    for code in examples:
        cell(code)
    outputs = cell('from IPython.display import Image\nImage("runs/mine/curves.png")')
    assert any("image/png" in output["content"].get("data", {}) for output in outputs)

    assert [re.split(r"[ .]", line)[2] for line in SMOKE] == ["sweep", "figures", "train", "paper"]
    for line in SMOKE:
        name = line.split()[1]
        cell(command(f"{line.replace('$place', 'smoke')} {SHORTER.get(name, '')}"))
    assert {path.name for path in (tmp_path / "smoke").iterdir()} == {
        *("results", "figures", "train", "paper.pdf"),
    }
