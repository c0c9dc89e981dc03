"""``python -m recserve``, and the command ``recserve``."""

import signal

if __name__ == "__main__":
    # Until a command has begun there is nothing to end in good order: Ctrl-C just ends it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    from recserve.cli import main

    main()
