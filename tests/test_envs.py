"""The Gymnasium environments replay the core's episodes, and follow Gymnasium's API."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.error import InvalidAction, ResetNeeded
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from stable_baselines3.common.env_checker import check_env as check_for_baselines

from pwm.core.agent import AgentConfig
from pwm.core.errors import InputError
from pwm.core.rollout import Draws, Episode, Rollout
from pwm.core.task import STIMULUS_SETS, Action, TaskConfig
from pwm.envs import NO_ACTION, Phase, PWMEnv, PWMVectorEnv
from pwm.training.draws import DrawSource
from pwm.training.parameters import Layout

HOLD, LEFT, RIGHT = Action


@st.composite
def tasks(draw: st.DrawFn) -> dict[str, Any]:
    """Draws a value for every field of a task."""
    trial_length = draw(st.integers(2, 5))
    return {
        "stimulus_set": draw(st.sampled_from(list(STIMULUS_SETS))),
        "trial_length": trial_length,
        "episode_length": trial_length * draw(st.integers(1, 5)) + draw(st.integers(0, 1)),
        "timeout": draw(st.booleans()),
        "hold_reward": draw(st.sampled_from([0.0, 0.1, 2.0])),
        "reward": draw(st.sampled_from([1.0, 0.3])),
    }


@st.composite
def games(draw: st.DrawFn) -> tuple[dict[str, Any], NDArray[np.int64]]:
    """Draws a task, and actions in 3 episodes of 2 replicas, most of them holds: [E, R, T]."""
    fields = draw(tasks())
    task, random = TaskConfig(**fields), np.random.default_rng(draw(st.integers(0, 99)))
    shape = (3, 2, task.num_trials * task.trial_length)
    return fields, random.choice(len(Action), shape, p=(0.8, 0.1, 0.1))


def make(fields: dict[str, Any]) -> PWMEnv:
    env = gymnasium.make("pwm/PWM5-v0", **fields).unwrapped
    assert isinstance(env, PWMEnv)
    return env


def make_vector(fields: dict[str, Any], num_envs: int) -> PWMVectorEnv:
    env = gymnasium.make_vec("pwm/PWM5-v0", num_envs=num_envs, **fields)
    assert isinstance(env, PWMVectorEnv)
    return env


def play_core(task: TaskConfig, seeds: Sequence[int], actions: NDArray[np.int64]) -> list[Episode]:
    """Plays successive episodes with the core: the seeds' trials, and the given actions, [E, R, T].

    With all parameters zero the policy is uniform, so noise in the middle of an action's third of
    [0, 1) selects this action.
    """
    agent = AgentConfig(hidden_size=1)
    layout = Layout(agent, task.num_stimuli)
    parameters = torch.zeros_like(layout.initial_parameters(seeds))
    rollout, trials = Rollout(task, agent), DrawSource(task, seeds).next(len(actions)).trials
    noise = (torch.from_numpy(actions) + 0.5).reshape(*trials.shape, task.trial_length) / 3
    return [
        rollout.play(layout.weights(parameters), Draws(*each))
        for each in zip(trials, noise, strict=True)
    ]


@given(game=games(), seed=st.integers(0, 2**64))
def test_an_environment_replays_the_core(
    game: tuple[dict[str, Any], NDArray[np.int64]], seed: int
) -> None:
    fields, actions = game
    env, task = make(fields), TaskConfig(**fields)
    first_seed: int | None = seed  # then None: each reset goes on to the seed's next episode
    for episode, taken in zip(play_core(task, [seed], actions[:, :1]), actions[:, 0], strict=True):
        assert np.array_equal(episode.actions.flatten(), taken)
        pairs = episode.trials[0].tolist()
        shown = episode.observations[0].flatten(0, 1).numpy()  # (T, S)
        paid = episode.rewards[0].flatten().numpy()
        observation, info = env.reset(seed=first_seed)
        for step, action in enumerate(taken):
            assert observation.tobytes() == shown[step].tobytes()
            assert info["trial"] == step // task.trial_length
            assert info["pair"] == pairs[info["trial"]]
            observation, reward, terminated, truncated, info = env.step(action)
            assert np.float32(reward).tobytes() == paid[step].tobytes()
            assert reward == paid[step]
            assert (terminated, truncated) == (step == len(taken) - 1, False)
        assert not observation.any()
        first_seed = None


def same(one: Any, other: Any) -> None:
    """Asserts that two arrays, or dictionaries of arrays, are bit-identical."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for name, value in one.items():
            same(value, other[name])
    else:
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        assert one.tobytes() == other.tobytes()


