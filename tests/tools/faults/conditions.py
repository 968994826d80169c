"""The conditions, one per row of the table."""

from __future__ import annotations

import os
from collections.abc import Mapping
from signal import Signals

from tests.tools.faults.disturbances import (
    absent,
    changed,
    damaged,
    dated,
    full_disk,
    halved,
    in_turn,
    locks_of_another,
    mode,
    moved,
    owned,
    read_meanwhile,
    removed,
    signalled,
    stored_already,
    swept,
    twice,
    unfinished,
    written,
)
from tests.tools.faults.rows import (
    CLAIMS,
    DIGESTS,
    EXTEND,
    FIGURES,
    LIST,
    LONG,
    SWEEP,
    TRAIN,
    VERIFY,
    Command,
    Fault,
)

# Root without the right to pass over permissions.
CONFINED = 'exec setpriv --bounding-set=-dac_override,-dac_read_search,-fowner "$@"'
UNPRIVILEGED = CONFINED if os.geteuid() == 0 else 'exec "$@"'
# Standard error is such a file too, and must not be cut off.
SMALL_FILES = 'ulimit -S -f 1; exec "$@" 2> >(ulimit -S -f unlimited; cat >&2)'
CACHE = "{code}/pwm/fused/__pycache__"
NO_CACHE = r"^$|cache"
STOPPED = r"^$|^Interrupted"
KILLED = r"^$|resource_tracker"  # which Python starts, and which outlives its parent
BOTH = ((SWEEP, "--results"), (TRAIN, "--out"))

INHERITED: tuple[tuple[str, Command, Mapping[str, str]], ...] = (
    ("foreign-module", SWEEP, {"PYTHONPATH": "{foreign}"}),
    ("locale-unknown", TRAIN, {"LC_ALL": "xx_YY.UTF-8"}),
    ("time-zone", SWEEP, {"TZ": "Pacific/Kiritimati"}),
    ("optimised", SWEEP, {"PYTHONOPTIMIZE": "2"}),
    ("warnings-are-errors", SWEEP, {"PYTHONWARNINGS": "error"}),
    ("warnings-are-errors", TRAIN, {"PYTHONWARNINGS": "error"}),
    ("hash-seed", TRAIN, {"PYTHONHASHSEED": "7"}),
    ("one-column", TRAIN, {"COLUMNS": "1", "LINES": "1"}),
    ("no-home", TRAIN, {"HOME": "/nonexistent/home"}),
    ("no-temporary-folder", SWEEP, {"TMPDIR": "/nonexistent/tmp"}),
    ("no-git-on-path", TRAIN, {"PATH": "/nonexistent"}),
    ("numba-options", TRAIN, {"NUMBA_OPT": "1", "NUMBA_NUM_THREADS": "1"}),
    ("numba-processor", TRAIN, {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}),
    ("notebook", TRAIN, {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}),
    ("notebook", FIGURES, {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}),
    ("matplotlib-folder-unwritable", FIGURES, {"MPLCONFIGDIR": "/proc/none"}),
)
ENVIRONMENT = (
    *(Fault(name=f"{name}-{command.name}", command=command, environment=environment)
      for name, command, environment in INHERITED),
    Fault(name="locale-ascii", command=TRAIN, out="µ",
          environment={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}),
    Fault(name="matplotlibrc", command=FIGURES,
          arrange=written("{home}/.config/matplotlib/matplotlibrc",
                          "backend: TkAgg\ntext.usetex: True\nlines.linewidth: 9\n")),
    *(Fault(name=f"foreign-numpy-{command.name}", command=command, expect_status=(2,),
            arrange=written("{folder}/path/numpy/__init__.py", '__version__ = "1.26.4"\n'),
            environment={"PYTHONPATH": "{folder}/path"},
            expect_line=r"^error: .*(1\.26|path/numpy)")
      for command in (SWEEP, TRAIN, VERIFY)),
    Fault(name="threads-not-a-number", command=TRAIN, environment={"OMP_NUM_THREADS": "many"},
          expect_line=r"^$|^libgomp: .*OMP_NUM_THREADS"),
    Fault(name="no-jit", command=TRAIN, environment={"NUMBA_DISABLE_JIT": "1"},
          expect_status=(2,), expect_line=r"^error: .*JIT"),
)  # fmt: skip

