"""SLURM as an executor, with small scripts in place of its commands.

`test_machine.py` uses a real cluster.
"""

from __future__ import annotations

import importlib.util
import os
import pickle
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Future
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pwm import sweep
from pwm.core.errors import InputError
from pwm.experiments import EXPERIMENTS
from pwm.runs import slurm
from pwm.runs.shards import planned
from pwm.runs.slurm import JobError, SlurmExecutor, max_tasks, slurm_jobs
from pwm.runs.storage import Store
from tests.support.refusals import assert_refused

TIMEOUT = 20.0  # seconds
COMMANDS = {
    # Every job ends as soon as it is submitted, with the prepared result if there is one.
    "sbatch": """
        for script; do :; done
        cat "$script" >> "$FAKE/sbatch"
        if [ -e "$FAKE/slow" ]; then sleep 0.3; fi
        if [ -e "$FAKE/refusal" ]; then cat "$FAKE/refusal" >&2; exit 1; fi
        echo "Submitted batch job 7"
        [ -e "$FAKE/result" ] || exit 0
        last=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\)%.*/\\1/p' "$script")
        if [ -z "$last" ]; then cp "$FAKE/result" "${script%/*}/7_0_result.pkl"; exit 0; fi
        for task in $(seq 0 "$last"); do
            cp "$FAKE/result" "${script%/*}/7_${task}_0_result.pkl"
        done
    """,
    "squeue": 'echo "$@" >> "$FAKE/squeue"; [ ! -e "$FAKE/down" ] || exit 1; cat "$FAKE/queue"',
    "scancel": 'echo "$@" >> "$FAKE/scancel"; : > "$FAKE/queue"',
    "scontrol": 'cat "$FAKE/config"',
    "srun": "exit 1",
}


class Fake:
    """The scripts in place of SLURM's commands, and the files that control them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "bin").mkdir(parents=True)
        for name, body in COMMANDS.items():
            script = folder / "bin" / name
            script.write_text(f"#!/bin/sh\nFAKE={folder}\n{body}\n")
            script.chmod(0o755)
        self.write("queue", "")
        self.write("config", "")

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def read(self, name: str) -> str:
        path = self.folder / name
        return path.read_text() if path.exists() else ""

    def jobs_end_with(self, outcome: str, result: object) -> None:
        (self.folder / "result").write_bytes(pickle.dumps((outcome, result)))

    def looks(self) -> int:
        return self.read("squeue").count("\n")


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    fake = Fake(tmp_path / "fake")
    monkeypatch.setenv("PATH", f"{fake.folder / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(slurm, "POLL_EVERY", 0.01)
    return fake


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Folder for the jobs' scripts and logs."""
    return tmp_path / "results" / "slurm"


@contextmanager
def executor(folder: Path, **options: str) -> Iterator[SlurmExecutor]:
    """Makes an executor; abandons its jobs at the end."""
    made = SlurmExecutor(folder, 2, options)
    try:
        yield made
    finally:
        made.shutdown(wait=False)
        made._jobs.clear()


def submitted(to: SlurmExecutor, count: int) -> list[Future[Any]]:
    with to._lock:  # so that all are sent at once
        to._unsent |= {Future(): partial(print, number) for number in range(count)}
        return list(to._unsent)


# Jobs


def test_calls_submitted_together_are_one_array_whose_files_are_removed(
    fake: Fake, folder: Path
) -> None:
    fake.jobs_end_with("success", None)
    with executor(folder, partition="short", account="abc") as to:
        for future in submitted(to, 3):
            assert future.result(TIMEOUT) is None
        assert to.job_numbers() == []
        to.shutdown()
    script = fake.read("sbatch")
    assert script.count("#!/bin/bash") == 1
    for option in (
        *("--array=0-2%2", "--partition=short", "--account=abc", "--time=240"),
        *("--cpus-per-task=1", "--job-name=pwm"),
    ):
        assert f"#SBATCH {option}\n" in script
    assert [path.name for path in folder.iterdir() if "submission" not in path.name] == []


