"""The conditions, one per row of the table; the test suite tries further ones."""

from __future__ import annotations

import os
from signal import Signals

from tests.tools.faults.disturbances import (
    begun_by_another,
    full_disk,
    given_away,
    large_networks,
    removed,
    signalled,
    suspended,
)
from tests.tools.faults.rows import LONG, SWEEP, TRAIN, VERIFY, Fault

# Runs a command as root without the right to ignore permissions.
CONFINED = 'exec setpriv --bounding-set=-dac_override,-dac_read_search,-fowner "$@"'
UNPRIVILEGED = CONFINED if os.geteuid() == 0 else 'exec "$@"'
LITTLE_MEMORY = 'ulimit -v 2000000; exec "$@"'
# Standard error goes to a file too, which must not be cut off.
SMALL_FILES = 'ulimit -S -f 1; exec "$@" 2> >(ulimit -S -f unlimited; cat >&2)'
IN_REMOVED_FOLDER = (
    'export PYTHONPATH=$PWD; mkdir "$HOME/gone"; cd "$HOME/gone"; rmdir "$HOME/gone"; exec "$@"'
)
INJECTING = "exec strace --seccomp-bpf -f -qq -o /dev/null"
NOWHERE = "/proc/none"  # which not even root can create
STOPPED = r"^$|^Interrupted"
KILLED = r"^$|resource_tracker"  # Python's resource tracker outlives a killed parent, and complains
REFUSED = r"^error: --results .*Permission denied"
BOTH = ((SWEEP, "--results"), (TRAIN, "--out"))
STATUS = {"INT": 130, "HUP": 129, "TERM": 143, "KILL": 137}

INHERITED = (
    Fault(name="no-temporary-folder", command=SWEEP, environment={"TMPDIR": "/nonexistent/tmp"}),
    Fault(name="no-git-on-path", command=TRAIN, environment={"PATH": "/nonexistent"}),
    Fault(name="another-processor", command=TRAIN,
          environment={"NUMBA_CPU_NAME": "bdver4", "NUMBA_CPU_FEATURES": "+xop,+fma4"}),
    Fault(name="threads-not-a-number", command=TRAIN, environment={"OMP_NUM_THREADS": "many"},
          expect_line=r"^$|^libgomp: .*OMP_NUM_THREADS"),
    Fault(name="umask", command=SWEEP, shell='umask 077; exec "$@"'),
    Fault(name="input-closed", command=SWEEP, shell='exec "$@" <&-'),
    Fault(name="errors-closed", command=SWEEP, shell='exec "$@" 2>&-'),
    Fault(name="quotes", command=TRAIN, out="it's \"so\" [0] %s"),
    *(Fault(name=f"{name}-{command.name}", command=command, out=out)
      for command, name, out in ((SWEEP, "undecodable", "\udcff"), (TRAIN, "newline", "a\nb"))),
    Fault(name="nowhere-to-write", command=TRAIN,
          environment=dict.fromkeys(("HOME", "TMPDIR", "MPLCONFIGDIR"), NOWHERE)),
    Fault(name="children-ignored", command=SWEEP, shell="trap '' CHLD; exec \"$@\""),
    Fault(name="shell-in-removed-folder", command=SWEEP, shell=IN_REMOVED_FOLDER,
          expect_status=(2,), expect_line="^error: the current folder: expected"),
)  # fmt: skip

SIGNALLED = (
    *(Fault(name=f"{name}-{stage}-{command.name}", command=command, episodes=LONG,
            disturb=signalled(Signals[f"SIG{name}"], stage=stage),
            expect_line=KILLED if name == "KILL" else STOPPED,
            expect_status=(STATUS[name], 0) if stage == "ending" else (STATUS[name],))
      for stage, name, command in (
          ("starting", "INT", SWEEP), ("starting", "INT", TRAIN), ("starting", "TERM", TRAIN),
          ("training", "HUP", SWEEP), ("training", "TERM", SWEEP), ("training", "KILL", SWEEP),
          ("training", "KILL", TRAIN),
          ("ending", "INT", TRAIN), ("ending", "TERM", TRAIN), ("ending", "KILL", SWEEP))),
    *(Fault(name=f"{name}-worker", command=SWEEP, flags="--workers 2", episodes=LONG,
            disturb=signalled(Signals[f"SIG{name}"], "worker"), expect_line=r"^$|worker died")
      for name in ("INT", "HUP", "KILL")),
    *(Fault(name=f"{name}-twice-{command.name}", command=command, episodes=LONG,
            disturb=signalled(Signals[f"SIG{name}"], times=2), expect_line=f"{STOPPED}|{KILLED}",
            expect_status=(STATUS[name],))
      for name, command in (("INT", SWEEP), ("TERM", TRAIN))),
    *(Fault(name=f"suspended-{command.name}", command=command, episodes=LONG, disturb=suspended)
      for command, _ in BOTH),
)  # fmt: skip

