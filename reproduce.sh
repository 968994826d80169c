#!/usr/bin/env bash
# Sets itself up, then reproduces everything. It can be interrupted and run again: finished work is
# not repeated.
set -euo pipefail

usage='usage: ./reproduce.sh [audit|setup|smoke|tests|external]

  (nothing)  trains every run of every experiment, compares each with the published one, draws
             every figure, computes every claim, compiles the paper, makes the page of all runs, and
             says which of these files differ from the published ones: 45 to 80 minutes on 2 cores,
             1 minute when nothing is left to train
  audit      trains a random sample of the published runs, compares the bits, and computes every
             claim from the published outcomes: 1 to 2 minutes for 300 runs on 2 cores;
             [--runs 300] [--seed N] [--experiment NAME] [--claim NAME] [--figure NAME]
  setup      installs the pinned packages into .venv, as the other modes do first: 1 to 2 minutes
  smoke      the same path on tiny budgets, into build/smoke/: 2 to 4 minutes
  tests      the static checks and the test suite: 5 to 9 minutes
  external   trains code of other people over its weight of the critic, into paper/external.csv and
             paper/loops.csv: 100 minutes on 2 cores if neither is there; not part of the first mode

PYTHON=/path/to/python chooses the interpreter (3.11 to 3.14).'

say() { printf '\n[%d:%02d] %s\n' $((SECONDS / 60)) $((SECONDS % 60)) "$*" >&2; }

fail() {
  echo "error: $*" >&2
  exit 2
}

