"""What an edge remembers of the cloud's answers, and when it may use it.

::

    wording      a question as it is compared: words, names, numbers, what it asks for
    guards       differences that no likeness outweighs
    verifier     how likely two questions are one
    entries      what is remembered of one question
    index        the nearest entries of a vector
    retriever    candidates of a question, and the examples worth showing
    router       answer from memory, from the edge's model, with examples, or send up: pure
    fast_path    what an answer from above changes, within milliseconds
    eviction     what is let go of when there is no room
    privacy      what is never remembered
    store        the same on disk: a snapshot and a journal
    memory       all of it joined

Leaves out the model that answers, the way to the cloud, and the training at night.
"""
