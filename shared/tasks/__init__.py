"""The kinds of answer that can be asked for, one file each."""
