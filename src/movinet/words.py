"""Words for what is counted."""


def counted(count: int, one: str, many: str | None = None) -> str:
    """A count with its noun: "1 clip", "2 clips".

    Args:
        count: how many.
        one: the noun for one of them.
        many: for several; with an s at the end by default.
    """
    return f"{count} {one if count == 1 else many or f'{one}s'}"
