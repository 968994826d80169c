"""`python -m tests.libraries`: runs the installed libraries' losses, and writes the page on them.

Run it once in each of three environments, for the libraries on PyTorch, on JAX and on TensorFlow,
with the package versions in `pwm/analysis/conventions.toml`. Results of other environments are
kept.
"""

from __future__ import annotations

import datetime as dt
import json
from itertools import chain

from pwm.analysis.conventions import CONVENTIONS
from tests.libraries.batch import SPREADS, expected, largest_difference, make_batch
from tests.libraries.installed import FRAMEWORKS, installed_version, loss_of, weight_error
from tests.libraries.page import MEASURED, PAGE, Result, page, results


def measure(name: str) -> Result | None:
    """Compares the gradients of a library's loss with the table's; None if it cannot be run here.

    Raises:
        SystemExit: the default weight or the baseline is not the table's, or no weight was found.
    """
    found = loss_of(name)
    if isinstance(found, str):
        print(f"{name}: {found}")
        return None
    row, worst = CONVENTIONS[name], 0.0
    for spread in SPREADS:
        batch = make_batch(spread, found.ddof)
        gradients = found.loss(batch)
        if gradients.weight != row.weight:
            raise SystemExit(f"{name}: the default weight is {gradients.weight}, not {row.weight}")
        difference = largest_difference(gradients, expected(row, batch, found.ddof))
        worst = max(worst, difference)
    off = weight_error(name, found)
    print(f"{name}: gradients {worst:.1e}, weight {'not found' if off is None else f'{off:.1e}'}")
    today = dt.datetime.now(tz=dt.UTC).date().isoformat()
    version = installed_version(row.package)
    assert version is not None
    return Result(
        version=version,
        date=today,
        difference=float(f"{worst:.1e}"),
        weight=None if off is None else float(f"{off:.1e}"),
    )


def main() -> None:
    """Measures the installed libraries, and writes their results and the page."""
    for name in chain(*FRAMEWORKS.values()):
        measured = measure(name)
        if measured is not None:
            stored = results() | {name: measured}  # another environment may run meanwhile
            rows = {key: stored[key]._asdict() for key in CONVENTIONS if key in stored}
            MEASURED.write_text(json.dumps(rows, indent=1) + "\n")
    PAGE.write_text(page(results()))


if __name__ == "__main__":
    main()
