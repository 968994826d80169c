"""Runs `paper/page/engine.js` in node."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pwm.runs.fields import identity
from pwm.training.config import TrainConfig
from pwm.training.history import METRICS, History

NODE = shutil.which("node")
PAGE = Path(__file__).parents[2] / "paper" / "page"
needs_node = pytest.mark.skipif(NODE is None, reason="NOT SHOWN: there is no node here")


@dataclass(frozen=True)
class Trained:
    """A run trained in node."""

    history: History
    parameters: NDArray[np.float32]
    digest: str


def node(script: str, data: object = None) -> Any:
    """Runs the body of an asynchronous function in node; returns its result, parsed from JSON.

    Args:
        script: the body, which can use `engine` and `data`.
        data: data for the body, passed as JSON.
    """
    assert NODE is not None
    program = f"""
        const {{ readFileSync }} = require("node:fs");
        const {{ loadEngine }} = require({json.dumps(str(PAGE / "engine.js"))});
        const data = JSON.parse(readFileSync(0));
        const body = async (engine) => {{ {script} }};
        loadEngine(readFileSync({json.dumps(str(PAGE / "engine.wasm"))}))
          .then(body)
          .then((found) => console.log(JSON.stringify(found)));
    """
    done = subprocess.run(
        [NODE, "-e", program], input=json.dumps(data), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def train(runs: Sequence[TrainConfig]) -> list[Trained]:
    """Trains runs in node, one after another."""
    found = node(
        """
        const bits = (curve) => [...new Uint32Array(curve.buffer)];
        const runs = [];
        for (const config of data) {
          const { history, parameters, digest } = await engine.train(config);
          const { episode, ...curves } = history;
          for (const name in curves) curves[name] = bits(curves[name]);
          runs.push({ episode, curves, parameters: bits(parameters), digest });
        }
        return runs;
        """,
        [identity(run) for run in runs],
    )
    return [
        Trained(
            History(
                np.array(each["episode"], np.int64),
                *(_floats(each["curves"][name])[np.newaxis] for name in METRICS),
            ),
            _floats(each["parameters"]),
            each["digest"],
        )
        for each in found
    ]


def _floats(bits: Sequence[int]) -> NDArray[np.float32]:
    return np.array(bits, np.uint32).view(np.float32)
