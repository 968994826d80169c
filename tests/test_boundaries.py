"""A module imports from its left alone, and the core draws its chance in one place."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import pwm

FOLDER = Path(pwm.__file__).parent
TORCH_CORE = [
    *(
        "errors",
        "streams",
        "task",
        "agent",
        "rollout",
        "losses",
        "probe",
        "history",
        "optim",
        "train",
    ),
]
COMPILED = ["compilation", "elementary", "layout", "lanes", "forward", "backward", "kernel"]
CORE = [*TORCH_CORE, *COMPILED, "fused"]
# From left to right; a new module takes its place here.
ORDER = [
    *CORE,
    *("engines", "theory", "stats", "tables", "provenance", "files", "cli"),
    *("grid", "experiments", "plan", "store", "inventory", "worker", "executors", "slurm", "sweep"),
    *(
        "digests",
        "edges",
        "outcomes",
        "speed",
        "mechanism",
        "quoted",
        "evidence",
        "conditions",
        "leak_claims",
        "edge_claims",
        "speed_claims",
        "gradient_claims",
        "other_claims",
        "claims",
        "theory_figures",
        "answers",
        "figures",
        "command",
        "bench",
        "paper",
    ),
]


def tree(module: str) -> ast.Module:
    return ast.parse((FOLDER / f"{module}.py").read_text())


def starts_a_program(node: ast.AST) -> bool:
    """Whether it is `if __name__ == "__main__"`, which is not part of the module."""
    return isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"


def nodes(module: str) -> Iterator[ast.AST]:
    """Everything in a module, functions and all."""
    for statement in tree(module).body:
        if not starts_a_program(statement):
            yield from ast.walk(statement)


def imports(module: str) -> set[str]:
    """Dotted names of what a module imports, wherever in it."""
    names = set()
    for node in nodes(module):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where a name is from"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def of_this_package(module: str) -> set[str]:
    """Modules of the package that a module imports."""
    return {name.split(".")[1] for name in imports(module) if name.startswith("pwm.")}


def libraries(module: str) -> set[str]:
    return {name.partition(".")[0] for name in imports(module)}


def test_every_module_has_its_place() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} == {"__init__", *ORDER}
    assert imports("__init__") <= {"__future__.annotations"}


@pytest.mark.parametrize("module", ORDER)
def test_a_module_imports_from_its_left_alone(module: str) -> None:
    assert of_this_package(module) <= set(ORDER[: ORDER.index(module)])


# What compiles needs its compiler, and looks at its own source.
COMPILERS = {
    "compilation": {"hashlib", "numba", "pathlib"},
    "lanes": {"llvmlite", "numba", "operator"},
}


@pytest.mark.parametrize("module", CORE)
def test_the_core_knows_of_no_file_plot_or_command_line(module: str) -> None:
    assert libraries(module) - COMPILERS.get(module, set()) <= {
        *("__future__", "collections", "contextlib", "dataclasses", "enum", "functools"),
        *("math", "types", "typing"),
        *("numpy", "torch", "pwm"),
    }
    called = {ast.unparse(node.func) for node in nodes(module) if isinstance(node, ast.Call)}
    assert not called & {"open", "print", "input"}


def test_statistics_draw_nothing_and_closed_forms_need_no_library() -> None:
    assert not libraries("stats") & {"matplotlib", "torch"}
    assert libraries("theory") <= {"__future__", "collections", "dataclasses", "math", "typing"}


def test_only_figures_know_how_to_draw() -> None:
    assert [module for module in ORDER if "matplotlib" in libraries(module)] == [
        "theory_figures",
        "answers",
        "figures",
    ]


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
    """What a module calls or imports that draws random numbers."""
    used = {part for name in imports(module) for part in name.split(".")}
    for node in nodes(module):
        if isinstance(node, ast.Call):
            used |= set(ast.unparse(node.func).split("."))
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            used |= {node.attr} if node.value.id in {"np", "torch"} else set()
    return used & RANDOM


@pytest.mark.parametrize("module", CORE)
def test_the_core_draws_its_chance_from_the_streams_alone(module: str) -> None:
    assert drawn_by(module) == ({"random"} if module == "streams" else set())


def test_the_search_for_chance_finds_it() -> None:
    # The plain loop of the benchmark is full of it.
    assert {"randint", "sample", "LSTM", "Linear", "distributions"} <= drawn_by("bench")
