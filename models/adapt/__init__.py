"""Adapt a model to rows of questions and answers: one low-rank adapter on a frozen base.

::

    recipe   every number of it
    rows     what a row is to the model: a text to write, or a label to choose
    base     the frozen base with its adapter, by ``peft``
    run      the steps, with a checkpoint every so many, and what came of them

Leaves out where rows come from and whether the result is any good (``edge_agent.nights``), and
packing (``models.pack``). Needs what ``pip install -e ".[learn]"`` brings.
"""
