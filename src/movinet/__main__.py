"""`movinet`, and `python -m movinet`: the command line."""

import sys


def run() -> None:
    """The command line, from its first moment: Ctrl-C while torch is loaded, which takes seconds, is no traceback."""
    try:
        from movinet.cli import main

        main()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    run()
