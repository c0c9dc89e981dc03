"""What a replay did, for people: figures, a table, a page with pictures, and comparisons."""
