"""The demo: real processes, real models and the prompts in ``prompts.tsv``."""
