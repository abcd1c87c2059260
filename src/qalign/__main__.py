"""`python -m qalign` is the command `qalign`."""

from .cli import main

main()
