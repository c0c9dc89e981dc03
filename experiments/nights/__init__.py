"""Studies of nights: what a small model learns from a memory, night after night, and what it keeps.

::

    base       a model that knows popular facts and can use an example, trained here
    edge       an edge as a night sees it, in this study and in that of ``classify``
    fact_edge  the same, whose nights are about facts
    study      three nights in a row on facts that it does not know, and one without replay
"""
