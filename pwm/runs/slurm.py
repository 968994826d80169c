"""A SLURM cluster as an executor, through submitit (an optional extra)."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pwm.core.errors import require
from pwm.io.inherited import note

POLL_EVERY = 2.0  # seconds
SILENT_AFTER = 900  # failed polls in a row before the cluster counts as lost: half an hour
GONE_AFTER = 3  # polls that find a job neither queued nor finished before it counts as dead
MINUTES = 240  # default time limit of a job; another job then continues its shard
MAX_TASKS = 1000  # most tasks in an array, even if the cluster allows more


class JobError(RuntimeError):
    """Failure of a job or the cluster, with a message of one line."""


def require_slurm() -> None:
    """Raises `InputError` unless SLURM's commands and submitit are installed."""
    are_installed = all(map(shutil.which, ("sbatch", "srun", "squeue", "scontrol", "scancel")))
    accepted = "process, or slurm where SLURM's commands are installed (sbatch, squeue, ...)"
    require(are_installed, "executor", "slurm", accepted)
    accepted = "process, or slurm with submitit installed (pip install '.[slurm]')"
    require(find_spec("submitit") is not None, "executor", "slurm", accepted)


class SlurmExecutor(Executor):
    """Runs calls as jobs of a SLURM cluster; their results are dropped, and futures give None.

    A thread polls the cluster every few seconds, and sends the calls submitted since the last poll
    as one job or job array. If a call raises or is refused, or the cluster is silent, its future
    raises `JobError`; if a job ends without a result (killed, out of time, its node lost),
    `BrokenExecutor`, as futures of `ProcessPoolExecutor` do.

    Args:
        folder: folder for the jobs' scripts and logs, which the nodes can read and write.
        workers: largest number of jobs of an array that run at a time.
        options: options of `sbatch` by name; `time` is in minutes.
    """

    def __init__(self, folder: Path, workers: int, options: Mapping[str, str]) -> None:
        import submitit  # noqa: PLC0415, an optional extra

        self._executor = submitit.SlurmExecutor(folder)
        self._executor.update_parameters(
            job_name="pwm",
            time=int(options.get("time", MINUTES)),
            cpus_per_task=1,
            array_parallelism=workers,
            additional_parameters={key: options[key] for key in options if key != "time"},
        )
        self._unsent: dict[Future[Any], Callable[[], Any]] = {}  # calls for the next job array
        self._jobs: dict[Future[Any], Any] = {}  # submitit's job by future, until the job ends
        self._lost: JobError | None = None  # set if the polling thread fails
        self._lock = threading.Lock()  # protects `_unsent`, `_jobs` and `_lost`
        self._sending = threading.RLock()  # held while calls are in neither `_unsent` nor `_jobs`
        self._closing = False  # set by `shutdown`; the thread then ends after the last job
        self._thread = threading.Thread(target=self._poll_or_fail, daemon=True)
        self._thread.start()

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Submits a call, which the polling thread sends to the cluster; its result is dropped."""
        future: Future[Any] = Future()
        with self._lock:
            if self._lost is None:
                self._unsent[future] = partial(function, *args, **kwargs)
            else:
                future.set_exception(self._lost)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Shuts down; `cancel_futures` also cancels running jobs, unlike in `Executor.shutdown`."""
        self._closing = True
        if cancel_futures:
            with self._sending, self._lock:
                unsent, self._unsent = self._unsent, {}
            for future in unsent:
                future.cancel()
            if jobs := self.job_numbers():
                _output("scancel", *jobs)
        if wait:
            self._thread.join()

    def job_numbers(self) -> list[str]:
        """SLURM's IDs of the jobs and job arrays that have not ended, sorted.

        Waits for calls that are just being sent.
        """
        with self._sending, self._lock:
            # "12_3" is job 3 of array 12.
            return sorted({job.job_id.partition("_")[0] for job in self._jobs.values()})

    def _poll_or_fail(self) -> None:
        """Polls until shut down; if polling fails, every waiting future gets the error."""
        try:
            self._poll()
        except Exception as error:  # from the operating system or submitit
            with self._lock:
                self._lost = JobError(f"lost track of the jobs: {_last_line(error)}")
                waiting = [*self._jobs, *self._unsent]
                self._unsent = {}  # so that a shutdown does not cancel these, which fail here
            for future in waiting:
                future.set_exception(self._lost)

    def _poll(self) -> None:
        """Sends calls and collects results until the executor is shut down and all jobs ended."""
        silent = 0  # polls in a row that the cluster did not answer
        gone: Counter[Future[Any]] = Counter()  # polls that found the job neither queued nor ended
        while not self._closing or self._jobs or self._unsent:
            with self._sending:
                self._send()
            queued = _queued()
            silent = silent + 1 if queued is None else 0
            if silent == SILENT_AFTER:
                raise JobError("squeue has not answered for half an hour")
            for future, job in list(self._jobs.items()):
                if job.paths.result_pickle.exists():
                    self._end(future, _error_of(job))
                elif queued is not None and job.job_id not in queued:
                    gone[future] += 1
                    if gone[future] >= GONE_AFTER:
                        self._end(future, BrokenExecutor(f"job {job.job_id} died"))
            time.sleep(POLL_EVERY)

    def _send(self) -> None:
        """Sends calls submitted since the last poll together; if refused, their futures fail."""
        with self._lock:
            calls, self._unsent = self._unsent, {}
        if not calls:
            return
        try:
            with self._executor.batch():
                jobs = [self._executor.submit(call) for call in calls.values()]
        except Exception as error:  # submitit raises many kinds
            refused = JobError(f"sbatch refused the jobs: {_last_line(error)}")
            for future in calls:
                future.set_exception(refused)
            return
        with self._lock:
            self._jobs |= dict(zip(calls, jobs, strict=True))

    def _end(self, future: Future[Any], error: BaseException | None) -> None:
        """Completes a job's future: with the error or, if there is none, with the result None."""
        with self._lock:  # released before the future is completed, whose callbacks may submit
            del self._jobs[future]  # first: whoever waits for the future finds no job of it
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)


