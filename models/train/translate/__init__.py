"""Train the three English-German caption translators of the demo, each a small Llama.

A prompt is an English caption and the separator; the answer is the German caption and the end
token. Leaves out export and quantisation, which belong to packing. Needs torch, transformers,
tokenizers and sacrebleu; nothing that serves prompts imports this package.
"""
