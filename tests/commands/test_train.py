"""`python -m pwm.train` as a user sees it: flags, files, summary, errors, Ctrl-C."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, get_args

import numpy as np
import pytest
import torch
from tqdm import tqdm

import pwm.figures.training
from pwm import train
from pwm.analysis.learning import learned
from pwm.analysis.summary import summary
from pwm.core.agent import AgentConfig
from pwm.core.task import TaskConfig
from pwm.io.cli import parse
from pwm.io.files import make_folder
from pwm.io.inherited import STOPPING
from pwm.runs import training
from pwm.runs.fields import restored
from pwm.runs.folders import CONFIG, CURVES, FILES, HISTORY, PROVENANCE, STATE_FILE
from pwm.runs.saved import load_run
from pwm.runs.training import EPISODES_PER_CHUNK
from pwm.train import Arguments, train_command
from pwm.training.config import TrainConfig
from pwm.training.history import METRICS, History
from pwm.training.loss_config import Balance
from pwm.training.trainer import Trainer
from tests.support.folders import contents, largest_file
from tests.support.histories import read_history, same
from tests.support.training import history_of

ROOT = Path(train.__file__).resolve().parent.parent
TINY = {"--num-episodes": "3", "--episode-length": "6", "--hidden-size": "4", "--log-every": "2"}
TINY_RUN = TrainConfig(
    task=TaskConfig(episode_length=6), agent=AgentConfig(hidden_size=4), num_episodes=3, log_every=2
)

# The notes' setting.
NOTES = {
    "critic_weight": 5.0,
    "learning_rate": 0.005,
    "trunk_rate": 1.0,
    "optimizer": "rmsprop",
    "square_decay": 0.99,
    "momentum_decay": 0.9,
    "epsilon": 1e-8,
    "num_episodes": 10_000,
    "episodes_per_update": 1,
    "log_every": 10,
    "probe_episodes": 0,
    "probe_at": (),
    "critic_start": 0.0,
    "seed": 0,
    "task": {
        "stimulus_set": "pwm5",
        "trial_length": 3,
        "episode_length": 60,
        "timeout": False,
        "hold_reward": 0.0,
        "reward": 1.0,
    },
    "agent": {"hidden_size": 24, "carry_state": False, "separate_trunks": False},
    "loss": {
        "baseline": "attached",
        "policy_reduction": "sum",
        "discount": 1.0,
        "entropy_weight": 0.0,
        "optimism": 0.0,
        "lost_gradients": "none",
        "returns": "raw",
        "tracking_rate": 0.1,
        "balance": "fixed",
        "normalise_advantages": False,
        "clip_gradient": 0.0,
        "value_loss": "squared",
        "trace_decay": 1.0,
        "leaking_targets": False,
        "return_horizon": "episode",
    },
}


def as_json(run: TrainConfig) -> Any:
    """A configuration as it is read from config.json."""
    return json.loads(json.dumps(asdict(run)))


class Outcome(NamedTuple):
    """Exit status and output of the command."""

    status: int | str | None
    out: str
    err: str


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of a test, so that every file it creates is noticed."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skips drawing, which takes longer than the rest of a tiny run."""

    def blank(_runs: Sequence[TrainConfig], _history: History, path: Path) -> None:
        path.write_bytes(b"picture")

    monkeypatch.setattr(pwm.figures.training, "training_curves", blank)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[History]:
    """Skips drawing; records the histories that would be drawn."""
    histories: list[History] = []

    def blank(_runs: Sequence[TrainConfig], history: History, path: Path) -> None:
        histories.append(history)
        path.write_bytes(b"picture")

    monkeypatch.setattr(pwm.figures.training, "training_curves", blank)
    return histories


def ran(argv: Sequence[str], capsys: pytest.CaptureFixture[str]) -> Outcome:
    """Runs the command in this process."""
    with pytest.raises(SystemExit) as stop:
        train_command(argv)
    captured = capsys.readouterr()
    return Outcome(stop.value.code, captured.out, captured.err)


def tiny(*flags: str, **changes: str) -> list[str]:
    """Flags of a run of three episodes, with some flags added or changed."""
    given = TINY | {f"--{name.replace('_', '-')}": value for name, value in changes.items()}
    return [part for flag in given.items() for part in flag] + list(flags)


