"""The warning that names the images left out under on_error="skip"."""

SHOWN = 10


class SkippedImages(UserWarning):
    """`names` of the images that could not be read, out of `total`."""

    def __init__(self, names: tuple[str, ...], total: int) -> None:
        super().__init__(names, total)
        self.names = names
        self.total = total

    def __str__(self) -> str:
        shown = ", ".join(self.names[:SHOWN])
        rest = len(self.names) - SHOWN
        more = f" and {rest} more" if rest > 0 else ""
        return (
            f"{len(self.names)} of {self.total} images could not be read and were left out: "
            f"{shown}{more}"
        )
