"""What the package raises when it cannot go on.

The command line turns `InputError` into exit status 2 and `TrainingError` into 1.
"""


class InputError(ValueError):
    """Something that the caller gave is wrong: the message says what, where, and what to do."""


class TrainingError(RuntimeError):
    """A training run broke down, for instance because its loss is no longer a number."""