SIGNALS = {"INT": 130, "TERM": 143, "HUP": 129, "KILL": 137}
SIGNALLED = (
    *(Fault(name=f"{name}-{stage}-{command.name}", command=command, episodes=LONG,
            disturb=signalled(Signals[f"SIG{name}"], stage=stage),
            expect_line=KILLED if name == "KILL" else STOPPED,
            expect_status=(SIGNALS[name], 0) if stage == "ending" else (SIGNALS[name],))
      for name, stage, commands in (
          *((name, "training", (SWEEP, TRAIN)) for name in SIGNALS),
          ("INT", "starting", (SWEEP, TRAIN)), ("TERM", "starting", (TRAIN,)),
          ("INT", "ending", (TRAIN,)), ("TERM", "ending", (TRAIN,)), ("KILL", "ending", (SWEEP,)))
      for command in commands),
    *(Fault(name=f"{name}-worker", command=SWEEP, flags="--workers 2", episodes=LONG,
            disturb=signalled(Signals[f"SIG{name}"], "worker"), expect_line=r"^$|worker died")
      for name in SIGNALS),
    *(Fault(name=f"{name}-group", command=SWEEP, flags="--workers 2", episodes=LONG,
            disturb=signalled(Signals[f"SIG{name}"], "group"), expect_line=STOPPED,
            expect_status=(SIGNALS[name],))
      for name in ("INT", "TERM")),
    *(Fault(name=f"{name}-twice-{command.name}", command=command, episodes=LONG,
            disturb=signalled(Signals[f"SIG{name}"], times=2), expect_line=STOPPED,
            expect_status=(SIGNALS[name],))
      for name, command in (("INT", SWEEP), ("TERM", TRAIN))),
)  # fmt: skip

DISK = (
    *(Fault(name=f"full-disk-{command.name}", command=command, needs_root=True,
            arrange=full_disk("{out}"), repair=absent("{out}", "filling"), expect_status=(2,),
            expect_line=rf"^error: {flag} \S+: .*No space left")
      for command, flag in BOTH),
    *(Fault(name=f"file-size-limit-{command.name}", command=command, expect_status=(2,),
            shell=SMALL_FILES, expect_line=rf"^error: {flag} \S+: .*File too large")
      for command, flag in BOTH),
    *(Fault(name=f"read-only-folder-{command.name}", command=command, shell=UNPRIVILEGED,
            arrange=mode("{out}", 0o500), repair=mode("{out}", 0o755), expect_status=(2,),
            expect_line=rf"^error: {flag} \S+: .*Permission denied")
      for command, flag in (*BOTH, (FIGURES, "--out"))),
    *(Fault(name=f"folder-is-file-{command.name}", command=command, expect_status=(2,),
            arrange=written("{out}", "irreplaceable"), repair=lambda place: place.out.unlink(),
            expect_line=rf"^error: {flag} \S+: .*(exists|Not a directory|a folder)")
      for command, flag in BOTH),
    *(Fault(name=f"link-to-itself-{command.name}", command=command, expect_status=(2,),
            arrange=lambda place: place.out.symlink_to(place.out),
            repair=lambda place: place.out.unlink(),
            expect_line=rf"^error: {flag} \S+: .*([Ss]ymbolic|exists)")
      for command, flag in BOTH),
    *(Fault(name=f"folder-removed-{command.name}", command=command, episodes=LONG, disturb=removed,
            expect_status=(0, 2), expect_line=rf"^$|^error: {flag}")
      for command, flag in BOTH),
)  # fmt: skip

