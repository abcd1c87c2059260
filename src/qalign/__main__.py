"""`python -m qalign` is the command `qalign`."""

import sys

if not sys.flags.safe_path:
    # `python -m` looks for modules in the current folder first, where a file may have the name of a library.
    sys.path.append(sys.path.pop(0))

from .cli import main  # after the line above, which must run first

main()
