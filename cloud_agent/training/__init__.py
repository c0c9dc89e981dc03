"""A cloud agent as the one that trains the models of edges at night.

::

    settings     the key ``trainer``
    held_lesson  one lesson on the disk: whose it is, what it is, how it ended
    teacher      hears lessons, has them learned one after the other, and tells what came of them
    learning     one lesson: its files fetched, its training as a process of its own

Leaves out the training itself (``recserve.night.learn``), so that nothing here imports PyTorch.
"""