# The folder of this script, also when it is called through a link.
home() {
  local script=${BASH_SOURCE[0]} target
  while [ -L "$script" ]; do
    target=$(readlink "$script")
    case $target in
      /*) script=$target ;;
      *) script=$(dirname "$script")/$target ;;
    esac
  done
  cd "$(dirname "$script")" && pwd -P
}

cd "$(home)"
# Settings of the shell that the packages in .venv should not see; with the last, each of many
# processes would compile every module again.
unset PYTHONPATH PYTHONHOME PYTHONSTARTUP MPLBACKEND MATPLOTLIBRC PYTHONDONTWRITEBYTECODE
python=.venv/bin/python
made=.venv/made-by-reproduce.sh
mode=${1:-all}

suits() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null; }

find_python() {
  local candidate
  if [ -n "${PYTHON:-}" ]; then
    suits "$PYTHON" || fail "PYTHON $PYTHON: expected an interpreter of Python 3.11 to 3.14"
    echo "$PYTHON"
    return
  fi
  for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
    if suits "$candidate"; then
      echo "$candidate"
      return
    fi
  done
  fail "PYTHON (not set): expected an interpreter of Python 3.11 to 3.14, and none was found"
}

check_platform() {
  local platform
  platform="$(uname -s) $(uname -m)"
  case $platform in
    "Linux x86_64" | "Linux aarch64" | "Darwin arm64") ;;
    *) fail "platform $platform: expected Linux (x86_64, aarch64) or macOS (arm64)" ;;
  esac
  if ldd --version 2>&1 | grep -qi musl; then
    fail "platform $platform with musl: expected glibc, for which PyTorch is built"
  fi
}

# What .venv was made from: it is made anew if a lock, its place or its interpreter changes.
stamp() {
  pwd
  cat requirements.lock torch-cpu.lock torch-cuda.lock
}

# All files of .venv but those that Python and its users add later.
files() { find .venv -type f ! -name '*.pyc' | LC_ALL=C sort; }

# Whether .venv was made from these locks, and nothing that was installed is missing.
is_set_up() {
  stamp | cmp -s - "$made" && "$python" -c 'import pwm' 2>/dev/null &&
    [ -z "$(files | LC_ALL=C comm -23 "$made.files" - 2>&1)" ]
}

# Installs packages: with uv if it is there, or else with pip.
install() {
  if command -v uv >/dev/null; then
    uv pip install --quiet --python "$python" "$@"
  else
    "$python" -m pip install --quiet --disable-pip-version-check "$@"
  fi
}

# Installs PyTorch's CPU build from where pip finds packages, or else from PyTorch's own index, which
# uv knows; or else, where neither can be reached, the far larger build for CUDA.
install_torch() {
  "$python" -m pip install --quiet --disable-pip-version-check "${locked[@]}" torch-cpu.lock \
    2>/dev/null && return
  "$python" -m uv pip install --quiet --python "$python" --torch-backend cpu "${locked[@]}" \
    torch-cpu.lock 2>/dev/null && return
  say "No CPU build of PyTorch can be reached: downloading the one for CUDA, 3 GB (docs/setup.md)"
  install "${locked[@]}" torch-cuda.lock
}

# A file counts only with one of the hashes in the lock, and nothing but what a lock names counts.
locked=(--require-hashes --no-deps --only-binary :all: --requirement)

set_up() {
  is_set_up && return
  local interpreter
  interpreter=$(find_python)
  check_platform
  rmdir .venv 2>/dev/null || true # empty: nobody's
  if [ -e .venv ] && [ ! -e "$made" ]; then
    fail ".venv: expected none, or one that this script made; move yours away"
  fi
  say "Setting up .venv with $("$interpreter" --version): 1 to 2 minutes"
  rm -rf .venv
  mkdir .venv
  : > "$made"
  "$interpreter" -m venv .venv || fail "python -m venv failed; Debian has it in python3-venv"
  install "${locked[@]}" requirements.lock
  install_torch
  install --no-deps --no-build-isolation --editable .
  files > "$made.files"
  stamp > "$made"
}

reproduce() {
  say "1 of 6: training every run that is not stored yet (45 to 80 minutes on 2 cores if none is)"
  "$python" -m pwm.sweep
  say "2 of 6: comparing every run with the published one, bit for bit"
  "$python" -m pwm.digests
  say "3 of 6: drawing the figures"
  "$python" -m pwm.figures --results results
  say "4 of 6: computing every number that the paper claims"
  "$python" -m pwm.claims --results results
  say "5 of 6: compiling the paper"
  "$python" -m pwm.paper
  say "6 of 6: making the page of all published runs"
  "$python" -m pwm.page
  say "Done: the figures are in figures/, the paper is paper/paper.pdf, the page is in paper/page/"
  compare_files
}

# Says which of the files that `reproduce` writes differ from those in the last commit.
compare_files() {
  local written=(figures paper/numbers.json paper/paper.pdf paper/page/index.html)
  local file same=0 different=0
  if ! git rev-parse --verify --quiet HEAD > /dev/null 2>&1; then
    echo "There is no git repository here, so that the files cannot be compared with the published."
    return
  fi
  while IFS= read -r file; do
    if git diff --quiet HEAD -- "$file"; then
      same=$((same + 1))
    else
      echo "$file: differs from the published"
      different=$((different + 1))
    fi
  done < <(git ls-files "${written[@]}")
  while IFS= read -r file; do
    echo "$file: not published"
    different=$((different + 1))
  done < <(git ls-files --others "${written[@]}")
  echo "$same of $((same + different)) files are as published, byte for byte."
  [ "$different" -eq 0 ]
}

smoke() {
  local place=build/smoke
  rm -rf "$place"
  say "1 of 5: training every experiment on a tiny budget"
  "$python" -m pwm.sweep --size smoke --results "$place/results"
  say "2 of 5: drawing its figures"
  "$python" -m pwm.figures --size smoke --results "$place/results" --out "$place/figures"
  say "3 of 5: a short run of pwm.train"
  "$python" -m pwm.train --critic-weight 3 --num-episodes 500 --out "$place/train"
  say "4 of 5: one round of the benchmark"
  "$python" -m pwm.bench --rounds 1
  say "5 of 5: compiling the paper"
  "$python" -m pwm.paper --out "$place/paper.pdf"
  say "Done: everything ran; the results are in $place/"
}

# Both functions of the fused engine: that which trains, and that which measures gradients.
compile='
from pwm.training.config import TrainConfig
from pwm.runs.engines import make_trainer

make_trainer([TrainConfig(num_episodes=1, log_every=1, probe_episodes=2)]).advance(1)
'

tests() {
  say "1 of 3: ruff"
  "$python" -m ruff check
  "$python" -m ruff format --check
  say "2 of 3: mypy; another process compiles the engine, which each of pytest's would do otherwise"
  "$python" -c "$compile" &
  "$python" -m mypy
  wait $!
  say "3 of 3: pytest"
  "$python" -m pytest --numprocesses "${TEST_PROCESSES:-2}" --dist worksteal
  say "Done: all checks passed"
}

case $mode in
  setup)
    set_up
    say "Done: source .venv/bin/activate"
    ;;
  all)
    set_up
    reproduce
    ;;
  audit)
    set_up
    "$python" -m pwm.audit "${@:2}"
    ;;
  smoke)
    set_up
    smoke
    ;;
  tests)
    set_up
    tests
    ;;
  external)
    set_up
    "$python" -m pwm.external
    ;;
  -h | --help) echo "$usage" ;;
  *) fail "$mode: expected nothing, audit, setup, smoke, tests or external" ;;
esac
