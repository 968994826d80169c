"""The examples, and the code on the page about the environments, run as they stand."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
PAGE = ROOT / "docs" / "environments.md"


def final_reward(example: Path, printed: pytest.CaptureFixture[str]) -> float:
    """Runs an example; returns the fraction of rewarded trials that it prints at its end."""
    runpy.run_path(str(example))
    return float(printed.readouterr().out.split()[0])


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(
    example: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = []

    def briefly(model: OnPolicyAlgorithm, total_timesteps: int, **others: Any) -> Any:
        trained.append(total_timesteps)
        return learn(model, 480, **others)

    learn = OnPolicyAlgorithm.learn
    monkeypatch.setattr(OnPolicyAlgorithm, "learn", briefly)
    assert 0 <= final_reward(example, capsys) <= 1
    assert len(trained) == 1


@pytest.mark.machine
def test_a2c_learns(capsys: pytest.CaptureFixture[str]) -> None:
    assert final_reward(ROOT / "examples" / "a2c.py", capsys) > 0.9


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short_and_linked(example: Path) -> None:
    code = example.read_text().split('"""')[2].strip().splitlines()
    assert len([line for line in code if line and "import" not in line]) <= 10
    assert f"(../examples/{example.name})" in PAGE.read_text()


def test_the_blocks_of_the_page_run() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    for block in blocks:
        exec(block, {})
    assert blocks