def _last_line(error: Exception) -> str:
    """The last line of an error's message; the name of its type if the message is empty."""
    return (str(error).strip() or type(error).__name__).splitlines()[-1]


def _queued() -> set[str] | None:
    """IDs of this user's pending and running jobs; None if the cluster does not answer."""
    answer = _output("squeue", "--me", "--noheader", "--array", "--format=%i")
    return None if answer is None else set(answer.split())


def _output(*command: str) -> str | None:
    """Runs a command; returns its standard output, or None if it failed."""
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return None if done.returncode else done.stdout


def _error_of(job: Any) -> BaseException | None:
    """Returns a finished job's error; if it succeeded, removes its data and logs, returns None.

    The error is a `BrokenExecutor` if SLURM ended the job, a `JobError` if its call raised.
    """
    error, paths = job.exception(), job.paths
    if error is None:
        for path in (paths.submitted_pickle, paths.result_pickle, paths.stdout, paths.stderr):
            path.unlink(missing_ok=True)
        return None
    # submitit's text is a message, a line of 22 hyphens, the traceback and another such line.
    traceback = str(error).split("-" * 22)[1]
    last = traceback.strip().splitlines()[-1]
    if "UncompletedJobError" in last:  # out of time, or preempted
        return BrokenExecutor(f"job {job.job_id} was ended")
    return JobError(f"job {job.job_id}: {last} (its log is {paths.stderr})")


def max_tasks() -> int:
    """Largest number of tasks that a job array may have on this cluster; at most `MAX_TASKS`."""
    config = _output("scontrol", "show", "config") or ""
    limit = re.search(r"^MaxArraySize\s*=\s*(\d+)", config, re.MULTILINE)
    most = int(limit[1]) if limit else MAX_TASKS
    return min(max(most, 1), MAX_TASKS)  # 0 forbids arrays, but not single jobs


@contextmanager
def slurm_jobs(folder: Path, workers: int, options: Mapping[str, str]) -> Iterator[SlurmExecutor]:
    """Yields an executor; a normal end waits for its jobs.

    After `KeyboardInterrupt` (Ctrl-C; with `stop_signals`, also SIGTERM and SIGHUP) they continue;
    any other exception cancels them.
    """
    executor = SlurmExecutor(folder, workers, options)
    try:
        yield executor
    except KeyboardInterrupt:
        if numbers := " ".join(executor.job_numbers()):
            note(f"The jobs continue without this process; scancel {numbers} ends them.")
        executor.shutdown(wait=False)
        raise
    except BaseException:
        executor.shutdown(wait=False, cancel_futures=True)
        raise
    executor.shutdown()
