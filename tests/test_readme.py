"""The numbers, names, times and commands in the README and the documentation are right."""

from __future__ import annotations

import csv
import itertools
import json
import re
from functools import lru_cache
from pathlib import Path

import pytest

from pwm.analysis.conventions import convert_weight
from pwm.claims.constants import HEAVY, quoted
from pwm.experiments import EXPERIMENTS
from pwm.runs.shards import plan
from pwm.training.loss_config import LossConfig
from tests.support.commands import call

ROOT = Path(__file__).resolve().parent.parent
RAW = (ROOT / "README.md").read_text()
GUIDE = (ROOT / "CONTRIBUTING.md").read_text()
DOCS = {path.stem: path.read_text() for path in sorted((ROOT / "docs").glob("*.md"))}
PAGES = {ROOT: RAW + GUIDE, ROOT / "docs": "".join(DOCS.values())}
"""Text of the pages, by the folder that their links are relative to."""
NOTES = " ".join(DOCS["notes"].split())
NUMBERS = json.loads((ROOT / "paper" / "numbers.json").read_text())
SCRIPT = (ROOT / "reproduce.sh").read_text()
COMMANDS = [
    command
    for page in (RAW, DOCS["sweeps"], DOCS["performance"])
    for command in re.findall(
        r"^ {4}(python -m pwm\S* .*?|python -m pwm\.\w+)(?: +#.*)?$", page, re.MULTILINE
    )
]


def table(name: str) -> list[dict[str, str]]:
    lines = (ROOT / "figures" / f"{name}-learned.csv").read_text().splitlines()
    return list(csv.DictReader(lines[1:]))


def column(names: list[str], key: str) -> list[str]:
    return [row[key] for name in names for row in table(name)]


def listed(values: list[str]) -> str:
    return ", ".join(values)


def test_success_counts_are_those_of_the_tables() -> None:
    at_15 = column(["eplen15-edge", "eplen15"], "learned")
    assert f"{listed(at_15)} of 96 seeds at weights" in NOTES
    weights = listed(column(["eplen15-edge", "eplen15"], "critic_weight"))
    assert f"of 96 seeds at weights {weights}" in NOTES
    assert f"{listed(column(['eplen60'], 'learned'))} of 96 learn at weights 2, 3, 4, 5" in NOTES
    assert f"{listed(column(['pwm0'], 'learned'))} of 96 seeds learn at" in NOTES
    at_high, at_middle = column(["lrate0.01"], "learned"), column(["lrate0.005"], "learned")
    assert (
        f"{listed(at_high)} of 96 at weights 0.05, 3, 10, 20, against {listed(at_middle)}" in NOTES
    )
    assert sum(map(int, column(["lrate0.001"], "learned"))) == 0
    assert "0 of 384 seeds" in NOTES


def test_gains_of_the_heaviest_weight_are_those_of_the_table() -> None:
    for row in table("eplen60")[:-1]:
        low, high = float(row["heaviest_gain_low"]), float(row["heaviest_gain_high"])
        assert f"{float(row['heaviest_gain']):.2f} [{low:.2f}, {high:.2f}]" in NOTES


def test_value_losses_are_those_of_the_tables() -> None:
    rates = ["lrate0.001", "lrate0.005", "lrate0.01"]
    peaks = [f"{float(table(name)[0]['peak_value_loss']):.0f}" for name in rates]
    assert listed(peaks) + " in the median seed" in NOTES
    settled = [f"{float(value):.1f}" for value in column(["eplen15"], "solved_value_loss")]
    assert f"{listed(settled)} at weights 2, 3, 4, 5 at 15 steps" in NOTES
    at_60 = [row for row in table("eplen60") if int(row["solved"])]
    assert [row["critic_weight"] for row in at_60] == ["2", "4", "5"]
    assert listed([f"{float(row['solved_value_loss']):.1f}" for row in at_60]) in NOTES
    assert f"only {listed([row['solved'] for row in at_60])} seeds" in NOTES


def expanded(command: str) -> list[str]:
    """The words of a command, sorted, with braces expanded as a shell does."""
    words = []
    for word in command.split():
        parts = re.split(r"\{(.*?)\}", word)
        choices = [part.split(",") if place % 2 else [part] for place, part in enumerate(parts)]
        words += ["".join(choice) for choice in itertools.product(*choices)]
    return sorted(words)


def test_every_claim_in_the_table_is_as_the_paper_has_it() -> None:
    rows = re.findall(r"^\| .* \| (.*) \| `(claim\..*)` \| `(.*)` \| (.*) \|", RAW, re.MULTILINE)
    assert len(rows) == 8
    for text, name, command, minutes in rows:
        claim = NUMBERS[name]
        assert text == claim["text"]
        assert expanded(command) == sorted(claim["command"].split())
        assert minutes == f"{claim['minutes']:g}"


