"""The order of the packages, what each may use, and where random numbers come from."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import pwm

FOLDER = Path(pwm.__file__).parent
COMMANDS = ("train", "store", "sweep", "digests", "audit", "bench", "paper", "convert", "external")
# Rooms are top-level packages and modules; a room imports only from rooms in earlier groups.
ORDER = (
    ("core",),
    ("io", "training"),
    ("fused", "envs"),
    ("runs",),
    ("experiments",),
    ("analysis",),
    ("claims", "figures", "tools", "page"),
    ("commands",),
    ("__main__", "__init__"),
)
LEVEL = {room: level for level, rooms in enumerate(ORDER) for room in rooms}
# Every import inside a function, with its reason; most are of slow or optional libraries.
LATE = {
    ("runs/engines", "llvmlite.binding"): "Numba",
    ("runs/engines", "numba.core"): "Numba",
    ("runs/engines", "pwm.fused.engine"): "Numba",
    ("bench/contestants", "pwm.bench.peer"): "an optional extra",
    ("io/start", "importlib.metadata"): "slow",
    ("io/start", "tqdm"): "it reads the environment",
    ("runs/slurm", "submitit"): "an optional extra",
    ("train", "pwm.figures.training"): "matplotlib",
}


def modules() -> dict[str, ast.Module]:
    """The syntax tree of every module, by its path without the ending."""
    return {
        path.relative_to(FOLDER).with_suffix("").as_posix(): ast.parse(path.read_text())
        for path in sorted(FOLDER.rglob("*.py"))
    }


MODULES = modules()
LOW_LEVEL = [name for name in MODULES if name.startswith(("core/", "training/", "fused/"))]


def room(module: str) -> str:
    name = module.partition("/")[0]
    return "commands" if name in COMMANDS else name


def targets(node: ast.AST) -> list[str]:
    """Dotted names that a statement imports; none if it is not an import."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, "relative imports hide where a name comes from"
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def imports(module: str) -> set[str]:
    """Dotted names of everything a module imports, including inside functions."""
    return {name for node in ast.walk(MODULES[module]) for name in targets(node)}


def rooms_used(module: str) -> set[str]:
    """Other rooms of the package that a module imports from."""
    used = {room(name.split(".")[1]) for name in imports(module) if name.startswith("pwm.")}
    return used - {room(module)}


def libraries(module: str) -> set[str]:
    return {name.partition(".")[0] for name in imports(module)}


def late_imports(module: str) -> Iterator[str]:
    """Modules that a module imports inside a function."""
    for node in ast.walk(MODULES[module]):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Import):
                    yield from (alias.name for alias in inner.names)
                elif isinstance(inner, ast.ImportFrom):
                    yield str(inner.module)


def test_every_room_has_its_place_in_the_order() -> None:
    assert {room(module) for module in MODULES} == set(LEVEL)


@pytest.mark.parametrize("module", MODULES)
def test_a_room_imports_only_from_lower_rooms(module: str) -> None:
    if room(module) == "__init__":
        return  # it only names what others may use
    upward = {used for used in rooms_used(module) if LEVEL[used] >= LEVEL[room(module)]}
    assert upward == set()


def test_input_and_output_stand_on_the_core_alone() -> None:
    assert {used for m in MODULES if room(m) == "io" for used in rooms_used(m)} == {"core"}


def test_the_rooms_and_their_imports_can_be_drawn() -> None:
    arrows = {(room(module), used) for module in MODULES for used in rooms_used(module)}
    assert len(LEVEL) <= 17
    assert len(arrows) < 60


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_is_imported(command: str) -> None:
    """Code that two commands share belongs in a lower room; tests may import commands."""
    users = [m for m in MODULES if f"pwm.{command}" in {n.rpartition(".")[0] for n in imports(m)}]
    assert users == []


def test_only_commands_use_the_tools_for_other_agents() -> None:
    assert {room(m) for m in MODULES if "tools" in rooms_used(m)} <= {"commands"}
    used = {name for m in MODULES if room(m) == "tools" for name in rooms_used(m)}
    assert used <= {"core", "analysis"}


@pytest.mark.parametrize("package", sorted({room(m) for m in MODULES if "/" in m}))
def test_modules_of_a_package_do_not_import_each_other_in_a_circle(package: str) -> None:
    inside = {m: imports(m) for m in MODULES if room(m) == package}
    uses = {
        m: {n for n in inside if any(i.startswith("pwm." + n.replace("/", ".")) for i in names)}
        for m, names in inside.items()
    }
    while leaves := [m for m, used in uses.items() if not used & uses.keys() - {m}]:
        for leaf in leaves:
            del uses[leaf]
    assert uses == {}


def test_imports_inside_functions_are_the_listed_ones() -> None:
    assert {(module, name) for module in MODULES for name in late_imports(module)} == set(LATE)


# Further libraries of the modules that compile; one hashes its own sources and caches code.
COMPILERS = {
    "fused/compilation": {
        *("hashlib", "llvmlite", "logging", "numba", "pathlib", "pickle", "warnings"),
    },
    "fused/vectors": {"llvmlite", "numba", "operator"},
}


@pytest.mark.parametrize("module", LOW_LEVEL)
def test_core_and_fused_know_of_no_file_plot_or_command_line(module: str) -> None:
    assert libraries(module) - COMPILERS.get(module, set()) <= {
        *("__future__", "collections", "contextlib", "dataclasses", "enum", "functools"),
        *("math", "numbers", "types", "typing"),
        *("numpy", "torch", "pwm"),
    }
    called = {
        ast.unparse(node.func) for node in ast.walk(MODULES[module]) if isinstance(node, ast.Call)
    }
    assert not called & {"open", "print", "input"}


def test_the_theory_needs_no_library() -> None:
    needed = "{'torch', 'numpy', 'scipy'} & sys.modules.keys()"
    code = f"import sys, pwm.analysis.theory; sys.exit(str({needed}) if {needed} else 0)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_only_figures_draw() -> None:
    assert {room(m) for m in MODULES if "matplotlib" in libraries(m)} == {"figures"}


# Parts of dotted names by which NumPy, PyTorch and Python draw random numbers.
RANDOM = {
    *("random", "secrets", "uuid", "distributions", "init", "dropout", "Dropout"),
    *("rand", "randn", "randint", "randperm", "rand_like", "randn_like", "randint_like"),
    *("normal", "normal_", "uniform_", "bernoulli", "bernoulli_", "multinomial", "poisson"),
    *("exponential_", "geometric_", "random_", "log_normal_", "cauchy_", "gumbel_softmax"),
    *("manual_seed", "seed", "Generator", "default_rng", "RandomState", "sample", "rsample"),
    *("LSTM", "Linear"),  # which draw their own initial parameters
}


def drawn_by(module: str) -> set[str]:
    """Names of `RANDOM` that a module calls or imports."""
    used = {part for name in imports(module) for part in name.split(".")}
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.Call):
            used |= set(ast.unparse(node.func).split("."))
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            used |= {node.attr} if node.value.id in {"np", "torch"} else set()
    return used & RANDOM


@pytest.mark.parametrize("module", LOW_LEVEL)
def test_training_draws_random_numbers_only_through_streams(module: str) -> None:
    assert drawn_by(module) == ({"random"} if module == "training/streams" else set())


def test_the_search_for_random_numbers_finds_them() -> None:
    # The benchmark's plain loop draws random numbers in many ways.
    assert {"randint", "sample", "LSTM", "Linear", "distributions"} <= drawn_by("bench/plain")
