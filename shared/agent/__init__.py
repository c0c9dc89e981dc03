"""Any agent as a whole: its settings, how it is built, and how it runs."""