def test_claims_quoted_by_other_settings_are_as_the_paper_has_them() -> None:
    page = DOCS["elsewhere"]
    names = re.findall(r"\(`(claim\.[^`]+)`\)", page)
    assert len(names) > 15
    for name in names:
        assert f"{NUMBERS[name]['text']} (`{name}`)" in page, NUMBERS[name]["text"]


@pytest.mark.parametrize(
    ("sentence", "names"),
    [
        ("start at their fixed point are slowed by {} times that", ["fixed-point-mean"]),
        (
            "{} of the runs learn, against {} for weight 100 and {} for an uncentred weight of 1",
            ["rules-score-centred-per-loss", "rules-score-centred-100", "rules-score-raw-1"],
        ),
        (
            "{} of the runs with two optimisers end above 0.9 of the reward, {} with weight 100, "
            "and {} with weight 100 and standardised returns",
            [f"rules-above-0.9-{name}" for name in
             ("centred-per-loss", "centred-100", "standardised-100")],
        ),
    ],
)  # fmt: skip
def test_numbers_in_the_summary_are_as_the_paper_has_them(sentence: str, names: list[str]) -> None:
    values = [NUMBERS[f"claim.{name}"]["value"] for name in names]
    assert sentence.format(*values) in " ".join(RAW.split())


def test_claims_and_runs_are_counted() -> None:
    claims = [name for name in NUMBERS if name.startswith("claim.")]
    assert f"holds all {len(claims)} claims" in " ".join(RAW.split())
    counts = {name: number["text"] for name, number in quoted().items() if "compute." in name}
    text = " ".join(DOCS["performance"].split())
    assert f"all {counts['compute.trained']} runs" in text
    assert (
        f"The experiments name {counts['compute.runs']} runs. Those that two experiments share in "
        f"one shard are trained once, which leaves {counts['compute.trained']}; "
        f"{counts['compute.different']} of them differ, in {counts['compute.settings']} settings."
    ) in text
    hold = (
        f"{len(claims)} of {len(claims)} claims, computed again from the published outcomes, hold"
    )
    assert f"{hold}; {len(NUMBERS)} of {len(NUMBERS)} numbers are as in" in DOCS["audit"]


def test_readme_is_short() -> None:
    assert len(RAW.splitlines()) <= 130


def test_every_file_that_is_named_exists() -> None:
    targets = [
        (folder, part.split(")")[0])
        for folder, text in PAGES.items()
        for part in text.split("](")[1:]
        if not part.startswith("http")
    ]
    texts = "".join(PAGES.values())
    named = re.findall(r"`((?:pwm|tests|paper|docs|figures)/[\w./-]+)`", texts)
    assert len(targets) > 25
    assert len(named) > 20
    assert [name for folder, name in targets if not (folder / name).exists()] == []
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_times_are_those_of_the_script() -> None:
    for mode, minutes in re.findall(
        r"^\| `\./reproduce\.sh (\w+)` \|.*\| ([\d to]+ minutes)", RAW, re.MULTILINE
    ):
        (usage,) = re.findall(rf"^  {mode}  .*(?:\n {{10,}}.*)*$", SCRIPT, re.MULTILINE)
        assert minutes in usage, mode
    (minutes,) = re.findall(r"\| (\d+ to \d+ minutes), then 1 minute \|", RAW)
    assert f"{minutes} on 2 cores" in SCRIPT
    assert minutes == quoted()["compute.time"]["text"]


def test_units_are_those_of_the_conversion() -> None:
    text = " ".join(RAW.replace("\n> ", " ").split())
    assert convert_weight(HEAVY, 60, to="stable-baselines3-a2c") == HEAVY / 60
    assert convert_weight(HEAVY, 60, to="cleanrl-ppo") == 2 * HEAVY / 60
    assert f"{HEAVY:g} for a summed policy loss and a mean squared error" in text
    assert f"{HEAVY:g}/*T* where both are means" in text
    assert f"max(1/n, {LossConfig().tracking_rate})" in text
    assert f"notes' 5 at 60 steps is {quoted()['convert.notes-long-mse']['text']}" in text


def test_packages_in_the_table_are_all_packages() -> None:
    table_of_packages = GUIDE[GUIDE.index("| package |") : GUIDE.index("| to add |")]
    named = set(re.findall(r"`pwm/(\w+)/`", table_of_packages))
    assert named == {
        path.name for path in (ROOT / "pwm").iterdir() if (path / "__init__.py").exists()
    }


@lru_cache(maxsize=1)
def example_key() -> str:
    return next(plan(EXPERIMENTS["eplen15"])).key


def test_the_key_in_the_example_exists() -> None:
    (beginning,) = re.findall(r"pwm\.store why (\w+)", DOCS["sweeps"])
    assert example_key().startswith(beginning)


# Flags added to some of the commands, to keep the test short.
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
