"""What nights do for a classifier whose texts change: films, then products, then restaurants.

::

    domains  the texts of each day, and those that test it
    base     an edge that knows films alone, trained here
    asked    what a model says to texts, kept on the disk
    day      a day of a cascade: what goes up to the edge, and from there to the cloud
    site     an edge's memory and its nights
    study    three days and nights, with every order of arrival
    figures  accuracy, confidence, and what goes up, with intervals
    page     the section of docs/nights.md, and its picture
"""
