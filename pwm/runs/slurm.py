"""A SLURM cluster as an executor, through submitit (an optional extra)."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pwm.core.errors import require

POLL_EVERY = 2.0  # seconds between two looks at the jobs
GONE_AFTER = 3  # looks in a row that find a job neither queued nor finished
MINUTES = 240  # time limit of a job unless another is asked for; it goes on after that
MOST_TASKS = 1000  # of an array, where the cluster allows as many


class JobError(RuntimeError):
    """A job ended with an error of its own, in one line."""


@dataclass(frozen=True)
class Cluster:
    """What is asked of a SLURM cluster."""

    folder: Path
    """Shared with the nodes, for the jobs' scripts and logs."""
    workers: int
    """Jobs that run at a time, at most."""
    options: Mapping[str, str]
    """Of `sbatch`, by name; `time` is in minutes."""

    def __post_init__(self) -> None:
        time_limit = self.options.get("time", "1")
        require(time_limit.isdecimal(), "slurm", f"time={time_limit}", "time in minutes")
        found = all(map(shutil.which, ("sbatch", "srun", "squeue", "scontrol", "scancel")))
        accepted = "process, or slurm where SLURM's commands are (sbatch, squeue, ...)"
        require(found, "executor", "slurm", accepted)
        accepted = "process, or slurm once submitit is there (pip install '.[slurm]')"
        require(find_spec("submitit") is not None, "executor", "slurm", accepted)


class SlurmExecutor(Executor):
    """Jobs of a SLURM cluster as futures.

    What was submitted since the last look goes out as one job array. A job that ended without a
    result (killed, out of time, its node lost) is a `BrokenExecutor`, as in a pool of processes.

    Args:
        cluster: where, and how.
    """

    def __init__(self, cluster: Cluster) -> None:
        import submitit  # noqa: PLC0415, an optional extra

        self._executor = submitit.SlurmExecutor(cluster.folder)
        options = dict(cluster.options)
        self._executor.update_parameters(
            job_name="pwm",
            time=int(options.pop("time", MINUTES)),
            cpus_per_task=1,
            array_parallelism=cluster.workers,
            additional_parameters=options,
        )
        self._submitted: list[tuple[Future[Any], tuple[Any, ...]]] = []
        self._jobs: dict[Future[Any], Any] = {}
        self._lock = threading.Lock()
        self._closing = False
        self._lost: JobError | None = None
        self._thread = threading.Thread(target=self._attend, daemon=True)
        self._thread.start()

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As any executor's."""
        future: Future[Any] = Future()
        with self._lock:
            if self._lost is None:
                self._submitted.append((future, (function, args, kwargs)))
            else:
                future.set_exception(self._lost)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As any executor's; cancelling ends jobs, also those that run."""
        self._closing = True
        if cancel_futures:
            self.cancel()
        if wait:
            self._thread.join()

    def cancel(self) -> None:
        """Ends all jobs."""
        if jobs := self.job_numbers():
            subprocess.run(["scancel", *jobs], check=False, capture_output=True)

    def job_numbers(self) -> list[str]:
        """SLURM's numbers of the jobs and job arrays that have not ended."""
        with self._lock:
            return sorted({job.job_id.partition("_")[0] for job in self._jobs.values()})

    def _attend(self) -> None:
        """Looks after the jobs; should that fail, whoever waits for one of them is told."""
        try:
            self._look_after()
        except Exception as error:  # of the system, or of submitit
            with self._lock:
                self._lost = JobError(f"the jobs are lost sight of: {_last_line(error)}")
                waiting = [*self._jobs, *(future for future, _ in self._submitted)]
            for future in waiting:
                future.set_exception(self._lost)

    def _look_after(self) -> None:
        """Sends out what was submitted, and looks at what became of it."""
        gone: dict[Future[Any], int] = {}
        while not self._closing or self._jobs or self._submitted:
            self._send_out()
            queued = _queued()
            for future, job in list(self._jobs.items()):
                if job.paths.result_pickle.exists():
                    self._end(future, _outcome(job))
                    _tidy(job)
                elif queued is not None and job.job_id not in queued:
                    gone[future] = gone.get(future, 0) + 1
                    if gone[future] >= GONE_AFTER:
                        self._end(future, BrokenExecutor(f"job {job.job_id} died"))
            time.sleep(POLL_EVERY)

    def _send_out(self) -> None:
        with self._lock:
            submitted, self._submitted = self._submitted, []
        if not submitted:
            return
        try:
            with self._executor.batch():
                jobs = [
                    self._executor.submit(function, *args, **kwargs)
                    for _, (function, args, kwargs) in submitted
                ]
        except Exception as error:  # submitit's are of many kinds
            for future, _ in submitted:
                future.set_exception(JobError(f"sbatch refused the jobs: {_last_line(error)}"))
            return
        with self._lock:
            self._jobs |= zip((future for future, _ in submitted), jobs, strict=True)

    def _end(self, future: Future[Any], error: BaseException | None) -> None:
        with self._lock:
            del self._jobs[future]
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)


def _last_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[-1]


def _queued() -> set[str] | None:
    """Numbers of this user's jobs that wait or run; None if the cluster does not say."""
    asked = ["squeue", "--me", "--noheader", "--array", "--format=%i"]
    done = subprocess.run(asked, check=False, capture_output=True, text=True)
    return None if done.returncode else set(done.stdout.split())


def _outcome(job: Any) -> BaseException | None:
    """What a job that left a result ended with; None if all went well."""
    error = job.exception()
    if error is None:
        return None
    # submitit gives the traceback as text, between two rules
    last = str(error).split("-" * 22)[1].strip().splitlines()[-1]
    if "UncompletedJobError" in last:  # out of time, or preempted
        return BrokenExecutor(f"job {job.job_id} was ended")
    return JobError(f"job {job.job_id}: {last} (its log is {job.paths.stderr})")


def _tidy(job: Any) -> None:
    """Drops the files of a job that went well; what failed keeps its logs."""
    if job.exception() is None:
        paths = job.paths
        for path in (paths.submitted_pickle, paths.result_pickle, paths.stdout, paths.stderr):
            path.unlink(missing_ok=True)


def most_tasks() -> int:
    """Tasks that a job array of this cluster can have."""
    asked = ["scontrol", "show", "config"]
    done = subprocess.run(asked, check=False, capture_output=True, text=True)
    limit = re.search(r"^MaxArraySize\s*=\s*(\d+)", done.stdout, re.MULTILINE)
    return min(int(limit[1]), MOST_TASKS) if limit else MOST_TASKS


@contextmanager
def slurm(cluster: Cluster) -> Iterator[SlurmExecutor]:
    """A SLURM cluster, on which jobs go on after Ctrl-C, and are ended by an error.

    Args:
        cluster: where, and how.
    """
    executor = SlurmExecutor(cluster)
    try:
        yield executor
    except KeyboardInterrupt:
        if numbers := " ".join(executor.job_numbers()):
            print(f"The jobs go on without this; scancel {numbers} ends them.", file=sys.stderr)
        executor.shutdown(wait=False)
        raise
    except BaseException:
        executor.shutdown(wait=False, cancel_futures=True)
        raise
    executor.shutdown()
