"""What can go wrong in training that the person who started it can put right."""


class TrainingError(Exception):
    """Training cannot start or go on; the message names the file or flag and what to do."""


class DataError(TrainingError):
    """A data file is missing or has a bad row; the message names the file and the row."""
