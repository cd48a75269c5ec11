"""``python -m simulator`` and the command ``engram``."""

import os
import sys
import warnings

from simulator.commands import main as cli


def main() -> int:
    """Run the command line; what libraries warn of is shown with ENGRAM_DEBUG=1 only."""
    if not sys.warnoptions and not os.environ.get("ENGRAM_DEBUG"):
        warnings.simplefilter("ignore")
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")  # it greets on stdout
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
