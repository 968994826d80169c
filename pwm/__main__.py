"""`python -m pwm`: lists the commands."""

from __future__ import annotations

import ast
import sys
from collections.abc import Sequence
from pathlib import Path

from pwm.core.errors import InputError
from pwm.io.start import BAD_INPUT

PACKAGE = Path(__file__).parent


def commands() -> dict[str, str]:
    """Summary of each command, by name, from the first line of its module's docstring."""
    summaries = {}
    for path in (*PACKAGE.glob("*.py"), *PACKAGE.glob("*/*.py")):
        text = path.read_text("utf-8")  # not imported, which would be slow
        if path != Path(__file__) and '\nif __name__ == "__main__":' in text:
            parts = path.relative_to(PACKAGE).with_suffix("").parts
            name = ".".join(part for part in parts if part != "__main__")
            first_line = (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
            summary = first_line.removeprefix(f"`python -m pwm.{name}`: ")
            summaries[name] = summary[:1].upper() + summary[1:]
    return dict(sorted(summaries.items()))


def main(argv: Sequence[str] | None = None) -> None:
    """Lists the commands; exits with status 2 on any argument other than -h or --help."""
    given = " ".join(sys.argv[1:] if argv is None else argv)
    summaries = commands()
    if given not in ("", "-h", "--help"):
        accepted = f"python -m pwm.NAME, where NAME is one of {', '.join(summaries)}"
        print(f"error: {InputError('COMMAND', given, accepted)}", file=sys.stderr)
        raise SystemExit(BAD_INPUT)
    print("Commands; each explains itself with --help:")
    width = max(map(len, summaries))
    for name, summary in summaries.items():
        print(f"  python -m pwm.{name:{width}}  {summary}")


if __name__ == "__main__":
    main()
