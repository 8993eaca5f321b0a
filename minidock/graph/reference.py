"""Image references: what may stand behind ``docker run``, in docker's grammar and with docker's words.

::

    reference  = name [":" tag] ["@" digest]
    name       = [domain "/"] component *("/" component)
    domain     = a first part with "." or ":" in it, or "localhost"
    component  = [a-z0-9]+ joined by "." "_" "__" or dashes
    tag        = [A-Za-z0-9_] then up to 127 of [A-Za-z0-9_.-]
    digest     = algorithm ":" 32 or more hex digits

``busybox`` is short for ``docker.io/library/busybox:latest``. We keep and show the short ("familiar") form, as docker does.
See github.com/distribution/reference (regexp.go, normalize.go).
"""

from __future__ import annotations

import re

from minidock.errors import InvalidParameter
from minidock.frozen import Frozen

DEFAULT_DOMAIN = "docker.io"
DEFAULT_TAG = "latest"
MAX_NAME = 255

_DOMAIN_PART = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = rf"(?:{_DOMAIN_PART}(?:\.{_DOMAIN_PART})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
_REFERENCE = re.compile(
    rf"(?:(?P<domain>{_DOMAIN})/)?(?P<path>{_COMPONENT}(?:/{_COMPONENT})*)(?::(?P<tag>{_TAG}))?(?:@(?P<digest>{_DIGEST}))?"
)
_FULL_ID = re.compile(r"[0-9a-f]{64}")
_TAG_ONLY = re.compile(_TAG)


class Reference(Frozen):
    """A parsed reference, complete: domain and ``library/`` are filled in; tag and digest are "" when not given."""

    domain: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        """The familiar name, without tag: "busybox", "alice/tools", "localhost:5000/x"."""
        if self.domain != DEFAULT_DOMAIN:
            return f"{self.domain}/{self.path}"
        short = self.path.removeprefix("library/")
        return self.path if "/" in short else short

    def __str__(self) -> str:
        return self.name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def tagged(self) -> Reference:
        """The same with ``:latest`` when neither tag nor digest was given."""
        return self if self.tag or self.digest else self.replace(tag=DEFAULT_TAG)


def parse(text: str) -> Reference:
    """Parse and complete a reference. Raises InvalidParameter in docker's words."""
    if _FULL_ID.fullmatch(text):
        raise InvalidParameter(f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings")
    first, slash, rest = text.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        domain, remote = DEFAULT_DOMAIN if first == "index.docker.io" else first, rest
    else:
        domain, remote = DEFAULT_DOMAIN, text
    if domain == DEFAULT_DOMAIN and "/" not in remote:
        remote = f"library/{remote}"
    name = re.split(r"[:@]", remote, maxsplit=1)[0]
    if name != name.lower():
        raise InvalidParameter("invalid reference format: repository name must be lowercase")
    match = _REFERENCE.fullmatch(f"{domain}/{remote}")
    if match is None or match["domain"] != domain:
        raise InvalidParameter("invalid reference format")
    if len(domain) + 1 + len(match["path"]) > MAX_NAME:
        raise InvalidParameter(f"repository name must not be more than {MAX_NAME} characters")
    return Reference(domain, match["path"], match["tag"] or "", match["digest"] or "")


def normalise(text: str) -> str:
    """The familiar form with a tag: "BUSYBOX" is refused, "docker.io/library/busybox" becomes "busybox:latest"."""
    return str(parse(text).tagged())


def for_tagging(repository: str, tag: str = "") -> str:
    """What ``docker tag`` stores: a name with a tag, never a digest or something that looks like an id."""
    reference = parse(repository)
    if reference.digest:
        raise InvalidParameter("refusing to create a tag with a digest reference")
    if tag:
        if not _TAG_ONLY.fullmatch(tag):
            raise InvalidParameter("invalid tag format")
        reference = reference.replace(tag=tag)
    if str(reference).startswith("sha256:"):
        raise InvalidParameter("refusing to create an ambiguous tag using digest algorithm as name")
    return str(reference.tagged())
