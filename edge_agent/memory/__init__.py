"""What an edge remembers of the cloud's answers, and when it may use it.

::

    wording        a question as it is compared: words, names, numbers, what it asks for
    guards         differences that no likeness outweighs
    rewordings     which questions are one in other words
    verifier       how likely two questions are one
    entries        what is remembered of one question, and what stays of it once it is learned
    index          the nearest entries of a vector
    eligible       which entries may answer a question at all
    retriever      candidates of a question, and the examples worth showing
    recall         what a question brought to mind, as the router sees it
    assembler      which examples are shown, within the model's own tokens, as data
    router         answer from memory, from the edge's model, with examples, or send up: pure
    fast_path      which answers from above are kept, and for how long
    lessons        what one of them changes
    twins          entries that turned out to be one question
    standing       how well each way of answering does
    eviction       what is let go of when there is no room
    privacy        what is never remembered
    shelf          the entries, their vectors and their rows
    ghosts         what the edge's own model has learned
    forgetting     how what is remembered is let go of for good
    rows           what its file holds of that
    store          the same on disk: a snapshot and a journal
    memory         all of that joined

    answers        an answer as it is remembered, and back
    above          who answers above, and whose answers count
    worker         the thread that alone touches a running memory
    recall_solver  what stands before the model
    open_questions what is asked again once somebody above can be reached
    asking_again   who does that
    checks         how often what was remembered was wrong
    latencies      how long answers took, in few numbers
    days           what was asked and answered day by day
    wing           a memory in a running agent
    opening        how one is opened with the agent

    requests       what people may ask of a memory
    taking_over    entries of another memory, all or none of them
    desk           what is answered to that
    door           the same over the wire, and epochs that hold for every memory
    offers         an entry as one edge offers it to others
    sharing        what edges offer each other, heard and offered
    files          the same for an edge that is not running

Leaves out the model that answers, the way to the cloud, and the training at night.
"""
