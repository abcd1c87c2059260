"""`python -m qalign` is the command `qalign`."""

import sys

if not sys.flags.safe_path:
    # `python -m` looks for modules in the current folder first, where a file may have the name of a library.
    sys.path.append(sys.path.pop(0))

from .cli import main  # behind the line above, or it would come too late

main()