DISK = (
    *(Fault(name=f"full-disk-{command.name}", command=command, needs_root=True,
            arrange=full_disk, repair=lambda place: (place.out / "filling").unlink(),
            expect_status=(2,),
            expect_line=rf"^error: {flag} \S+: .*No space left")
      for command, flag in BOTH),
    *(Fault(name=f"read-only-folder-{command.name}", command=command, shell=UNPRIVILEGED,
            arrange=lambda place: place.out.mkdir(0o500),
            repair=lambda place: place.out.chmod(0o755), expect_status=(2,),
            expect_line=rf"^error: {flag} \S+: .*Permission denied")
      for command, flag in BOTH),
    *(Fault(name=f"link-to-itself-{command.name}", command=command, expect_status=(2,),
            arrange=lambda place: place.out.symlink_to(place.out),
            repair=lambda place: place.out.unlink(),
            expect_line=rf"^error: {flag} \S+: .*([Ss]ymbolic|exists)")
      for command, flag in BOTH),
    *(Fault(name=f"link-to-nowhere-{command.name}", command=command, expect_status=(2,),
            arrange=lambda place: place.out.symlink_to(NOWHERE),
            repair=lambda place: place.out.unlink(),
            expect_line=rf"^error: {flag} \S+: .*exists")
      for command, flag in BOTH),
    *(Fault(name=f"{call}-{error}-{command.name}", command=command, tool="strace",
            shell=f'{INJECTING} -e trace={call} -e inject={call}:error={error} "$@"',
            expect_status=(2,), expect_line=rf"^error: {flag} \S+: .*{said}")
      for (command, flag), call, error, said in (
          (BOTH[0], "flock", "ENOLCK", "locks"), (BOTH[1], "flock", "ENOSYS", "locks"),
          (BOTH[0], "rename", "ESTALE", "Stale"), (BOTH[1], "fsync", "EDQUOT", "quota"))),
    Fault(name="folder-removed", command=SWEEP, episodes=LONG, disturb=removed,
          expect_status=(0, 2), expect_line="^$|^error: --results"),
)  # fmt: skip

LIMITS = (
    Fault(name="little-memory-train", command=TRAIN, flags="--hidden-size 3000", finishes=False,
          shell=LITTLE_MEMORY, expect_status=(2,), expect_line="^error: MEMORY exhausted"),
    Fault(name="little-memory-sweep", command=SWEEP, finishes=False, shell=LITTLE_MEMORY,
          arrange=large_networks, expect_status=(2,), expect_line="^error: MEMORY exhausted"),
    *(Fault(name=f"small-files-{command.name}", command=command, shell=SMALL_FILES,
            expect_status=(2,), expect_line=rf"^error: {flag} \S+: .*File too large")
      for command, flag in BOTH),
    Fault(name="few-open-files", command=SWEEP, shell='ulimit -n 24; exec "$@"',
          expect_status=(0, 2), expect_line=r"^$|^error: .*[Tt]oo many open files"),
)  # fmt: skip

PERMISSIONS = (
    Fault(name="store-of-another-user", command=SWEEP, needs_root=True, shell=UNPRIVILEGED,
          arrange=begun_by_another, expect_status=(2,), expect_line=REFUSED),
    Fault(name="verify-store-of-another-user", command=VERIFY, needs_root=True,
          shell=UNPRIVILEGED, arrange=lambda place: given_away(place.stored)),
    Fault(name="unreadable-store", command=VERIFY, shell=UNPRIVILEGED, expect_status=(2,),
          arrange=lambda place: place.stored.chmod(0), expect_line=REFUSED),
)  # fmt: skip

FAULTS: tuple[Fault, ...] = (
    *INHERITED, *SIGNALLED, *DISK, *LIMITS, *PERMISSIONS,
)  # fmt: skip
