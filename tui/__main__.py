"""`python -m tui` is the command line."""

from tui.cli import main

raise SystemExit(main())
