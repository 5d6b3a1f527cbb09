"""What the package raises when it cannot go on.

The command line turns `InputError` into exit status 2 and `TrainingError` into 1.
"""


class InputError(ValueError):
    """Something that the caller gave is wrong: the message says what, where, and what to do.

    >>> from synthaug import InputError, read_images
    >>> try:
    ...     read_images("digits", split="val")
    ... except InputError as error:
    ...     print(error)
    digits: it has no split 'val', only train, test
    """


class TrainingError(RuntimeError):
    """A training run broke down, for instance because its loss is no longer a number.

    >>> from synthaug import TrainConfig, read_images, train_classifier
    >>> from synthaug.core import TrainingError
    >>> steep = TrainConfig(learning_rate=1e30)
    >>> try:
    ...     train_classifier(read_images("digits"), config=steep, steps=9, device="cpu")
    ... except TrainingError:
    ...     print("try a smaller learning rate")
    try a smaller learning rate
    """


def first_line(error: BaseException) -> str:
    """What an error of a library says, for a message of ours: its first line, or its name."""
    return str(error).partition("\n")[0] or type(error).__name__