@given(game=games(), seeds=st.one_of(st.integers(0, 9), st.just([5, 3])))
def test_the_vector_version_is_many_environments(
    game: tuple[dict[str, Any], NDArray[np.int64]], seeds: Any
) -> None:
    fields, actions = game
    native = make_vector(fields, 2)
    separate = SyncVectorEnv([lambda: make(fields)] * 2)
    assert native.metadata["autoreset_mode"] == separate.metadata["autoreset_mode"]
    assert native.metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP
    assert native.action_space == separate.action_space
    assert native.observation_space == separate.observation_space
    resetting = np.full((3, 2, 1), RIGHT)  # actions of the steps that reset; they are ignored
    steps = np.concatenate([actions, resetting], axis=2).swapaxes(1, 2).reshape(-1, 2)
    returned = [
        [env.reset(seed=seeds), *(env.step(taken) for taken in steps), env.reset()]
        for env in (native, separate)
    ]
    # Compared after the last step: no step may alter what an earlier one returned.
    for one, other in zip(*returned, strict=True):
        for each, its_like in zip(one, other, strict=True):
            same(each, its_like)


@given(fields=tasks())
def test_the_checkers_pass(fields: dict[str, Any]) -> None:
    env = make(fields)
    check_env(env)  # both checkers' warnings are errors here
    check_for_baselines(env)


@given(game=games())
def test_an_action_is_rewarded_if_info_calls_it_correct(
    game: tuple[dict[str, Any], NDArray[np.int64]],
) -> None:
    fields, actions = game
    env = make({**fields, "hold_reward": 1.0})
    for taken in actions[:, 0]:
        _, info = env.reset(seed=0)
        for action in taken:
            correct, last = info["correct_action"], info["phase"] == Phase.SECOND_STIMULUS
            assert (correct == HOLD) <= (not last)
            assert (correct == NO_ACTION) == (info["pair"] == env.task.num_pairs)
            _, reward, _, _, info = env.step(action)
            assert (reward > 0) == (action == correct)
        assert (info["trial"], info["phase"]) == (env.task.num_trials, Phase.FIRST_STIMULUS)
        assert (info["pair"], info["correct_action"]) == (env.task.num_pairs, NO_ACTION)


@pytest.mark.parametrize("length", [2, 3, 5])
def test_the_delay_lies_between_the_stimuli(length: int) -> None:
    env = make({"trial_length": length})
    phases = [env.reset()[1]["phase"], *(env.step(HOLD)[-1]["phase"] for _ in range(length - 1))]
    assert phases == [Phase.FIRST_STIMULUS, *[Phase.DELAY] * (length - 2), Phase.SECOND_STIMULUS]


def trials_of(env: PWMEnv, seed: int | None = None) -> list[int]:
    """Resets the environment, holds through an episode, and returns the pairs of its trials."""
    _, info = env.reset(seed=seed)
    pairs, terminated = [], False
    while not terminated:
        pairs.append(info["pair"])
        _, _, terminated, _, info = env.step(HOLD)
    return pairs


def test_a_reset_goes_on_to_the_next_episode_even_from_the_middle() -> None:
    env = make({"timeout": True})
    episodes = [trials_of(env, seed=7), trials_of(env), trials_of(env)]
    assert episodes[0] != episodes[1] != episodes[2]
    env.reset(seed=7)
    env.reset()
    env.step(LEFT)  # a violation that must not reach the next episode
    assert trials_of(env) == episodes[2]
    assert trials_of(env, seed=7) == episodes[0]
    vector = make_vector({"timeout": True}, 2)
    vector.reset(seed=7)
    vector.step(np.array([LEFT, LEFT]))
    assert vector.reset()[1]["pair"][0] == episodes[1][0]


