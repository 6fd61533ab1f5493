"""`python -m tui.lab`: the lab alone, without the rest of the command line."""

from __future__ import annotations

import argparse
import sys

from tui.core import durations
from tui.core.errors import WizardError
from tui.lab.main import LabOptions, run


def main() -> int:
    """Parse and run."""
    parser = argparse.ArgumentParser(prog="python -m tui.lab")
    parser.add_argument("--nodes", type=int, default=4)
    parser.add_argument("--interval", type=durations.parse, default=60.0)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--fault", action="append", default=[])
    parser.add_argument("--bare", action="store_true")
    parser.add_argument("--user", action="append", default=[])
    options = parser.parse_args()
    try:
        return run(
            LabOptions(
                nodes=options.nodes,
                interval_s=options.interval,
                seed=options.seed,
                faults=tuple(options.fault),
                bare=options.bare,
                users=tuple(options.user),
            )
        )
    except WizardError as error:
        print(error, file=sys.stderr)
        return int(error.status)


if __name__ == "__main__":
    sys.exit(main())
