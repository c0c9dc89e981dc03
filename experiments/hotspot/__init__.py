"""Days of a simulated hotspot workload: what a memory saves, beside what others would have done.

::

    facts      questions with answers: generated like PopQA, or its real rows
    workload   who asks what on which day, in which words
    cloud      answers from above, recorded once and replayed
    edge       the edge's own model, scripted
    baselines  systems from the literature, on the same vectors, answers and room
    ours       the memory as it is shipped
    study      all of them run, and the report
    repeats    the same over seeds and on real questions
    lookup_cost  what a look-up costs a question
    plots      the pictures
"""
