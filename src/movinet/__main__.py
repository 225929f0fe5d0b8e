"""`movinet`, and `python -m movinet`: the command line."""

import gc
import sys


def run() -> None:
    """The command line, from its first moment: Ctrl-C while torch is loaded, which takes seconds, is no traceback."""
    try:
        from movinet.cli import main

        main()
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        gc.freeze()  # or Python, as it ends, looks for garbage in all that was imported, and takes it apart in order


if __name__ == "__main__":
    run()
