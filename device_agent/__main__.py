"""``python -m device_agent --config configs/device.yaml``."""

import signal

if __name__ == "__main__":
    # Loading takes seconds and leaves nothing behind: until the agent runs, Ctrl-C just ends it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from device_agent.command import command

__all__ = ["command"]

if __name__ == "__main__":
    command()
