"""`python -m movinet` is the command line."""

from movinet.cli import main

main()