def in_subprocess(*argv: str, **environment: str) -> subprocess.Popen[str]:
    """Starts the command in a new process, in the working folder."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "pwm.train", *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
    )


def configs_in(folder: str) -> list[TrainConfig]:
    """The configurations in config.json."""
    entries = json.loads(Path(folder, CONFIG).read_text())
    return [restored(TrainConfig(), entry) for entry in entries]


def written(folder: str) -> set[str]:
    """Names of the files in a folder."""
    return {path.name for path in Path(folder).iterdir()}


def assert_refused(outcome: Outcome, *mentioned: str) -> None:
    """Asserts exit status 2, an empty standard output, and one line with the `mentioned` texts."""
    assert outcome.status == 2
    assert outcome.out == ""
    assert outcome.err.count("\n") == 1
    assert outcome.err.endswith("\n")
    assert "\r" not in outcome.err
    assert outcome.err.startswith("error: ")
    assert "Traceback" not in outcome.err
    for text in mentioned:
        assert text in outcome.err


# Flags


def test_the_defaults_are_the_setting_of_the_notes() -> None:
    (run,) = parse(Arguments, "", "", []).runs()
    assert asdict(run) == NOTES


DOCUMENTED = (
    "--critic-weight 3 --learning-rate 0.005 --stimulus-set pwm5 --trial-length 3"
    " --episode-length 60 --num-episodes 10000 --seeds 0 1 2 --baseline attached"
    " --policy-reduction sum --no-carry-state --no-timeout --hold-reward 0 --discount 1.0"
    " --entropy-weight 0 --hidden-size 24 --log-every 10 --device cpu --out runs/mine"
)


def test_the_documented_command_is_accepted_as_it_stands() -> None:
    arguments = parse(Arguments, "", "", shlex.split(DOCUMENTED))
    notes = [NOTES | {"critic_weight": 3.0, "seed": seed} for seed in (0, 1, 2)]
    assert [asdict(run) for run in arguments.runs()] == notes
    assert (arguments.device, arguments.out) == ("cpu", Path("runs/mine"))


FLAGS: list[tuple[str, str, Any]] = [
    ("--critic-weight 3", "critic_weight", 3.0),
    ("--critic-weight 0", "critic_weight", 0.0),
    ("--learning-rate 0.01", "learning_rate", 0.01),
    ("--num-episodes 4", "num_episodes", 4),
    ("--log-every 3", "log_every", 3),
    ("--probe-episodes 2", "probe_episodes", 2),
    ("--seeds 7", "seed", 7),
    ("--stimulus-set pwm0", "task.stimulus_set", "pwm0"),
    ("--trial-length 2", "task.trial_length", 2),
    ("--episode-length 9", "task.episode_length", 9),
    ("--timeout", "task.timeout", True),
    ("--no-timeout", "task.timeout", False),
    ("--hold-reward 0.25", "task.hold_reward", 0.25),
    ("--hidden-size 5", "agent.hidden_size", 5),
    ("--carry-state", "agent.carry_state", True),
    ("--no-carry-state", "agent.carry_state", False),
    ("--separate-trunks", "agent.separate_trunks", True),
    ("--no-separate-trunks", "agent.separate_trunks", False),
    ("--baseline detached", "loss.baseline", "detached"),
    ("--policy-reduction mean", "loss.policy_reduction", "mean"),
    ("--discount 0.9", "loss.discount", 0.9),
    ("--entropy-weight 0.1", "loss.entropy_weight", 0.1),
    ("--optimism 1.5", "loss.optimism", 1.5),
    ("--lost-gradients values", "loss.lost_gradients", "values"),
    ("--returns centred", "loss.returns", "centred"),
    ("--tracking-rate 0.02", "loss.tracking_rate", 0.02),
    *((f"--balance {rule}", "loss.balance", rule) for rule in get_args(Balance)),
    ("--normalise-advantages", "loss.normalise_advantages", True),
    ("--no-normalise-advantages", "loss.normalise_advantages", False),
    ("--clip-gradient 0.5", "loss.clip_gradient", 0.5),
    ("--reward 2.5", "task.reward", 2.5),
    ("--trunk-rate 0.25", "trunk_rate", 0.25),
    ("--critic-start 1.5", "critic_start", 1.5),
    ("--critic-start -2.5", "critic_start", -2.5),
    ("--critic-start mean", "critic_start", "mean"),
    ("--critic-start fixed-point", "critic_start", "fixed-point"),
    ("--optimizer adam", "optimizer", "adam"),
    ("--optimizer sgd", "optimizer", "sgd"),
    ("--square-decay 0.9", "square_decay", 0.9),
    ("--momentum-decay 0.5", "momentum_decay", 0.5),
    ("--epsilon 1e-5", "epsilon", 1e-5),
    ("--episodes-per-update 3", "episodes_per_update", 3),
    ("--value-loss huber", "loss.value_loss", "huber"),
    ("--trace-decay 0.9", "loss.trace_decay", 0.9),
    ("--leaking-targets", "loss.leaking_targets", True),
    ("--return-horizon trial", "loss.return_horizon", "trial"),
]


@pytest.mark.usefixtures("no_picture")
@pytest.mark.parametrize(("flag", "field", "value"), FLAGS, ids=[flag for flag, _, _ in FLAGS])
def test_a_flag_sets_only_its_own_field_and_is_used_in_training(
    flag: str, field: str, value: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    name, *argument = flag.split()
    changed = {name[2:]: argument[0]} if argument else {}
    argv = tiny(*([] if argument else [name]), "--out", "mine", **changed)
    assert ran(argv, capsys).status == 0

    expected = as_json(TINY_RUN)
    inner = expected
    *outer, last = field.split(".")
    for part in outer:
        inner = inner[part]
    inner[last] = value
    (stored,) = json.loads(Path("mine/config.json").read_text())
    assert stored == expected
    assert same(read_history(Path("mine/history.npz")), history_of(configs_in("mine")))


def test_every_field_of_a_run_has_a_flag_that_is_tested() -> None:
    named = {field for _, field, _ in FLAGS}
    fields = {
        f"{part}.{name}" if isinstance(inner, dict) else part
        for part, inner in asdict(TINY_RUN).items()
        for name in (inner if isinstance(inner, dict) else [part])
    }
    assert named == fields - {"probe_at"}  # tested below, with --probe-episodes


def test_help_names_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = ran(["--help"], capsys)
    assert (outcome.status, outcome.err) == (0, "")
    for flag in re.findall(r"--[a-z-]+", DOCUMENTED):
        assert flag in outcome.out


# Files


def test_a_run_writes_five_files(
    capsys: pytest.CaptureFixture[str],
) -> None:
    outcome = ran(tiny("--seeds", "3", "0", "--out", "runs/mine"), capsys)
    assert outcome.status == 0
    assert written("runs/mine") == set(FILES)

    runs = [replace(TINY_RUN, seed=seed) for seed in (3, 0)]
    assert json.loads(Path("runs/mine/config.json").read_text()) == [*map(as_json, runs)]

    with np.load("runs/mine/history.npz") as stored:
        assert set(stored) == {"episode", *METRICS}
        assert stored["episode"].tolist() == [2, 3]
        assert {stored[name].shape for name in METRICS} == {(2, 2)}
    history = read_history(Path("runs/mine/history.npz"))
    assert same(history, history_of(runs))
    assert same(history.select([1]), history_of(runs[1:]))

    picture = Path("runs/mine/curves.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 5000


@pytest.mark.usefixtures("no_picture")
def test_provenance_says_what_made_the_result(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = ["/somewhere/python", "-m", "pwm.train", "--out", "my runs"]
    monkeypatch.setattr(sys, "orig_argv", typed)
    ran(tiny("--out", "mine"), capsys)
    provenance = json.loads(Path("mine/provenance.json").read_text())
    git = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert shlex.split(provenance["command"]) == ["python", *typed[1:]]
    assert provenance["commit"] == (git.stdout.strip() or None)
    assert isinstance(provenance["clean"], bool)
    assert provenance["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert provenance["versions"]["numpy"] == np.__version__
    assert provenance["versions"]["python"] == sys.version.split()[0]
    assert provenance["cpu"]
    assert provenance["instruction_set"] == torch.backends.cpu.get_cpu_capability()
    assert provenance["threads"] == 1
    assert 0 <= provenance["wall_seconds"] < 60


@pytest.mark.usefixtures("no_picture")
def test_other_files_in_the_folder_are_kept(
    empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (empty_folder / "mine").mkdir()
    (empty_folder / "mine" / "remarks.txt").write_text("mine")
    assert ran(tiny("--out", "mine"), capsys).status == 0
    assert (empty_folder / "mine" / "remarks.txt").read_text() == "mine"


@pytest.mark.usefixtures("no_picture")
def test_without_out_each_setting_gets_its_own_folder_and_runs_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = [tiny()] + [
        tiny(*flag.split()) for flag in ("--timeout", "--seeds 1", "--seeds 0 1")
    ]
    settings += [tiny(critic_weight="4"), tiny(discount="0.9"), tiny(num_episodes="4")]
    for number, argv in enumerate(settings, start=1):
        assert ran(argv, capsys).status == 0
        assert len(list(Path("runs").iterdir())) == number
    (folder,) = Path("runs").glob("*-w4-*")
    assert folder.name.startswith("pwm5-3x6-attached-w4-lr0.005-")

    before = {folder.name: contents(folder) for folder in Path("runs").iterdir()}
    assert_refused(ran(settings[0], capsys), "--out runs/", "expected")
    assert {folder.name: contents(folder) for folder in Path("runs").iterdir()} == before


# Several weights


@pytest.mark.usefixtures("no_picture")
def test_weights_are_trained_in_one_call_ordered_by_weight_then_seed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    flags = ["--critic-weight", "3", "1", "10", "--seeds", "2", "0", "--out", "mine"]
    outcome = ran(tiny(*flags), capsys)
    runs = [
        replace(TINY_RUN, critic_weight=weight, seed=seed)
        for weight in (3.0, 1.0, 10.0)
        for seed in (2, 0)
    ]
    assert configs_in("mine") == runs
    history = read_history(Path("mine/history.npz"))
    assert same(history, history_of(runs))
    assert same(history.select([3]), history_of([runs[3]]))  # as trained alone
    assert re.findall(r"^critic weight (\d+): learned 0 of 2;", outcome.out, re.MULTILINE) == [
        "3", "1", "10"
    ]  # fmt: skip


# Summary


@pytest.mark.usefixtures("no_picture")
def test_the_summary_counts_who_learned_and_names_the_folder(
    capsys: pytest.CaptureFixture[str],
) -> None:
    flags = "--stimulus-set pwm0 --episode-length 15 --num-episodes 600 --seeds 4 0 2 --out mine"
    outcome = ran(flags.split(), capsys)
    history = read_history(Path("mine/history.npz"))
    successes = learned(history, TaskConfig(stimulus_set="pwm0", episode_length=15))
    assert successes.sum() > 0  # so that the count below is a test
    assert outcome.out == summary(configs_in("mine"), history) + "\nResults in mine.\n"
    assert f"learned {successes.sum()} of 3;" in outcome.out
    assert "critic bias " in outcome.out


@pytest.mark.usefixtures("no_picture")
def test_the_summary_reports_the_gradients_of_probed_runs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    probed = ran(tiny("--probe-episodes", "2", "--out", "mine"), capsys)
    assert "of the trunk's squared gradient" in probed.out
    assert "squared gradient" not in ran(tiny("--out", "other"), capsys).out


@pytest.mark.usefixtures("no_picture")
def test_probes_can_come_at_chosen_episodes(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("--probe-episodes", "2", "--probe-at", "0", "1", "3", "--out", "mine")
    probed = ran(tiny(*flags), capsys)
    assert "after 0 episodes: mean |h| 0." in probed.out
    run = load_run("mine")
    assert run.configs[0].probe_at == (0, 1, 3)
    assert same(run.history, history_of(run.configs))
    assert run.history.probed.tolist() == [0, 1, 3]
    assert_refused(
        ran(tiny("--probe-episodes", "2", "--probe-at", "0", "4", "--out", "other"), capsys),
        "--probe-at 0 4: expected increasing numbers of episodes from 0 to 3",
    )


@pytest.mark.usefixtures("no_picture")
def test_progress_shows_speed_time_left_and_reward(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = ran(tiny("--out", "mine"), capsys)
    bar = r"100%.* 3/3 \[\d\d:\d\d<\d\d:\d\d, +[\d.]+ ?episodes/s, reward \d\.\d\d\]"
    assert re.search(bar, outcome.err)


# Bad input

BAD: list[tuple[str, str, str]] = [
    ("--critic-weight -1", "--critic-weight", "-1"),
    ("--critic-weight=-0.5", "--critic-weight", "-0.5"),
    ("--critic-weight nan", "--critic-weight", "nan"),
    ("--critic-weight inf", "--critic-weight", "inf"),
    ("--critic-weight -inf", "--critic-weight", "-inf"),
    ("--critic-weight heavy", "--critic-weight", "heavy"),
    ("--critic-weight ''", "--critic-weight", "''"),
    ("--critic-weight", "--critic-weight", "one or more"),
    ("--critic-weight 3 -1", "--critic-weight", "-1"),
    ("--critic-weight 3 1 3.0", "--critic-weight", "3 1 3"),
    ("--learning-rate 0", "--learning-rate", "0"),
    ("--learning-rate -0.005", "--learning-rate", "-0.005"),
    ("--learning-rate nan", "--learning-rate", "nan"),
    ("--learning-rate 1e400", "--learning-rate", "inf"),
    ("--learning-rate fast", "--learning-rate", "fast"),
    ("--stimulus-set pwm9", "--stimulus-set", "pwm9"),
    ("--stimulus-set PWM5", "--stimulus-set", "PWM5"),
    ("--trial-length 1", "--trial-length", "1"),
    ("--trial-length 2.5", "--trial-length", "2.5"),
    ("--trial-length 7", "--episode-length", "6"),
    ("--episode-length 2", "--episode-length", "2"),
    ("--episode-length 0", "--episode-length", "0"),
    ("--episode-length -60", "--episode-length", "-60"),
    ("--num-episodes 0", "--num-episodes", "0"),
    ("--num-episodes -5", "--num-episodes", "-5"),
    ("--num-episodes 2.5", "--num-episodes", "2.5"),
    ("--num-episodes 1e4", "--num-episodes", "1e4"),
    ("--num-episodes many", "--num-episodes", "many"),
    ("--seeds 1 1", "--seeds", "1 1"),
    ("--seeds 0 2 0", "--seeds", "0 2 0"),
    ("--seeds 1234567 1234567", "--seeds", "1234567 1234567"),
    ("--seeds -1", "--seeds", "-1"),
    ("--seeds 0 -3", "--seeds", "-3"),
    ("--seeds 0.5", "--seeds", "0.5"),
    ("--seeds 1 x", "--seeds", "x"),
    ("--seeds", "--seeds", "one or more"),
    ("--baseline maybe", "--baseline", "maybe"),
    ("--policy-reduction max", "--policy-reduction", "max"),
    ("--hold-reward -1", "--hold-reward", "-1"),
    ("--hold-reward nan", "--hold-reward", "nan"),
    ("--discount 1.5", "--discount", "1.5"),
    ("--discount -0.1", "--discount", "-0.1"),
    ("--discount nan", "--discount", "nan"),
    ("--entropy-weight -1", "--entropy-weight", "-1"),
    ("--entropy-weight inf", "--entropy-weight", "inf"),
    ("--hidden-size 0", "--hidden-size", "0"),
    ("--hidden-size 24.0", "--hidden-size", "24.0"),
    ("--log-every 0", "--log-every", "0"),
    ("--log-every -10", "--log-every", "-10"),
    ("--returns scaled", "--returns", "scaled"),
    ("--balance popart --returns centred", "--returns", "centred"),
    ("--balance gradnorm", "--balance", "gradnorm"),
    ("--tracking-rate 0", "--tracking-rate", "0"),
    ("--tracking-rate 1.5", "--tracking-rate", "1.5"),
    ("--trunk-rate 0", "--trunk-rate", "0"),
    ("--clip-gradient -1", "--clip-gradient", "-1"),
    ("--reward 0", "--reward", "0"),
    ("--critic-start median", "--critic-start", "median"),
    ("--critic-start nan", "--critic-start", "nan"),
    ("--critic-start -1e39", "--critic-start", "-1e+39"),
    ("--critic-start", "--critic-start", "a value"),
    ("--critic-start fixed-point --critic-weight 0", "--critic-weight", "0"),
    ("--device toaster", "--device", "toaster"),
    ("--device cuda:99", "--device", "cuda:99"),
    ("--device meta", "--device", "meta"),
    ("--device cuda", "--device", "cuda"),
    ("--engine torch --device cuda:99", "--device", "cuda:99"),
    ("--engine jax", "--engine", "jax"),
    ("--out", "--out", "a value"),
    ("--weight 3", "--weight", "3"),
    ("--loss.critic-weight 3", "--loss.critic-weight", "3"),
    ("extra", "extra", "Unrecognized"),
]


@pytest.mark.parametrize(("flags", "name", "value"), BAD, ids=[flags for flags, _, _ in BAD])
def test_bad_input_is_one_line_and_changes_nothing(
    flags: str, name: str, value: str, empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = tiny("--out", "new/folder", *shlex.split(flags))
    assert_refused(ran(argv, capsys), name, value)
    assert not any(empty_folder.iterdir())


@pytest.mark.parametrize("flags", ["--critic-weight -1", "--seeds 1 1", "--device toaster"])
def test_bad_input_makes_no_default_folder(
    flags: str, empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_refused(ran(tiny(*flags.split()), capsys), flags)
    assert not any(empty_folder.iterdir())


# Training is in single precision, where these numbers are infinite.
@pytest.mark.parametrize("flag", ["--critic-weight 1e39", "--learning-rate 1e39"])
@pytest.mark.usefixtures("no_picture")
def test_a_number_that_is_infinite_in_single_precision_is_refused(
    flag: str, empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_refused(ran(tiny(*flag.split(), "--out", "new"), capsys), flag.partition(" ")[0])
    assert not any(empty_folder.iterdir())


ERRORS = ["--episode-length 2", "--num-episodes many", "--baseline maybe", "--hidden-siz 2"]
TERMINALS = [("utf-8", 80), ("utf-8", 40), ("utf-8", 200), ("UTF-8", 80), ("ascii", 80)]


@pytest.mark.parametrize("flags", ERRORS)
def test_an_error_message_is_the_same_on_every_terminal(
    flags: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = []
    for encoding, columns in TERMINALS:
        with monkeypatch.context() as patch:
            # tyro wraps its messages to the width of the terminal.
            patch.setenv("COLUMNS", str(columns))
            patch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
            with pytest.raises(SystemExit):
                train_command(flags.split())
        messages.append(capsys.readouterr().err)
    assert messages == [messages[0]] * len(TERMINALS)
    assert "----" not in messages[0]


@pytest.mark.parametrize("file", FILES)
def test_a_folder_that_holds_a_run_is_not_changed(
    file: str, empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = empty_folder / "mine"
    folder.mkdir()
    (folder / file).write_bytes(b"an earlier run")
    (folder / "other.txt").write_bytes(b"other")
    before = contents(folder)
    assert_refused(ran(tiny("--out", "mine"), capsys), "--out mine", "expected", file)
    assert contents(folder) == before


@pytest.mark.usefixtures("no_picture")
def test_a_folder_of_a_run_that_was_killed_before_its_first_save_is_used_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("mine").mkdir()
    Path("mine", CONFIG).write_text(json.dumps([asdict(replace(TINY_RUN, seed=8))]))
    assert ran(tiny("--out", "mine"), capsys).status == 0
    assert configs_in("mine") == [TINY_RUN]


@pytest.mark.usefixtures("no_picture")
def test_the_home_folder_may_be_written_as_a_tilde(
    empty_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(empty_folder / "home"))
    outcome = ran(tiny("--out", "~/mine"), capsys)
    assert written("home/mine") == set(FILES)
    assert f"Results in {empty_folder / 'home' / 'mine'}." in outcome.out
    assert not Path("~").exists()
    refused = ran(tiny("--out", "~nobody-of-that-name/mine"), capsys)
    assert_refused(refused, "--out ~nobody-of-that-name/mine", "expected")
    assert not list(empty_folder.glob("~*"))


def test_a_file_in_place_of_the_folder_is_not_changed(
    empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (empty_folder / "mine").write_bytes(b"a file")
    assert_refused(ran(tiny("--out", "mine"), capsys), "--out mine", "expected")
    assert_refused(ran(tiny("--out", "mine/deeper"), capsys), "--out mine/deeper", "expected")
    assert contents(empty_folder) == {"mine": b"a file"}


@pytest.mark.parametrize("out", ["/proc/nobody/mine", "/proc", "x" * 300])
def test_a_folder_that_cannot_be_written_is_refused(
    out: str, empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_refused(ran(tiny("--out", out), capsys), f"--out {out}", "expected")
    assert not any(empty_folder.iterdir())


def test_bad_input_as_typed_is_one_line_without_a_traceback(empty_folder: Path) -> None:
    process = in_subprocess("--critic-weight", "-1")
    out, err = process.communicate(timeout=60)
    assert_refused(Outcome(process.returncode, out, err), "--critic-weight -1")
    assert not any(empty_folder.iterdir())


# Memory


@pytest.mark.parametrize(
    "flags",
    [
        "--hidden-size 1000000",
        "--episode-length 1000000000000",
        "--episode-length 1000000000000 --engine torch",
        "--probe-episodes 1000000000000",
    ],
)
def test_a_size_that_no_memory_holds_is_refused_before_anything_is_made(
    flags: str, empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flag, size, *_ = flags.split()
    outcome = ran(tiny("--out", "mine", *flags.split()), capsys)
    assert_refused(outcome, f"{flag} {size}: expected less", "GB of memory", "and there are")
    assert not any(empty_folder.iterdir())


@pytest.mark.usefixtures("no_picture")
@pytest.mark.parametrize("error", [MemoryError("Unable to allocate 9 GiB"), RuntimeError(
    "[enforce fail at alloc_cpu.cpp]\nDefaultCPUAllocator: can't allocate memory")])  # fmt: skip
def test_memory_that_runs_out_in_training_loses_nothing_that_was_saved(
    error: Exception, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*_arguments: object) -> None:
        raise error

    interrupted_at_50(capsys, monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "advance", exhausted)
        outcome = ran(STOPPED, capsys)
    assert outcome.status == 2
    assert "error: MEMORY exhausted: expected a smaller hidden size" in outcome.err
    assert load_run("mine").episodes_done == 50


# Disks

STOPPED = tiny("--out", "mine", num_episodes="170")


def interrupted_at_50(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        interrupt_after(1, patch)
        ran(STOPPED, capsys)


@pytest.mark.usefixtures("no_picture")
@pytest.mark.parametrize("num_bytes", [100, 1000])
def test_on_a_full_disk_the_folder_is_blamed_and_what_was_saved_stays(
    num_bytes: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted_at_50(capsys, monkeypatch)
    before = contents(Path("mine"))
    with largest_file(num_bytes):
        outcome = ran(STOPPED, capsys)
    assert outcome.status == 2
    last = outcome.err.splitlines()[-1]
    assert last == "error: --out mine: expected a folder that can be written (File too large)"
    assert written("mine") == set(FILES) - {CURVES}
    for name in (CONFIG, STATE_FILE, HISTORY):
        assert Path("mine", name).read_bytes() == before[name]
    assert ran(STOPPED, capsys).status == 0


@pytest.mark.usefixtures("no_picture")
@pytest.mark.parametrize("lost", ["removed", "moved"])
def test_a_folder_that_is_lost_in_training_is_blamed_and_not_made_again(
    lost: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    advance = Trainer.advance

    def losing(trainer: Trainer, num_episodes: int) -> None:
        advance(trainer, num_episodes)
        if Path("mine").exists():
            Path("mine").rename("moved") if lost == "moved" else shutil.rmtree("mine")

    monkeypatch.setattr(Trainer, "advance", losing)
    outcome = ran(STOPPED, capsys)
    assert outcome.status == 2
    last = outcome.err.splitlines()[-1]
    assert last.startswith("error: --out mine: expected a folder that is not removed or moved")
    assert not Path("mine").exists()


@pytest.mark.usefixtures("no_picture")
def test_a_folder_that_becomes_read_only_is_blamed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted_at_50(capsys, monkeypatch)
    advance, unlink = Trainer.advance, Path.unlink

    def read_only(*_arguments: object, **_options: object) -> NoReturn:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    def remounted(trainer: Trainer, num_episodes: int) -> None:
        advance(trainer, num_episodes)
        monkeypatch.setattr(Path, "unlink", read_only)
        monkeypatch.setattr(Path, "replace", read_only)

    monkeypatch.setattr(Trainer, "advance", remounted)
    outcome = ran(STOPPED, capsys)
    monkeypatch.setattr(Path, "unlink", unlink)
    assert outcome.status == 2
    last = outcome.err.splitlines()[-1]
    expected = "error: --out mine: expected a folder that can be written (Read-only file system)"
    assert last == expected
    assert load_run("mine").episodes_done == 50


# Two at once


def test_a_folder_that_another_process_fills_in_between_is_left_to_it(
    drawn: list[History], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def overtaken(name: str, folder: Path) -> None:
        monkeypatch.setattr("pwm.runs.folders.make_folder", make_folder)
        assert ran(tiny("--out", "mine"), capsys).status == 0
        make_folder(name, folder)

    monkeypatch.setattr("pwm.runs.folders.make_folder", overtaken)
    assert_refused(ran(tiny("--out", "mine"), capsys), "--out mine", "holds no run yet")
    assert len(drawn) == 1


def test_of_two_processes_that_choose_one_folder_at_once_one_trains() -> None:
    both = [in_subprocess(*tiny("--out", "mine", num_episodes="60000")) for _ in range(2)]
    outcomes = []
    for process in both:
        out, err = process.communicate(timeout=120)
        outcomes.append(Outcome(process.returncode, out, err))
    trained, refused = sorted(outcomes, key=lambda outcome: int(outcome.status or 0))
    assert trained.status == 0
    assert_refused(refused, "--out mine: expected a folder")
    assert written("mine") == set(FILES)
    assert same(read_history(Path("mine", HISTORY)), history_of(configs_in("mine")))


# Interruptions


def interrupt_after(
    advances: int, monkeypatch: pytest.MonkeyPatch, number: int = signal.SIGINT
) -> None:
    """Sends this process a signal, by default Ctrl-C's, after some calls of `Trainer.advance`."""
    advance, calls = Trainer.advance, []

    def interrupted(trainer: Trainer, num_episodes: int) -> None:
        advance(trainer, num_episodes)
        calls.append(num_episodes)
        if len(calls) == advances:
            signal.raise_signal(number)

    monkeypatch.setattr(Trainer, "advance", interrupted)


