"""Options and constants that `engine.js` reads in `engine.wasm`, besides the compiled code."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pwm.core import agent
from pwm.core.task import STIMULUS_SETS, Action
from pwm.fused import compilation, vectors
from pwm.fused.engine import KNOWN_WORDS
from pwm.page import streams
from pwm.training import loss_options, parameters, tracking, update
from pwm.training.config import OptimizerName, TrainConfig
from pwm.training.history import METRICS
from pwm.training.loss_config import Balance


def about() -> dict[str, Any]:
    """Defaults and accepted words of options, constants and source hash of the engine, for JSON."""
    return {
        "sources": sources(),
        "defaults": asdict(TrainConfig()),
        # A stimulus set is a string, not a `Literal`, because users may add sets.
        "words": words(TrainConfig()) | {"stimulus_set": list(STIMULUS_SETS)},
        "stimulus_sets": dict(STIMULUS_SETS),
        "constants": {
            "actions": [action.name.lower() for action in Action],
            "gates": agent.NUM_GATES,
            "outputs": agent.NUM_OUTPUTS,
            "value": agent.VALUE,
            "vector_multiple": parameters.VECTOR_MULTIPLE,
            "unit_multiple": parameters.UNIT_MULTIPLE,
            "lanes": vectors.LANES,
            "pool": streams.POOL,
            "metrics": METRICS,
            "tracked": len(tracking.Tracked),
            # The compiled engine takes a balance, or an optimiser, as its index in the list.
            "balances": get_args(Balance),
            "optimizers": get_args(OptimizerName),
            "clip_epsilon": update.CLIP_EPSILON,
            "normaliser": loss_options.NORMALISER,
            "least_scale": tracking.LEAST_SCALE,
        },
    }


def sources() -> str:
    """SHA-256 of the source of all compiled code, to tell if a module was made from it."""
    folder = Path(compilation.__file__).parent
    paths = [folder / f"{module}.py" for module in compilation.SOURCES]
    content = b"".join(path.read_bytes() for path in [*paths, Path(streams.__file__)])
    return hashlib.sha256(content).hexdigest()


def words(config: Any) -> dict[str, list[str]]:
    """Words that the page accepts, by name of each field, also nested, of a `Literal` type."""
    found: dict[str, list[str]] = {}
    hints = get_type_hints(type(config))
    for field in fields(config):
        value, hint = getattr(config, field.name), hints[field.name]
        if is_dataclass(value):
            found |= words(value)
        elif get_origin(hint) is Literal:
            known = KNOWN_WORDS.get(field.name, get_args(hint))  # to the compiled engine
            found[field.name] = [word for word in get_args(hint) if word in known]
    return found
