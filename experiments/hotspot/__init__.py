"""Days of a simulated hotspot workload: what a memory saves, beside what others would have done.

::

    facts      questions with answers: generated like PopQA, or its real rows
    workload   who asks what on which day, in which words
    cloud      answers from above, recorded once and replayed
    edge       the edge's own model, scripted
    systems    what a system is
    routed     systems from the literature without a memory
    cached     one that gives remembered answers again
    exemplars  those that show them to the edge's model
    vector_cache  what these keep, within the same room
    showing    examples before a question, the same way for all
    ours       the memory as it is shipped
    study      all of them run, and the report
    goals      what it was built to reach, and what is missed
    repeats    the same over seeds and on real questions
    lookup_cost  what a look-up costs a question
    plots      the pictures
"""
