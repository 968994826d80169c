"""The README's numbers are the figures' numbers."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

from pwm.analysis.estimates import rate_difference, success_rate

ROOT = Path(__file__).resolve().parent.parent
RAW = (ROOT / "README.md").read_text()
README = " ".join(RAW.split())


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


def test_intervals_and_value_losses_are_those_of_the_tables() -> None:
    learned = {row["critic_weight"]: int(row["learned"]) for row in table("eplen60")}
    at_5 = success_rate(learned["5"], 96)
    for weight in ("2", "3", "4"):
        more = rate_difference(at_5, success_rate(learned[weight], 96))
        assert f"{more.value:.2f} [{more.low:.2f}, {more.high:.2f}]" in README
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


def test_every_file_and_picture_that_is_named_is_there() -> None:
    targets = [part.split(")")[0] for part in RAW.split("](")[1:]]
    assert len(targets) > 10
    missing = [target for target in targets if not (ROOT / target).exists()]
    assert missing == []
