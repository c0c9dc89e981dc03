"""Studies of nights: what a small model learns from a memory, night after night, and what it keeps.

::

    base      a model that knows popular facts and can use an example, trained here
    study     three nights in a row on facts that it does not know, and one without replay
"""
