"""--change instructions: docker's results and docker's words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidock.errors import InvalidParameter
from minidock.graph import changes


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('CMD ["sh", "-c", "true"]', {"Cmd": ["sh", "-c", "true"]}),
        ("cmd echo hello", {"Cmd": ["/bin/sh", "-c", "echo hello"]}),
        ("CMD ['no json']", {"Cmd": ["/bin/sh", "-c", "['no json']"]}),
        ('ENTRYPOINT ["a"]', {"Entrypoint": ["a"]}),
        ("ENTRYPOINT []", {"Entrypoint": None}),
        ('ENV A=1 B="two words" C=a\\ b', {"Env": ["A=1", "B=two words", "C=a b"]}),
        ("ENV A the rest = of it", {"Env": ["A=the rest = of it"]}),
        (
            "EXPOSE 80 53/udp 8000-8002",
            {"ExposedPorts": {f"{p}": {} for p in ("80/tcp", "53/udp", "8000/tcp", "8001/tcp", "8002/tcp")}},
        ),
        ("LABEL a=b 'c d'=e", {"Labels": {"a": "b", "c d": "e"}}),
        ("USER 1000:1000", {"User": "1000:1000"}),
        ('VOLUME ["/data", "/x y"]', {"Volumes": {"/data": {}, "/x y": {}}}),
        ("VOLUME /a /b", {"Volumes": {"/a": {}, "/b": {}}}),
        ("WORKDIR /srv/", {"WorkingDir": "/srv"}),
        ("STOPSIGNAL SIGINT", {"StopSignal": "SIGINT"}),
        ("STOPSIGNAL 9", {"StopSignal": "9"}),
        ("ONBUILD RUN make", {"OnBuild": ["RUN make"]}),
        ("HEALTHCHECK NONE", {"Healthcheck": {"Test": ["NONE"]}}),
        (
            "HEALTHCHECK --interval=1m30s --retries=2 CMD curl x",
            {"Healthcheck": {"Test": ["CMD-SHELL", "curl x"], "Interval": 90 * 10**9, "Retries": 2}},
        ),
        ('HEALTHCHECK CMD ["a"]', {"Healthcheck": {"Test": ["CMD", "a"]}}),
        ("# nothing", {}),
        ("", {}),
    ],
)
def test_one_instruction(line: str, expected: dict[str, object]) -> None:
    """`import -c` understands the Dockerfile instructions that docker's does."""
    assert changes.apply({}, [line]) == expected


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("RUN x", "run is not a valid change command"),
        ("FROM x", "from is not a valid change command"),
        ("ENV", "ENV requires at least one argument"),
        ("ENV A", "ENV must have two arguments"),
        ("ENV A=1 B", 'Syntax error - can\'t find = in "B". Must be of the form: name=value'),
        ("ENV =x", "ENV names can not be blank"),
        ("LABEL a='b", "unexpected end of statement while looking for matching single-quote"),
        ("EXPOSE http", "invalid containerPort: http"),
        ("EXPOSE 70000", "invalid containerPort: 70000"),
        ("EXPOSE 20-10", "invalid containerPort: 20-10"),
        ("USER", "USER requires exactly one argument"),
        ('VOLUME [""]', "VOLUME specified can not be an empty string"),
        ("STOPSIGNAL SIGNONE", "Invalid signal: SIGNONE"),
        ("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"),
        ("ONBUILD ONBUILD RUN x", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
        ("HEALTHCHECK SHELL x", 'Unknown type "SHELL" in HEALTHCHECK (try CMD)'),
        ("HEALTHCHECK --interval=soon CMD x", 'time: invalid duration "soon"'),
        ("HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"),
    ],
)
def test_what_is_refused(line: str, message: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        changes.apply({}, [line])
    assert str(caught.value) == message


def test_later_ones_add_and_replace() -> None:
    config = {"Env": ["PATH=/bin", "A=0"], "WorkingDir": "/srv"}
    result = changes.apply(config, ["ENV A=1", "ENV B=2\nWORKDIR sub", "LABEL x=1", "LABEL y=2"])
    assert result == {"Env": ["PATH=/bin", "A=1", "B=2"], "WorkingDir": "/srv/sub", "Labels": {"x": "1", "y": "2"}}
    assert config == {"Env": ["PATH=/bin", "A=0"], "WorkingDir": "/srv"}


@given(
    st.dictionaries(
        st.from_regex(r"[A-Z_]{1,8}", fullmatch=True),
        st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"])),
    )
)
def test_quoting_comes_back(env: dict[str, str]) -> None:
    quoted = " ".join(
        f"{k}='{v}'" if "'" not in v else f'{k}="' + v.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$") + '"'
        for k, v in env.items()
    )
    if env:
        assert changes.apply({}, [f"ENV {quoted}"]) == {"Env": [f"{k}={v}" for k, v in env.items()]}
