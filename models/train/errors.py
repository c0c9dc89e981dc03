"""What can go wrong in training that the person who started it can put right."""

from shared.errors import RecServeError


class TrainingError(RecServeError):
    """Training cannot start or go on; the message names the file or flag and what to do."""