def test_a_single_call_is_a_job_with_the_time_limit_asked_for(fake: Fake, folder: Path) -> None:
    fake.jobs_end_with("success", None)
    with executor(folder, time="15") as to:
        assert to.submit(print, "done").result(TIMEOUT) is None
    assert "--array" not in fake.read("sbatch")
    assert "#SBATCH --time=15\n" in fake.read("sbatch")


def test_the_error_of_a_job_is_one_line_that_names_its_log(fake: Fake, folder: Path) -> None:
    error = "pwm.core.errors.InputError: --results full"
    fake.jobs_end_with("error", f"Traceback (most recent call last):\n  File x\n{error}")
    with executor(folder) as to:
        (future,) = submitted(to, 1)
        with pytest.raises(JobError) as caught:
            future.result(TIMEOUT)
    log = folder / "7_0_log.err"
    assert str(caught.value) == f"job 7: {error} (its log is {log})"
    assert (folder / "7_submitted.pkl").exists()  # a failed job keeps its files


def test_a_job_out_of_time_counts_as_a_dead_worker(fake: Fake, folder: Path) -> None:
    fake.jobs_end_with("error", "Traceback\nsubmitit.core.utils.UncompletedJobError: timed out")
    with executor(folder) as to, pytest.raises(BrokenExecutor, match="job 7_1 was ended"):
        submitted(to, 2)[1].result(TIMEOUT)


def test_a_job_that_vanished_counts_as_a_dead_worker(fake: Fake, folder: Path) -> None:
    fake.write("queue", "6_0\n7_1\n")
    with executor(folder) as to:
        gone, queued = submitted(to, 2)
        with pytest.raises(BrokenExecutor, match="job 7_0 died"):
            gone.result(TIMEOUT)
        assert fake.looks() >= slurm.GONE_AFTER
        assert not queued.done()
        assert to.job_numbers() == ["7"]
        fake.write("queue", "")
        with pytest.raises(BrokenExecutor, match="job 7_1 died"):
            queued.result(TIMEOUT)


def test_no_job_is_given_up_while_the_cluster_does_not_answer(fake: Fake, folder: Path) -> None:
    fake.write("down", "")
    with executor(folder) as to:
        (future,) = submitted(to, 1)
        wait_until(lambda: fake.looks() > 2 * slurm.GONE_AFTER)
        assert not future.done()
        fake.jobs_end_with("success", None)
        shutil.copy(fake.folder / "result", folder / "7_0_result.pkl")
        assert future.result(TIMEOUT) is None


def test_a_cluster_that_never_answers_is_given_up_in_one_line(
    fake: Fake, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm, "SILENT_AFTER", 5)
    fake.write("down", "")
    with executor(folder) as to:
        (future,) = submitted(to, 1)
        with pytest.raises(JobError, match="lost track of the jobs: squeue has not answered"):
            future.result(TIMEOUT)
        assert fake.looks() == 5


def wait_until(condition: Any) -> None:
    end = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_jobs_that_sbatch_refuses_are_one_line(fake: Fake, folder: Path) -> None:
    fake.write("refusal", "sbatch: error: invalid partition specified: none\n")
    with executor(folder, partition="none") as to:
        for future in submitted(to, 2):
            with pytest.raises(JobError) as caught:
                future.result(TIMEOUT)
            assert str(caught.value).startswith("sbatch refused the jobs: ")
            assert "invalid partition" in str(caught.value)
            assert "\n" not in str(caught.value)
        to.shutdown()


