"""`tests.tools.faults`: two quick conditions, and a check that each kind of problem is reported."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tests.tools.faults.conditions import FAULTS
from tests.tools.faults.disturbances import stored_already
from tests.tools.faults.laboratory import Laboratory
from tests.tools.faults.rows import SWEEP, Fault, Outcome, Place, Process, problems

BY_NAME = {fault.name: fault for fault in FAULTS}
QUICK = ("unreadable-store", "link-to-itself-sweep")


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Laboratory:
    return Laboratory(tmp_path_factory.mktemp("faults"))


def test_the_table_has_at_least_forty_rows_of_different_names() -> None:
    assert len(BY_NAME) == len(FAULTS) >= 40


@pytest.mark.parametrize("name", QUICK)
def test_a_quick_row_is_without_problems(name: str, laboratory: Laboratory) -> None:
    assert problems(BY_NAME[name], laboratory.run(BY_NAME[name])) == []


@pytest.mark.parametrize(
    ("outcome", "problem"),
    [
        (Outcome(status=None, said=()), "ran out of time"),
        (Outcome(status=1, said=()), "exit status not in (0,)"),
        (Outcome(status=0, said=("Traceback (most recent call last):",)), "a traceback"),
        (Outcome(status=0, said=("error: full", "error: again")), "2 lines said"),
        (Outcome(status=0, said=("error: a wrong cause",)), "the line is not '^full$'"),
        (Outcome(status=0, said=("full",), wrong=("left x",)), "left x"),
    ],
)
def test_each_kind_of_wrong_outcome_is_a_problem(outcome: Outcome, problem: str) -> None:
    fault = Fault(name="any", command=SWEEP, expect_line="^full$")
    assert problem in problems(fault, outcome)
    assert problems(fault, Outcome(status=0, said=("full",))) == []


def test_wrong_histories_and_leftovers_are_problems(
    laboratory: Laboratory,
) -> None:
    def vandalise(place: Place, process: Process) -> str:
        process.wait()
        first, second = sorted(place.out.glob("*.npz"))
        second.write_bytes(first.read_bytes())
        (place.out / "left.tmp").touch()
        return ""

    fault = Fault(name="vandal", command=SWEEP, arrange=stored_already, disturb=vandalise)
    found = laboratory.run(fault).wrong
    assert [re.sub(r"[0-9a-f]{32}", "KEY", problem) for problem in found] == [
        "KEY.npz differs",
        "left left.tmp",
    ]


def test_a_command_that_fails_without_a_fault_ends_the_tool(laboratory: Laboratory) -> None:
    broken = replace(SWEEP, name="broken", line=f"{SWEEP.line} --shard 0/0")
    with pytest.raises(RuntimeError, match="without a fault"):
        laboratory.run(Fault(name="any", command=broken))
