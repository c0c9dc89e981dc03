"""The one loop of every agent: prompts in, decisions made, results out."""
