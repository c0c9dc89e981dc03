"""Train the two taggers of the demo: a large one, and a small one cut from it.

Leaves out export and quantisation, which belong to packing. Needs torch, transformers and
tokenizers; nothing that serves prompts imports this package.
"""