def test_without_a_seed_one_is_drawn_and_told() -> None:
    one, other = make({}), make({})
    episodes = trials_of(one)
    assert episodes != trials_of(other)
    assert one.np_random_seed != other.np_random_seed
    assert episodes == trials_of(other, seed=one.np_random_seed)
    vector = make_vector({}, 3)
    _, info = vector.reset()
    same(info, vector.reset(seed=vector.np_random_seed)[1])


def test_what_is_returned_may_be_altered() -> None:
    vector = make_vector({}, 2)
    _, info = vector.reset(seed=0)
    pairs = info["pair"].copy()
    info["pair"][:] = 0
    assert pairs.any()
    assert np.array_equal(vector.step(np.array([HOLD, HOLD]))[-1]["pair"], pairs)


def test_a_step_needs_an_episode() -> None:
    env = make({"episode_length": 3})
    with pytest.raises(ResetNeeded):
        env.step(HOLD)
    trials_of(env)
    with pytest.raises(ResetNeeded):
        env.step(HOLD)
    with pytest.raises(ResetNeeded):
        make_vector({}, 2).step(np.array([HOLD, HOLD]))


@pytest.mark.parametrize("action", [-1, 3])
def test_unknown_actions_are_refused(action: int) -> None:
    env, vector = make({}), make_vector({}, 2)
    env.reset(seed=0)
    vector.reset(seed=0)
    accepted = r"expected 0 \(hold\) or 1 \(left\) or 2 \(right\)"
    with pytest.raises(InvalidAction, match=f"action {action}: {accepted}"):
        env.step(action)
    with pytest.raises(TypeError, match="float"):
        env.step(action / 2)  # type: ignore[arg-type]
    for actions in ([HOLD, action], [HOLD] * 3, [[HOLD], [HOLD]]):
        with pytest.raises(InvalidAction, match=f": {accepted} for each of 2 replicas"):
            vector.step(np.array(actions))


def test_actions_may_be_given_as_a_list() -> None:
    env, reference = (make_vector({"timeout": True}, 2) for _ in range(2))
    env.reset(seed=0)
    reference.reset(seed=0)
    for actions in ([HOLD, LEFT], [HOLD, HOLD], [RIGHT, LEFT]):  # only the second acts too early
        listed: Any = actions
        for one, other in zip(env.step(listed), reference.step(np.array(actions)), strict=True):
            same(one, other)


def test_bad_keywords_and_seeds_are_refused() -> None:
    with pytest.raises(InputError, match="trial-length 1: expected"):
        make({"trial_length": 1})
    with pytest.raises(TypeError, match="'trial_lenght'"):
        make({"trial_lenght": 3})
    with pytest.raises(InputError, match="num-envs 0: expected"):
        make_vector({}, 0)
    vector = make_vector({}, 2)
    with pytest.raises(InputError, match=r"SEED \[1, 2, 3\]: expected one seed, or 2"):
        vector.reset(seed=[1, 2, 3])
    with pytest.raises(InputError, match="SEED -1: expected an integer"):
        vector.reset(seed=[1, -1])


@pytest.mark.parametrize("name", STIMULUS_SETS)
def test_every_stimulus_set_has_an_environment(name: str) -> None:
    env_id = f"pwm/{name.upper()}-v0"
    for env in (gymnasium.make(env_id).unwrapped, gymnasium.make_vec(env_id, num_envs=2)):
        assert isinstance(env, PWMEnv | PWMVectorEnv)
        assert env.task == TaskConfig(stimulus_set=name)


def test_an_environment_needs_neither_an_import_nor_torch() -> None:
    code = (
        "import gymnasium, sys; env = gymnasium.make('pwm.envs:pwm/PWM0-v0'); env.reset(seed=0);"
        "env.step(0); sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
