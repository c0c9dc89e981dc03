"""Train the three sentiment models of the demo: a large one, and two distilled from it.

Leaves out export and quantisation, which belong to packing. Needs torch, transformers and
tokenizers; nothing that serves prompts imports this package.
"""
