"""Files of parameters that are none: each has to be refused in one message."""

from __future__ import annotations


def make_laughing(depth: int) -> str:
    """Return a document that is some lines long and 9 to the power ``depth`` values large."""
    lines = ["a0: &a0 [x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, depth)]
    return "\n".join(lines)


ODD_FILES: dict[str, bytes] = {
    "empty": b"",
    "a list": b"- 1\n",
    "a word": b"hello\n",
    "a tab": b"seed:\t- 1\n\tx: 2\n",
    "cut": b"assets: {train: [1",
    "twice": b"seed: 1\nseed: 2\n",
    "two documents": b"seed: 1\n---\nseed: 2\n",
    "binary": bytes(range(256)),
    "not UTF-8": b"seed: \xff\xfe\n",
    "UTF-16": "seed: 1\n".encode("utf-16"),
    "a date that cannot be": b"seed: 2020-99-99\n",
    "5000 digits": b"seed: " + b"9" * 5000,
    "5000 deep": b"[" * 5000,
    "5000 deep, in blocks": b"".join(b" " * n + b"a:\n" for n in range(5000)),
    "a tag of Python": b"seed: !!python/object/apply:os.system [ls]\n",
    "itself": b"a: &a [*a]\n",
    "a billion laughs": make_laughing(12).encode(),
    "ten megabytes of words": b"seed: " + b"x " * 5_000_000,
}