@pytest.mark.parametrize(
    ("error", "said"),
    [(OSError(), "of the jobs: OSError$"), (RuntimeError("one\ntwo\n"), "of the jobs: two$")],
)
@pytest.mark.usefixtures("fake")
def test_futures_fail_when_polling_fails(
    error: Exception, said: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(slurm, "_queued", fail)
    with executor(folder) as to:
        first = to.submit(print)
        with pytest.raises(JobError, match=said):
            first.result(TIMEOUT)
        with pytest.raises(JobError, match=said):
            to.submit(print).result(TIMEOUT)


def test_a_shutdown_meanwhile_does_not_cancel_calls_that_fail(
    fake: Fake, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.write("queue", "7\n")
    unsent = list[Future[Any]]()

    def submit_and_fail() -> None:
        unsent.append(to.submit(print))
        raise OSError("full")

    with executor(folder) as to:
        first = to.submit(print)
        wait_until(to.job_numbers)
        first.add_done_callback(lambda _: to.shutdown(wait=False, cancel_futures=True))
        monkeypatch.setattr(slurm, "_queued", submit_and_fail)
        with pytest.raises(JobError, match="full"):
            first.result(TIMEOUT)
        with pytest.raises(JobError, match="full"):
            unsent[0].result(TIMEOUT)


def test_jobs_are_cancelled_when_polling_fails(
    fake: Fake, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.write("queue", "7\n")

    def poll_fails(to: SlurmExecutor) -> None:
        future = to.submit(print)
        wait_until(to.job_numbers)
        monkeypatch.delattr(slurm, "_queued")
        future.result(TIMEOUT)

    with pytest.raises(JobError, match="_queued"), slurm_jobs(folder, 2, {}) as to:
        poll_fails(to)
    assert fake.read("scancel") == "7\n"


# `slurm_jobs`


def test_the_block_ends_when_its_jobs_do(fake: Fake, folder: Path) -> None:
    fake.jobs_end_with("success", None)
    with slurm_jobs(folder, 2, {}) as to:
        future = to.submit(print)
    assert future.done()
    assert not fake.read("scancel")


def raise_once_submitted(to: SlurmExecutor, error: BaseException) -> None:
    to.submit(print)
    wait_until(to.job_numbers)
    raise error


def test_an_error_in_the_block_cancels_the_jobs(fake: Fake, folder: Path) -> None:
    fake.write("queue", "7\n")
    with pytest.raises(InputError), slurm_jobs(folder, 2, {}) as to:
        raise_once_submitted(to, InputError("results", folder, "another"))
    assert fake.read("scancel") == "7\n"


def test_an_error_in_the_block_cancels_calls_that_are_not_sent_yet(
    fake: Fake, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    futures = []

    def fail_once_submitted(to: SlurmExecutor) -> None:
        futures.append(to.submit(print))
        raise InputError("results", folder, "another")

    with monkeypatch.context() as patch:
        patch.setattr(SlurmExecutor, "_send", lambda _executor: None)
        with pytest.raises(InputError), slurm_jobs(folder, 2, {}) as to:
            fail_once_submitted(to)
    assert futures[0].cancelled()
    assert not fake.read("sbatch")


def test_an_error_in_the_block_cancels_calls_that_are_just_being_sent(
    fake: Fake, folder: Path
) -> None:
    def fail_while_sending(to: SlurmExecutor) -> None:
        to.submit(print)
        wait_until(lambda: fake.read("sbatch"))
        raise InputError("results", folder, "another")

    fake.write("queue", "7\n")
    fake.write("slow", "")
    with pytest.raises(InputError), slurm_jobs(folder, 2, {}) as to:
        fail_while_sending(to)
    assert fake.read("scancel") == "7\n"


def test_ctrl_c_leaves_the_jobs_and_says_how_to_cancel_them(
    fake: Fake, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.write("queue", "7\n")
    with pytest.raises(KeyboardInterrupt), slurm_jobs(folder, 2, {}) as to:
        raise_once_submitted(to, KeyboardInterrupt())
    assert not fake.read("scancel")
    assert capsys.readouterr().err == (
        "The jobs continue without this process; scancel 7 ends them.\n"
    )
    fake.write("queue", "")
    wait_until(lambda: not to.job_numbers())


def test_ctrl_c_before_there_are_jobs_says_nothing(
    fake: Fake, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(KeyboardInterrupt), slurm_jobs(folder, 2, {}):
        raise KeyboardInterrupt
    assert not fake.read("sbatch")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("MaxArraySize            = 5\nMaxJobCount = 10000\n", 5),
        ("MaxArraySize            = 100001\n", slurm.MAX_TASKS),
        ("MaxArraySize            = 1\n", 1),
        ("MaxArraySize            = 0\n", 1),  # no arrays
        ("", slurm.MAX_TASKS),
    ],
)
def test_an_array_has_no_more_tasks_than_the_cluster_allows(
    config: str, expected: int, fake: Fake
) -> None:
    fake.write("config", config)
    assert max_tasks() == expected


# The command


def test_the_command_submits_chunks_within_the_limit(
    fake: Fake, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.write("config", "MaxArraySize = 3\n")
    asked: list[Any] = []
    monkeypatch.setattr(sweep, "run", lambda *arguments: asked.extend(arguments))
    flags = ["pwm0", "--executor", "slurm", "--slurm", "partition=short", "time=60"]
    sweep.main([*flags, "--results", str(tmp_path / "results"), "--workers", "9"])
    assert capsys.readouterr() == ("", "")
    shards, job, pool, most = asked
    assert shards == planned([EXPERIMENTS["pwm0"]])
    assert job.store == Store(tmp_path / "results")
    assert most == 3
    with pool(1) as to:
        assert to._executor.parameters["array_parallelism"] == 9
        assert to._executor.parameters["time"] == 60
        assert to._executor.parameters["additional_parameters"] == {"partition": "short"}
        assert to._executor.folder == tmp_path / "results" / f"slurm-{os.getuid()}"


@pytest.mark.usefixtures("fake")
def test_the_files_of_a_users_jobs_are_no_other_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for user in (1000, 1001):
        with monkeypatch.context() as patch:
            patch.setattr(os, "getuid", lambda user=user: user)
            pool: Any = sweep.Arguments(executor="slurm", results=tmp_path).pool()[0]
        with pool(1) as to:
            assert to._executor.folder == tmp_path / f"slurm-{user}"


def test_a_failed_job_ends_the_command_with_one_line(
    fake: Fake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.jobs_end_with("error", "Traceback\npwm.core.errors.InputError: --results: full")
    with pytest.raises(SystemExit) as stop:
        sweep.main(["pwm0", "--results", str(tmp_path), "--executor", "slurm"])
    assert stop.value.code == 2
    err = capsys.readouterr().err
    assert "Traceback" not in err
    last = err.splitlines()[-1]
    assert last.startswith("error: job 7_")
    assert "InputError: --results: full" in last


@pytest.mark.parametrize(
    ("flags", "mentioned"),
    [
        ("--executor slurm --slurm time=4:00", ["--slurm time=4:00", "time in minutes"]),
        ("--executor slurm --slurm time=-1", ["--slurm time=-1", "time in minutes"]),
        ("--executor slurm --slurm time", ["--slurm time", "KEY=VALUE"]),
        ("--executor slurm --slurm time=", ["--slurm time=", "KEY=VALUE"]),
        ("--executor slurm --slurm =short", ["--slurm =short", "KEY=VALUE"]),
        ("--slurm partition=short", ["--slurm partition=short", "--executor slurm"]),
        ("--executor pbs", ["--executor", "pbs", "slurm"]),
        ("--executor slurm --workers 0", ["--workers 0"]),
    ],
)
@pytest.mark.usefixtures("fake")
def test_bad_options_are_one_line(
    flags: str, mentioned: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_refused(
        sweep.main, [*flags.split(), "--results", str(tmp_path / "none")], capsys, *mentioned
    )
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("missing", COMMANDS)
def test_a_machine_without_slurm_is_one_line(
    missing: str,
    fake: Fake,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (fake.folder / "bin" / missing).unlink()
    monkeypatch.setenv("PATH", str(fake.folder / "bin"))
    flags = ["--executor", "slurm", "--results", str(tmp_path / "none")]
    assert_refused(
        sweep.main, flags, capsys, "--executor slurm: expected process, or slurm where SLURM's"
    )
    assert not (tmp_path / "none").exists()


def test_an_installation_without_submitit_is_one_line(
    fake: Fake, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def find_spec(name: str) -> object:
        return None if name == "submitit" else importlib.util.find_spec(name)

    monkeypatch.setattr(slurm, "find_spec", find_spec)
    flags = ["--executor", "slurm", "--results", str(tmp_path / "none")]
    assert_refused(
        sweep.main, flags, capsys, "--executor slurm: expected ", "pip install '.[slurm]'"
    )
    assert not fake.read("sbatch")