MEMORY = (
    *(Fault(name=f"{name}-train", command=TRAIN, flags=f"--{name} {size}", finishes=False,
            expect_status=(2,), expect_line=rf"^error: .*({name}|memory)")
      for name, size in (("hidden-size", 100_000), ("episode-length", 10**9))),
    Fault(name="memory-limit-train", command=TRAIN, flags="--hidden-size 3000", finishes=False,
          shell='ulimit -v 3000000; exec "$@"', expect_status=(2,), expect_line="^error: .*memory"),
    Fault(name="memory-limit-sweep", command=SWEEP, finishes=False,
          arrange=changed("{grid}", "hidden_size=3", "hidden_size=3000"), expect_status=(2,),
          shell='ulimit -v 3000000; exec "$@"', expect_line="^error: .*memory"),
    Fault(name="few-open-files", command=SWEEP, shell='ulimit -n 24; exec "$@"',
          expect_status=(0, 2), expect_line=r"^$|^error: .*[Tt]oo many open files"),
)  # fmt: skip

PERMISSIONS = (
    Fault(name="locks-of-root", command=SWEEP, arrange=locks_of_another, needs_root=True,
          shell=UNPRIVILEGED),
    Fault(name="store-of-another-user", command=SWEEP, needs_root=True, shell=UNPRIVILEGED,
          arrange=in_turn(stored_already, absent("{out}", "*.npz"), owned("{out}")),
          expect_status=(2,), expect_line=r"^error: --results .*Permission denied"),
    Fault(name="verify-store-of-another-user", command=VERIFY, needs_root=True,
          shell=UNPRIVILEGED, arrange=owned("{stored}")),
    Fault(name="unreadable-store", command=VERIFY, shell=UNPRIVILEGED, expect_status=(2,),
          arrange=mode("{stored}", 0o000), expect_line=r"^error: --results .*Permission denied"),
    Fault(name="umask", command=SWEEP, shell='umask 077; exec "$@"'),
)  # fmt: skip

CACHES = (
    *(Fault(name=f"{name}-cache-{command.name}", command=command, expect_line=NO_CACHE,
            arrange=damaged(CACHE, "*.nb?", change, every=True))
      for name, command, change in (("empty", SWEEP, lambda _: b""), ("truncated", TRAIN, halved),
                                    ("flipped", TRAIN, None))),
    Fault(name="cache-is-file", command=TRAIN, expect_line=NO_CACHE,
          arrange=in_turn(absent("{code}/pwm/fused", "__pycache__"), written(CACHE))),
    Fault(name="read-only-cache", command=TRAIN, shell=UNPRIVILEGED, expect_line=NO_CACHE,
          arrange=in_turn(absent(CACHE, "*.nb?"), mode(CACHE, 0o500)), repair=mode(CACHE, 0o755)),
    Fault(name="no-cache-folder", command=TRAIN, environment={"NUMBA_CACHE_DIR": "/proc/none"},
          expect_line=NO_CACHE),
    *(Fault(name=f"full-disk-under-cache-{command.name}", command=command, needs_root=True,
            arrange=in_turn(absent(CACHE, "*.nb?"), full_disk(CACHE)), expect_line=NO_CACHE)
      for command in (SWEEP, TRAIN)),
)  # fmt: skip

CLOCKS = (
    Fault(name="year-1970", command=TRAIN, arrange=dated(0.0)),
    Fault(name="year-2100", command=SWEEP,
          arrange=in_turn(stored_already, absent("{out}", "*.npz"), dated(4.1e9))),
)  # fmt: skip

DAMAGED = (
    *(Fault(name=f"{name}-sweep", command=SWEEP,
            arrange=in_turn(stored_already, damaged("{out}", pattern, change)),
            expect_line=r"^damaged, to be computed again: \S+\.(npz|json)$")
      for name, pattern, change in (("flipped-history", "*.npz", None),
                                    ("truncated-history", "*.npz", halved),
                                    ("flipped-provenance", "*.json", None))),
    Fault(name="damaged-checkpoint", command=SWEEP, expect_line=r"^damaged, .*unfinished\.npz$",
          arrange=in_turn(stored_already, moved("{out}", "*.npz", ".unfinished.npz"))),
    *(Fault(name=f"{name}-verify", command=VERIFY, expect_status=(1,), arrange=arrange,
            expect_output=r"damaged: \S+\n\d stored, 0 unfinished, 1 damaged\.\n$")
      for name, arrange in (("missing-history", moved("{stored}", "*.npz", ".old")),
                            ("flipped-history", damaged("{stored}", "*.npz")),
                            ("flipped-provenance", damaged("{stored}", "*.json")))),
    *(Fault(name=f"truncated-{name}-extend", command=EXTEND, expect_status=(2,),
            arrange=damaged("{stored}", name, halved), expect_line=rf"^error: \S+{name}: expected")
      for name in ("config.json", "state.npz", "provenance.json")),
    *(Fault(name=f"truncated-{name}-train", command=TRAIN, episodes=LONG,
            arrange=in_turn(unfinished, damaged("{out}", name, halved)),
            repair=absent("{out}", "*"), expect_status=(0, 2), expect_line=name)
      for name in ("config.json", "state.npz")),
    Fault(name="foreign-config-train", command=TRAIN, expect_status=(2,), finishes=False,
          arrange=written("{out}/config.json", '{"not": "ours"}\n'),
          expect_line=r"^error: --out \S+: .*config\.json"),
)  # fmt: skip

