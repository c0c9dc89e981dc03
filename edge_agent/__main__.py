"""``python -m edge_agent --config configs/edge.yaml``."""

import signal

if __name__ == "__main__":
    # Loading takes seconds and leaves nothing behind: until the agent runs, Ctrl-C just ends it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # A request to exchange the model waits until there is one.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})

from edge_agent.command import command

__all__ = ["command"]

if __name__ == "__main__":
    command()
