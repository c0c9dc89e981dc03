"""``python -m cloud_agent --config configs/cloud.yaml``."""

import signal

if __name__ == "__main__":
    # Loading takes seconds and leaves nothing behind: until the agent runs, Ctrl-C just ends it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from cloud_agent.command import command

__all__ = ["command"]

if __name__ == "__main__":
    command()
