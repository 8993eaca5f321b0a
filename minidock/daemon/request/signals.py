"""Signals by docker's names: ``SIGTERM``, ``TERM``, ``term``, ``15``, ``RTMIN+3`` (pkg/signal)."""

from __future__ import annotations

import signal

from minidock.errors import InvalidParameter


def parse(text: str | int) -> int:
    """The number of the signal. Raises InvalidParameter (``Invalid signal: x``)."""
    word = str(text).strip().upper()
    if word.isdecimal():
        number = int(word)
        if number == 0 or number > signal.SIGRTMAX:
            raise InvalidParameter(f"Invalid signal: {text}")
        return number
    name, plus, offset = word.removeprefix("SIG").partition("+")
    minus = ""
    if not plus:
        name, minus, offset = name.partition("-")
    value = getattr(signal, "SIG" + name, None)
    if not isinstance(value, signal.Signals) or ((plus or minus) and not offset.isdecimal()):
        raise InvalidParameter(f"Invalid signal: {text}")
    number = value + (int(offset) if plus else 0) - (int(offset) if minus else 0)
    if not 0 < number <= signal.SIGRTMAX:
        raise InvalidParameter(f"Invalid signal: {text}")
    return number
