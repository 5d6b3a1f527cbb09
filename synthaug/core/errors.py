"""Errors of the package: a wrong input, and a training that broke down.

The command line turns `InputError` into exit status 2 and `TrainingError` into 1.
"""


class InputError(ValueError):
    """An error of the input. The message says what, where, and what to do.

    Examples:
        >>> from synthaug import InputError, read_images
        >>> try:
        ...     read_images("digits", split="val")
        ... except InputError as error:
        ...     print(error)
        digits: it has no split 'val', only train, test
    """


class TrainingError(RuntimeError):
    """A breakdown of a training, for instance because its loss is no longer a number.

    Examples:
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
    """Return the first line of a library's error, or the error's name."""
    return str(error).partition("\n")[0] or type(error).__name__