@pytest.mark.usefixtures("no_picture")
def test_after_ctrl_c_the_last_window_is_averaged_over_the_episodes_it_has(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        interrupt_after(3, patch)
        outcome = ran(tiny("--out", "mine", num_episodes="400", log_every="8"), capsys)
    assert signal.getsignal(signal.SIGINT) is before
    assert outcome.status == 130
    assert "Interrupted. Kept the 150 episodes so far; the same command continues.\n" in outcome.err
    assert outcome.out.startswith("Means over the last 150 episodes:\n")
    assert written("mine") == set(FILES)
    history = read_history(Path("mine/history.npz"))
    assert history.episode.tolist() == [*range(8, 150, 8), 150]
    assert same(history, history_of([replace(TINY_RUN, num_episodes=150, log_every=8)]))


@pytest.mark.parametrize("number", STOPPING)
@pytest.mark.parametrize("flags", [[], ["--engine", "torch"], ["--probe-episodes", "2"]])
def test_the_same_command_continues_a_stopped_run_bit_for_bit(
    flags: list[str],
    number: int,
    drawn: list[History],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    setting = {"num_episodes": "170", "log_every": "8"}
    mine, whole = (tiny("--out", name, *flags, **setting) for name in ("mine", "whole"))
    for advances in (1, 2):
        with monkeypatch.context() as patch:
            interrupt_after(advances, patch, number)
            outcome = ran(mine, capsys)
        assert outcome.status == 128 + number
        assert "Traceback" not in outcome.err
        assert written("mine") == set(FILES)
    assert load_run("mine").episodes_done == 150
    assert ran(mine, capsys).status == 0
    assert ran(whole, capsys).status == 0
    for name in set(FILES) - {PROVENANCE}:
        assert Path("mine", name).read_bytes() == Path("whole", name).read_bytes(), name
    assert same(drawn[-2], drawn[-1])
    provenance = json.loads(Path("mine", PROVENANCE).read_text())
    first, second = provenance["earlier_sessions"]
    assert "first_episode" not in first
    assert (second["first_episode"], provenance["first_episode"]) == (51, 151)
    assert_refused(ran(mine, capsys), "--out mine", "holds no run yet (there is config.json)")


@pytest.mark.usefixtures("no_picture")
def test_another_command_does_not_continue_a_stopped_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tiny("--out", "mine", num_episodes="170")
    with monkeypatch.context() as patch:
        interrupt_after(1, patch)
        ran(mine, capsys)
    before = contents(Path("mine"))
    for flag in ("--seeds 1", "--num-episodes 171", "--engine torch", "--timeout", "--seeds 0 1"):
        outcome = ran([*mine, *flag.split()], capsys)
        assert_refused(outcome, "--out mine", "holds no run yet (there is config.json)")
    assert contents(Path("mine")) == before


@pytest.mark.parametrize("extend", [False, True])
def test_a_run_killed_while_its_curves_are_drawn_is_finished_by_the_same_command(
    extend: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = tiny("--out", "mine", num_episodes="9")
    if extend:
        assert ran(tiny("--out", "mine"), capsys).status == 0  # its curves must not stay
        command = ["--extend", "mine", "--num-episodes", "9"]

    def killed(*_arguments: object) -> None:
        raise SystemExit(-9)

    with monkeypatch.context() as patch:
        patch.setattr(pwm.figures.training, "training_curves", killed)
        assert ran(command, capsys).status == -9
    assert written("mine") == set(FILES) - {CURVES}
    assert ran(command, capsys).status == 0
    assert ran(tiny("--out", "whole", num_episodes="9"), capsys).status == 0
    for name in (CURVES, HISTORY, STATE_FILE):
        assert Path("mine", name).read_bytes() == Path("whole", name).read_bytes(), name
    refused = ran(command, capsys)
    assert_refused(refused, "more than the 9 episodes" if extend else "holds no run yet")


@pytest.mark.usefixtures("no_picture")
def test_an_extension_into_another_folder_is_continued_by_the_same_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ran(tiny("--out", "first"), capsys).status == 0
    command = ["--extend", "first", "--out", "mine", "--num-episodes", "170"]
    with monkeypatch.context() as patch:
        interrupt_after(2, patch)
        assert ran(command, capsys).status == 130
    assert load_run("mine").episodes_done == 103
    assert ran(command, capsys).status == 0
    assert ran(tiny("--out", "whole", num_episodes="170"), capsys).status == 0
    assert Path("mine", STATE_FILE).read_bytes() == Path("whole", STATE_FILE).read_bytes()


@pytest.mark.usefixtures("no_picture")
def test_a_signal_after_the_last_episode_changes_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_after(1, monkeypatch, signal.SIGTERM)
    outcome = ran(tiny("--out", "mine"), capsys)
    assert outcome.status == 0
    assert "Interrupted" not in outcome.err
    assert written("mine") == set(FILES)


@pytest.mark.usefixtures("no_picture")
def test_ctrl_c_before_the_first_episode_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow_to_set_up(**options: Any) -> tqdm[Any]:
        bar = tqdm(**options)
        signal.raise_signal(signal.SIGINT)
        return bar

    monkeypatch.setattr(training, "tqdm", slow_to_set_up)
    outcome = ran(tiny("--out", "mine"), capsys)
    assert outcome.status == 130
    assert "Interrupted before anything was trained." in outcome.err
    assert not any(Path("mine").iterdir())  # a second try is possible


@pytest.mark.usefixtures("no_picture")
def test_after_a_kill_at_any_moment_the_history_is_missing_or_a_prefix(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    advance = Trainer.advance
    snapshots: list[History | None] = []

    def watched(trainer: Trainer, num_episodes: int) -> None:
        advance(trainer, num_episodes)
        file = Path("mine/history.npz")
        snapshots.append(read_history(file) if file.exists() else None)

    monkeypatch.setattr(training, "SAVE_EVERY", 0.0)
    monkeypatch.setattr(training, "SHOW_EVERY", 0.0)
    monkeypatch.setattr(Trainer, "advance", watched)
    ran(tiny("--out", "mine", num_episodes="300", log_every="5"), capsys)

    whole = read_history(Path("mine/history.npz"))
    assert snapshots[0] is None
    for number, snapshot in enumerate(snapshots[1:], start=1):
        assert snapshot is not None
        assert snapshot.episode.tolist() == list(range(5, EPISODES_PER_CHUNK * number + 1, 5))
        assert same(snapshot, first_windows(whole, len(snapshot.episode)))


def first_windows(history: History, windows: int) -> History:
    return History(
        history.episode[:windows], *(getattr(history, name)[:, :windows] for name in METRICS)
    )


LONG = tiny("--seeds", "0", "1", "--out", "mine", num_episodes="1000000", log_every="5")


def test_ctrl_c_as_typed_keeps_a_bit_exact_prefix() -> None:
    process = in_subprocess(*LONG)
    try:
        assert process.stderr is not None
        shown = ""
        while "reward" not in shown:
            character = process.stderr.read(1)
            assert character, shown
            shown += character
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Traceback" not in err
    kept = re.search(r"Interrupted\. Kept the (\d+) episodes so far;", err)
    assert kept is not None
    assert out.startswith("Means over the last ")
    assert written("mine") == set(FILES)

    history, episodes = read_history(Path("mine/history.npz")), int(kept[1])
    assert history.episode.tolist() == list(range(5, episodes + 1, 5))
    longer = replace(TINY_RUN, num_episodes=episodes + 10, log_every=5)
    uninterrupted = history_of([longer, replace(longer, seed=1)])
    assert same(history, first_windows(uninterrupted, len(history.episode)))
