"""Loads runs that `python -m pwm.train` saved, to play, probe or continue them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pwm.core.errors import InputError, require, require_integer
from pwm.core.rollout import Draws, Episode, Rollout
from pwm.io.errors import FileError, require_file
from pwm.io.files import read_arrays
from pwm.runs.engines import EngineName, make_trainer
from pwm.runs.folders import (
    CONFIG,
    CURVES,
    FILES,
    PROVENANCE,
    STATE_FILE,
    files_in,
    read_configs,
    read_provenance,
)
from pwm.training.config import TrainConfig
from pwm.training.draws import DrawSource
from pwm.training.history import AGENT_DIAGNOSTICS, DIAGNOSTICS, History
from pwm.training.parameters import Layout
from pwm.training.trainer import OPTIONAL, PROBES, STATE, Trainer
from pwm.training.update import one_thread


@dataclass(frozen=True, kw_only=True, eq=False)
class SavedRun:
    """Trained runs, as `load_run` returns them: R replicas of one population (trained together)."""

    folder: Path
    configs: tuple[TrainConfig, ...]
    """One configuration per replica: for each critic weight, all seeds, in the order given."""
    history: History
    """Metrics averaged over K windows of episodes, [R, K], and any diagnostics."""
    provenance: Mapping[str, Any]
    """Engine, commit, library versions, machine and command of the last session of training; if
    there were others, `earlier_sessions` has theirs."""
    state: Mapping[str, NDArray[Any]]
    """The trainer's state at the last save; see `Trainer.state`."""

    @property
    def engine(self) -> EngineName:
        """Name of the engine that trained the run."""
        return cast(EngineName, self.provenance["engine"])

    @property
    def episodes_done(self) -> int:
        """Number of episodes trained so far."""
        return int(self.state["episodes_done"])

    def continues_to(self, num_episodes: int) -> bool:
        """Whether episodes up to `num_episodes` remain to train, or their curves to draw."""
        if self.episodes_done == num_episodes:
            return CURVES not in files_in(self.folder)  # training was killed before it drew them
        return self.episodes_done < num_episodes

    @property
    def parameters(self) -> dict[str, Tensor]:
        """Trained parameters by name, each [R, LSTMs, rows, columns]; see `Layout.named`."""
        return self._layout.named(self._parameters)

    def play(self, seed: int = 0) -> Episode:
        """Plays one episode with the trained parameters; nothing is trained.

        Args:
            seed: seed of the trials and the action noise, which are the same for every replica.
                Training never uses them, except in the first probes of runs with this seed.
        Returns:
            The episode, tensors [R, N, ...] without gradients: R replicas, N trials; see `Episode`.
            Values are outputs of the value head, which some settings scale (`training.episode`).
        Raises:
            InputError: the seed is not a non-negative integer.
        """
        draws = self._draws(seed, 1)
        only_episode = Draws(*(array[0] for array in draws))  # removes the episode axis
        rollout = Rollout(self.configs[0].task, self.configs[0].agent)
        with one_thread():
            return rollout.play(self._layout.weights(self._parameters), only_episode)

    def probe(self, num_episodes: int = 64, seed: int = 0) -> dict[str, NDArray[np.float64]]:
        """Measures diagnostics of the agent's gradients, hidden states and critic; trains nothing.

        Args:
            num_episodes: episodes to play, at least 2.
            seed: seed of the trials and the action noise, as for `play`.
        Returns:
            The `DIAGNOSTICS` and `AGENT_DIAGNOSTICS` of `pwm.training.history` by name, [R] each.
        Raises:
            InputError: `num_episodes` is not an integer of at least 2, the seed is not a
                non-negative integer, or the run was trained with `lost_gradients`.
        """
        require_integer("num_episodes", num_episodes, 2)
        keeps_all = self.configs[0].loss.lost_gradients == "none"
        require_file(keeps_all, self.folder, "a run that loses no gradients, to diagnose them")
        # With `probe_at`, a probe also measures the hidden states.
        probed = [replace(run, probe_episodes=num_episodes, probe_at=(0,)) for run in self.configs]
        trainer = make_trainer(probed, self.engine)
        trainer.engine.restore(self.state)  # all that a probe needs
        values = trainer.probe(self._draws(seed, num_episodes))
        return dict(zip(DIAGNOSTICS + AGENT_DIAGNOSTICS, values, strict=True))

    def trainer(self, num_episodes: int, device: str = "cpu") -> Trainer:
        """Makes a trainer that continues from the saved state, bit for bit.

        With the torch engine, this holds only on the same machine and device.

        Args:
            num_episodes: episodes to train for in all, including those already trained.
            device: device to train on, as for `make_trainer`.
        Raises:
            InputError: `num_episodes` does not exceed the episodes trained so far, is not a whole
                number of updates or precedes a probe, or the engine cannot use the device.
        """
        accepted = f"more than the {self.episodes_done} episodes trained so far"
        require(num_episodes > self.episodes_done, "num_episodes", num_episodes, accepted)
        runs = tuple(replace(run, num_episodes=num_episodes) for run in self.configs)
        trainer = make_trainer(runs, self.engine, device)
        trainer.restore(self.state)
        return trainer

    @property
    def _layout(self) -> Layout:
        """The layout of the run's parameters."""
        return Layout(self.configs[0].agent, self.configs[0].task.num_stimuli)

    @property
    def _parameters(self) -> Tensor:
        """The trained parameters as one tensor, [R, P]."""
        return torch.from_numpy(self.state["parameters"])

    def _draws(self, seed: int, num_episodes: int) -> Draws:
        """Random numbers of a seed's probes, never trained on, the same for all replicas."""
        require_integer("seed", seed, 0)
        seeds = (seed,) * len(self.configs)
        return DrawSource(self.configs[0].task, seeds, of_probes=True).next(num_episodes)


