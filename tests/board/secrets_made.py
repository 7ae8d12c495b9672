"""Secrets for tests, composed when they run: no scanner may take a file of ours for a leak, and none is one."""

from __future__ import annotations

import random
import string

LETTERS_AND_DIGITS = string.ascii_letters + string.digits
HEX = "0123456789abcdef"


def made(seed: int, length: int, alphabet: str = LETTERS_AND_DIGITS) -> str:
    """Random, and the same each time. With a letter and a digit in it."""
    chosen = random.Random(seed)
    while True:
        text = "".join(chosen.choice(alphabet) for _ in range(length))
        if any(each.isdigit() for each in text) and any(each.isalpha() for each in text):
            return text


def survives(secret: str, text: str) -> bool:
    """8 consecutive characters of it; of a shorter one the whole."""
    size = min(8, len(secret))
    return any(secret[at : at + size] in text for at in range(len(secret) - size + 1))
