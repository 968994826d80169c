"""README and CONTRIBUTING say what is so: their numbers, names, times and commands."""

from __future__ import annotations

import csv
import json
import re
from functools import lru_cache
from pathlib import Path

import pytest

from pwm.experiments import EXPERIMENTS
from pwm.runs.shards import plan
from tests.support.commands import call

ROOT = Path(__file__).resolve().parent.parent
RAW = (ROOT / "README.md").read_text()
README = " ".join(RAW.split())
GUIDE = (ROOT / "CONTRIBUTING.md").read_text()
SCRIPT = (ROOT / "reproduce.sh").read_text()
COMMANDS = re.findall(
    r"^ {4}(python -m pwm\S* .*?|python -m pwm\.\w+)(?: +#.*)?$", RAW, re.MULTILINE
)


def table(name: str) -> list[dict[str, str]]:
    lines = (ROOT / "figures" / f"{name}-learned.csv").read_text().splitlines()
    return list(csv.DictReader(lines[1:]))


def column(names: list[str], key: str) -> list[str]:
    return [row[key] for name in names for row in table(name)]


def listed(values: list[str]) -> str:
    return ", ".join(values)


def test_success_counts_are_those_of_the_tables() -> None:
    at_15 = column(["eplen15-edge", "eplen15"], "learned")
    assert f"{listed(at_15)} of 96 seeds at weights" in README
    weights = listed(column(["eplen15-edge", "eplen15"], "critic_weight"))
    assert f"of 96 seeds at weights {weights}" in README
    assert f"{listed(column(['eplen60'], 'learned'))} of 96 learn at weights 2, 3, 4, 5" in README
    assert f"{listed(column(['pwm0'], 'learned'))} of 96 seeds learn at" in README
    at_high, at_middle = column(["lrate0.01"], "learned"), column(["lrate0.005"], "learned")
    assert (
        f"{listed(at_high)} of 96 at weights 0.05, 3, 10, 20, against {listed(at_middle)}" in README
    )
    assert sum(map(int, column(["lrate0.001"], "learned"))) == 0
    assert "0 of 384 seeds" in README


def test_gains_of_the_heaviest_weight_are_those_of_the_table() -> None:
    for row in table("eplen60")[:-1]:
        low, high = float(row["heaviest_gain_low"]), float(row["heaviest_gain_high"])
        assert f"{float(row['heaviest_gain']):.2f} [{low:.2f}, {high:.2f}]" in README


def test_value_losses_are_those_of_the_tables() -> None:
    rates = ["lrate0.001", "lrate0.005", "lrate0.01"]
    peaks = [f"{float(table(name)[0]['peak_value_loss']):.0f}" for name in rates]
    assert listed(peaks) + " in the median seed" in README
    settled = [f"{float(value):.1f}" for value in column(["eplen15"], "solved_value_loss")]
    assert f"{listed(settled)} at weights 2, 3, 4, 5 at 15 steps" in README
    at_60 = [row for row in table("eplen60") if int(row["solved"])]
    assert [row["critic_weight"] for row in at_60] == ["2", "4", "5"]
    assert listed([f"{float(row['solved_value_loss']):.1f}" for row in at_60]) in README
    assert f"only {listed([row['solved'] for row in at_60])} seeds" in README


def test_every_claim_in_the_table_is_as_the_paper_has_it() -> None:
    numbers = json.loads((ROOT / "paper" / "numbers.json").read_text())
    rows = re.findall(r"^\| .* \| (.*) \| `(claim\..*)` \|", RAW, re.MULTILINE)
    assert len(rows) >= 10
    for text, names in rows:
        assert text == "; ".join(numbers[name]["text"] for name in names.split("`, `"))


def test_the_number_of_claims_and_runs_is_right() -> None:
    numbers = json.loads((ROOT / "paper" / "numbers.json").read_text())
    claims = [name for name in numbers if name.startswith("claim.")]
    assert f"holds all {len(claims)}" in README
    assert f"all {sum(item.num_runs for item in EXPERIMENTS.values()):,} runs" in README


def test_every_file_that_is_named_exists() -> None:
    targets = [part.split(")")[0] for text in (RAW, GUIDE) for part in text.split("](")[1:]]
    named = re.findall(r"`((?:pwm|tests|paper|docs|figures)/[\w./-]+)`", RAW + GUIDE)
    assert len(targets) > 10
    assert len(named) > 20
    assert [name for name in targets + named if not (ROOT / name).exists()] == []


def test_times_are_those_of_the_script() -> None:
    for mode, minutes in re.findall(
        r"^\| `\./reproduce\.sh (\w+)` \|.*\| ([\d to]+ minutes)", RAW, re.MULTILINE
    ):
        (usage,) = re.findall(rf"^  {mode}  .*?(?:\n  {{10,}}.*?)*?$", SCRIPT, re.MULTILINE)
        assert minutes in usage, mode
    assert "40 minutes, then 1 minute |" in RAW
    assert "40 minutes on 2 cores" in SCRIPT


def test_packages_in_the_table_are_all_packages() -> None:
    named = set(re.findall(r"`pwm/(\w+)/`", RAW))
    assert named == {
        path.name for path in (ROOT / "pwm").iterdir() if (path / "__init__.py").exists()
    }


@lru_cache(maxsize=1)
def example_key() -> str:
    return next(plan(EXPERIMENTS["eplen15"])).key


def test_the_key_in_the_example_exists() -> None:
    (beginning,) = re.findall(r"pwm\.store why (\w+)", RAW)
    assert example_key().startswith(beginning)


# What is added to a command to keep the test short; nothing to those not named.
SHORTER = {
    "python -m pwm.sweep eplen15 lrate0.005": "--dry-run",
    "python -m pwm.sweep --shard 2/3": "--dry-run",
}
SHORTER |= {command: "--dry-run" for command in COMMANDS if "--executor slurm" in command}
GRID = """
from pwm import Experiment, TrainConfig

mine = Experiment(
    name="mine",
    base=TrainConfig(num_episodes=100),
    axes={"critic_weight": (1.0, 3.0), "seed": range(2)},
)
"""


def test_the_commands_are_found() -> None:
    assert len(COMMANDS) >= 12
    assert set(SHORTER) <= set(COMMANDS)


def test_the_commands_run_as_they_stand_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(GRID)
    for command in COMMANDS:
        assert call(f"{command} {SHORTER.get(command, '')}") == 0, command