def load_run(folder: Path | str) -> SavedRun:
    """Loads the run that `python -m pwm.train` saved in a folder (`--out`).

    The history comes from the state; the history's file, which may be older, is not read.

    Raises:
        FileError: the folder holds no run, or a file that is read is missing or damaged.
    """
    folder = Path(folder)
    with suppress(RuntimeError):  # no user has the name in "~name": the path is used as given
        folder = folder.expanduser()
    accepted = f"a folder with a run: {CONFIG} and {STATE_FILE}"
    require_file(files_in(folder) >= {CONFIG, STATE_FILE}, folder, accepted)
    configs = read_configs(folder / CONFIG)
    state = read_arrays(folder / STATE_FILE, STATE, *OPTIONAL)
    trainer = make_trainer(configs, "torch")  # either engine's state fits; torch compiles nothing
    belongs = _arrays_of(state) == _arrays_of(trainer.state()) and _is_consistent(state, configs[0])
    require_file(belongs, folder / STATE_FILE, f"the state of the runs in {CONFIG}")
    trainer.restore(state)
    return SavedRun(
        folder=folder,
        configs=configs,
        history=trainer.history(),
        provenance=read_provenance(folder / PROVENANCE),
        state=state,
    )


def unfinished_run(
    name: str, folder: Path, configs: Sequence[TrainConfig], engine: EngineName
) -> SavedRun | None:
    """Loads the unfinished run of `configs` from a folder; None if no run has been saved there.

    Raises:
        InputError: the folder, which the flag `name` gave, holds another run, a finished one or one
            whose configurations are damaged.
        FileError: another file of the run is damaged.
    """
    files = files_in(folder)
    saved_configs = None
    with suppress(FileError):
        saved_configs = read_configs(folder / CONFIG)
    if STATE_FILE in files and saved_configs == tuple(configs):
        run = load_run(folder)
        if run.engine == engine and run.continues_to(configs[0].num_episodes):
            return run
    # The folder holds configurations but no state: its run was killed before the first save.
    never_saved = saved_configs is not None and files <= {CONFIG, PROVENANCE}
    if files and not never_saved:
        first = min(files, key=FILES.index)  # sets have no order
        raise InputError(name, folder, f"a folder that holds no run yet (there is {first})")
    return None


def _arrays_of(state: Mapping[str, NDArray[Any]]) -> dict[str, tuple[Any, ...]]:
    """Data type and shape of each array by name, without the first axis if training extends it."""
    layout = {}
    for name, array in state.items():
        shape = array.shape[1:] if name in ("windows", PROBES) else array.shape
        layout[name] = (array.dtype, *shape)
    return layout


def _is_consistent(state: Mapping[str, NDArray[Any]], run: TrainConfig) -> bool:
    """Whether a state's windows and probes match its episodes, which must be whole updates."""
    done = int(state["episodes_done"])
    num_probes = sum(episode <= done for episode in run.probe_at)
    return (
        done % run.episodes_per_update == 0
        and len(state["windows"]) == done // run.log_every
        and len(state.get(PROBES, ())) == num_probes
    )
