"""Nights: when an edge's model learns what the cloud taught, and whether it is then believed.

::

    due       whether a night is to begin: a clock, or a volume: pure
    plan      what is learned, what is held out, what is repeated: pure
    gates     whether a model that has learned may serve: pure
    probing   by day, whether the model still knows what it learned
    canary    whether it does worse in its first hours: pure
    folder    a night on the disk: what was ordered, what came of it, which model is believed
    settings  the key ``memory.night``
    trainer   the process that trains, seen from the edge
    keeper    all of it joined, in a running agent

Leaves out the training, which is another process (``recserve.night``): nothing here imports
PyTorch, and an edge that does not learn imports nothing of this but the settings.
"""
