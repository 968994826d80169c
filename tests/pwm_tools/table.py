"""`python -m tests.pwm_tools.table`: prints the table of verdicts in `docs/check.md`.

It uses the packages in `tests.pwm_tools.libraries`, and names those that are missing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import torch

from pwm.tools import check_leak
from tests.pwm_tools.agents import AGENTS, Case
from tests.pwm_tools.libraries import LIBRARIES, is_installed, named


def row(name: str, make: Callable[[], Case]) -> str:
    """A row of the table, from checking an agent; a wrong verdict or part is marked."""
    torch.manual_seed(0)
    case = make()
    report = check_leak(**case.named)
    parts = set(report.head) == case.head and set(report.trunk) == case.trunk
    right = report.verdict == case.verdict and parts
    through = [part for part, names in (("head", report.head), ("trunk", report.trunk)) if names]
    found = report.losses
    cells = [
        name,
        report.verdict if right else f"WRONG: {report.verdict}",
        ", ".join(through) or "–",
        found.policy_loss or "cannot tell",
        found.value_loss or "cannot tell",
        {True: "yes", False: "no", None: "cannot tell"}[found.normalised],
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Prints the table."""
    torch.set_num_threads(1)
    print("| agent | verdict | through | policy loss | value loss | normalised |")
    print("|---|---|---|---|---|---|")
    for name, make in AGENTS.items():
        print(row(name, make), flush=True)
    for name, (package, make) in LIBRARIES.items():
        if is_installed(package):
            print(row(named(name), make), flush=True)
        else:
            print(f"{package} is not installed", file=sys.stderr)


if __name__ == "__main__":
    main()