CONCURRENT = (
    Fault(name="two-sweeps", command=SWEEP, episodes=LONG, disturb=twice(SWEEP, 0, 0)),
    Fault(name="two-trainings", command=TRAIN, episodes=LONG, disturb=twice(TRAIN, 0, 2),
          expect_status=(0, 2), expect_line=r"^$|^error: --out \S+: .*(no other process|no run)"),
    Fault(name="verify-while-sweeping", command=SWEEP, episodes=LONG,
          disturb=read_meanwhile("pwm.store verify --results {out}")),
)  # fmt: skip

PIPES = (
    *(Fault(name=f"output-closed-{command.name}", command=command, shell='exec "$@" >&-')
      for command in (SWEEP, TRAIN, VERIFY)),
    *(Fault(name=f"errors-closed-{command.name}", command=command, shell='exec "$@" 2>&-')
      for command in (SWEEP, TRAIN)),
    *(Fault(name=f"head-{command.name}", command=command, expect_status=(0, 141),
            shell='"$@" | head -n 0; exit ${PIPESTATUS[0]}')
      for command in (TRAIN, LIST)),
    *(Fault(name=f"output-full-{command.name}", command=command, shell='exec "$@" > /dev/full',
            expect_status=(1, 2), expect_line=r"^error: .*output.*No space left")
      for command in (TRAIN, VERIFY)),
    Fault(name="input-closed", command=SWEEP, shell='exec "$@" <&-'),
)  # fmt: skip

PATHS = (
    *(Fault(name=f"{name}-{command.name}", command=command, out=out)
      for name, command, out in (
          ("spaces", SWEEP, "my  results (1)"), ("unicode", TRAIN, "Ergebnisse-µ-結果"),
          ("tilde", SWEEP, "~/mine"), ("tilde", TRAIN, "~/mine"),
          ("quotes", TRAIN, "it's \"so\" [0] %s"))),
    *(Fault(name=f"long-name-{command.name}", command=command, out="x" * 300, expect_status=(2,),
            finishes=False, expect_line=rf"^error: {flag} \S*x: .*File name too long")
      for command, flag in BOTH),
)  # fmt: skip

SURROUNDINGS = (
    Fault(name="no-repository", command=LIST, expect_output=r"^(?s:(?!.*changes).*mine)",
          arrange=in_turn(absent("{code}", ".git"), absent("{stored}", "*"),
                          swept)),
    Fault(name="repository-of-another-user", command=LIST, needs_root=True,
          arrange=in_turn(owned("{code}"), absent("{stored}", "*"),
                          swept),
          expect_output=r"^(?s:(?!.*changes).*mine)"),
    *(Fault(name=f"nothing-stored-{command.name}", command=command, finishes=False,
            arrange=absent("{stored}", "*"), expect_status=(2,),
            expect_line=r"^error: --results \S+: expected")
      for command in (DIGESTS, CLAIMS, FIGURES)),
)  # fmt: skip

FAULTS: tuple[Fault, ...] = (
    *ENVIRONMENT, *SIGNALLED, *DISK, *MEMORY, *PERMISSIONS, *CACHES, *CLOCKS, *DAMAGED,
    *CONCURRENT, *PIPES, *PATHS, *SURROUNDINGS,
)  # fmt: skip
