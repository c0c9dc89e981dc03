"""One night, as a process of its own: ``python -m recserve.night STATE/nights/0007``.

::

    hold     choose, have learned, examine; what came of it is written beside the order
    lesson   what is to be learned, for whoever trains: this machine or another agent's
    learn    learn and pack: the only step that takes PyTorch, and a process of its own elsewhere
    lessons  what the rows are to a training, and the questions after an example
    packing  what was learned as a bundle, packed as the one that serves was
    exam     what a bundle says to the probes
    apart    what such a process is like: idle, and with a limit

It only reads the memory and exchanges no model: that is for whoever ordered the night
(``edge_agent.nights``). Killed at any point and started again it goes on from its last checkpoint.
"""
