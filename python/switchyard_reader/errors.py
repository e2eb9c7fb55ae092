class ReadError(ValueError):
    """What is wrong (why); what to try."""


def one_of(words):
    """"a, b or c"."""
    *first, last = map(str, words)
    return f"{', '.join(first)} or {last}" if first else last
