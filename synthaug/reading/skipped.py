"""The images left out under on_error="skip", in words."""

from collections.abc import Sequence

SHOWN = 10


class SkippedImages(UserWarning):
    """`names` of the images that could not be read, out of `total`."""

    def __init__(self, names: tuple[str, ...], total: int) -> None:
        super().__init__(names, total)
        self.names = names
        self.total = total

    def __str__(self) -> str:
        return told_skipped(self.names, f"{len(self.names)} of {self.total} images")


def told_skipped(names: Sequence[str], how_many: str) -> str:
    """That so many images were left out, the first of them by name."""
    shown = ", ".join(names[:SHOWN])
    rest = len(names) - SHOWN
    more = f" and {rest} more" if rest > 0 else ""
    return f"{how_many} could not be read and were left out: {shown}{more}"
