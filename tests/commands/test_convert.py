"""`python -m pwm.convert`: conversions, caveats, bad input, and the examples in docs/convert.md."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from pwm.analysis.conventions import CONVENTIONS, convert_weight
from pwm.convert import main
from tests.support.commands import call

PAGE = Path(__file__).resolve().parents[2] / "docs" / "convert.md"
EXAMPLES = re.findall(
    r"^    \$ (python -m pwm\.convert .*)\n((?:    .+\n)+)", PAGE.read_text(), re.M
)


@pytest.mark.parametrize(("command", "output"), EXAMPLES)
def test_the_examples_of_the_page(
    command: str, output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(command) == 0
    shown = "".join(f"    {line}\n" for line in capsys.readouterr().out.splitlines())
    assert shown == output


def test_the_page_has_examples() -> None:
    assert len(EXAMPLES) >= 3


def test_every_pair_is_converted(capsys: pytest.CaptureFixture[str]) -> None:
    for source in ("notes", "cleanrl-ppo", "tf-agents-reinforce"):
        for to in CONVENTIONS:
            main(shlex.split(f"--from {source} --to {to} --weight 3 --episode-length 60"))
            first, *rest = capsys.readouterr().out.splitlines()
            converted = convert_weight(3, 60, source=source, to=to)
            assert first.startswith(f"3 in {source} is {converted:.3g} in {to} (")
            assert len(rest) < 12


def test_what_both_have_is_said_once_or_not_at_all(capsys: pytest.CaptureFixture[str]) -> None:
    main(shlex.split("--from stable-baselines3-ppo --to tianshou-ppo"))
    out = capsys.readouterr().out
    assert "divided by their standard deviation" not in out
    (line,) = (line for line in out.splitlines() if "share no parameters" in line)
    assert line.startswith("- stable-baselines3-ppo, tianshou-ppo: ")
    main(shlex.split("--from tf-agents-reinforce --to bsuite-tf"))
    assert "of temperature" not in capsys.readouterr().out


def test_without_a_target_all_are_listed_at_the_default_weight(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(shlex.split("--from cleanrl-ppo --episode-length 60"))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(CONVENTIONS)
    assert lines[0].split()[1] == "15"


CAVEATS = {
    "the gradient is 1/60 of that in notes": ("notes", "stable-baselines3-a2c"),
    "the gradient is 60 times that in": ("stable-baselines3-a2c", "notes"),
    "the baseline is attached": ("notes", "tf-agents-reinforce"),
    "in the critic's target would, of temperature 6.": ("notes", "stable-baselines3-a2c"),
    "actor and critic share no parameters: the weight only scales": ("notes", "cleanrl-ppo"),
    "if actor and critic share no parameters, the weight only": ("notes", "tianshou-a2c"),
    "but for a limit on the norm of both gradients": ("notes", "cleanrl-ppo"),
    "divide the converted weight by it": ("notes", "cleanrl-ppo"),
    "multiply the converted weight by it": ("cleanrl-ppo", "notes"),
    "(Huber)": ("notes", "torchrl-a2c"),
    "cap have no gradient": ("notes", "rllib-ppo"),
    "returns are standardised": ("notes", "keras-example"),
    "no such weight: multiply its value loss": ("notes", "bsuite-jax"),
}


@pytest.mark.parametrize("caveat", CAVEATS)
def test_what_no_weight_makes_up_for_is_said(
    caveat: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source, to = CAVEATS[caveat]
    main(shlex.split(f"--from {source} --to {to} --weight 5 --episode-length 60"))
    assert caveat in capsys.readouterr().out
    main(shlex.split("--from bsuite-jax --to bsuite-jax-rnn"))
    if "no such weight" not in caveat:
        assert caveat not in capsys.readouterr().out


def test_without_a_length_the_gradients_size_depends_on_t(
    capsys: pytest.CaptureFixture[str],
) -> None:
    caveats = []
    for flags in ("", " --episode-length 60", " --episode-length 1"):
        main(shlex.split("--from rllib-a3c --to stable-baselines3-a2c" + flags))
        caveats.append("the gradient is 1/" in (out := capsys.readouterr().out))
        assert ("the gradient is 1/T of that in rllib-a3c" in out) == (flags == "")
    assert caveats == [True, True, False]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--from nots", "--from nots: expected one of notes, stable-baselines3-a2c, "),
        ("--from notes --to nowhere", "--to nowhere: expected one of notes, "),
        ("--from notes --to cleanrl-ppo", "--episode-length (none): expected a number of steps: "),
        ("--from notes --episode-length 0", "--episode-length 0: expected an integer, 1 or above"),
        ("--from notes --weight 0 --episode-length 1", "--weight 0.0: expected a finite number"),
        ("--from notes --weight nan --episode-length 1", "--weight nan: expected a finite number"),
        ("--from notes --weight x", "--weight x: expected a number"),
    ],
)
def test_bad_input_ends_in_one_line(
    flags: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(f"python -m pwm.convert {flags}") == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith(f"error: {message}")
