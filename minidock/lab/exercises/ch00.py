"""Chapter 00: three tiny exercises, one of each tier, to learn how a chapter works."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

from minidock import errors
from minidock.lab import chapter, quiz
from minidock.lab.checks import NotAttempted, answered, expect, register


@register("00-first-pid", "observe", "the pid that the first process of a container has inside")
def first_pid(answer: Any) -> str:
    """The answer is compared with what a container says of itself, now."""
    said = int(chapter.current().run("busybox", ["sh", "-c", "echo $$"], remove=True))
    expect(isinstance(answered(answer), int), "the answer should be a whole number (an int)")
    expect(answer == said, f"a container's first process does not see itself as {answer}")
    return f"a container just said {said}"


@register("00-mood", "modify", "a running container named lab00-mood with MOOD=curious in its environment")
def mood(_answer: Any) -> str:
    """Looks at the container of that name, whoever started it and however."""
    try:
        container = chapter.current().client.containers.get("lab00-mood")
    except errors.NotFound:
        raise NotAttempted("there is no container named lab00-mood yet") from None
    expect(container.status == "running", f"lab00-mood is there, but it is {container.status}, not running")
    environment = dict(pair.split("=", 1) for pair in container.attrs["Config"]["Env"])
    expect("MOOD" in environment, "lab00-mood runs, but there is no MOOD in its environment")
    expect(environment["MOOD"] == "curious", f"its MOOD is {environment['MOOD']}")
    return "lab00-mood is running, and curious"


@register("00-log", "build", "a function log_of(id) that returns the path of a container's log on the host")
def log_of(answer: Any) -> str:
    """Runs a container that prints a word nobody can know beforehand, and looks for it in the file that is named."""
    expect(callable(answered(answer)), "the answer should be a function")
    word = secrets.token_hex(8)
    container = chapter.current().run("busybox", ["echo", word], detach=True)
    try:
        container.wait()
        path = answer(container.id)
        answered(path)
        expect(isinstance(path, str | Path) and Path(path).is_file(), f"there is no file {path}")
        expect(container.id in str(path), "this is not the log of the container it was asked for")
        lines = Path(path).read_text().splitlines()
        expect(lines and lines[0].startswith("{"), "the file is there, but its lines are not JSON")
        expect(json.loads(lines[0]).get("log") == f"{word}\n", "the file is there, but not what the container just printed")
        return f"the word {word} was in it"
    finally:
        container.remove(force=True)


quiz.add(
    "00-outlive",
    "The notebook's kernel is killed with kill -9 while a container runs. What happens to the container?",
    ("it is killed too", "it goes on running", "it is frozen until an engine comes back"),
    1,
    "A shim of its own waits for each container and writes its log and exit code; the notebook only asked for it.",
)
