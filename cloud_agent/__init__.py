"""The cloud agent: the top of the cascade, which keeps every prompt."""
