"""``python -m embodied``: the ``embodied`` command."""

from embodied.cli import main

raise SystemExit(main())
