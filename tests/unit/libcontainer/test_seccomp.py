"""Profiles from Docker's JSON, and what the compiled program answers on each architecture."""

from __future__ import annotations

import dataclasses
import errno
import json
import platform
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidock.errors import InvalidParameter
from minidock.libcontainer import seccomp_compile, seccomp_profile, seccomp_table
from minidock.libcontainer.capabilities import ALL, DEFAULT
from minidock.libcontainer.seccomp_profile import Condition, Profile, Rule, parse
from tests.unit.libcontainer.bpf import AARCH64, I386, X32_BIT, X86_64, run

ALLOW, EPERM, ENOSYS = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
GOARCH = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
EVERYWHERE = ("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_AARCH64")


def profile(**entry: Any) -> str:
    return json.dumps(
        {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW", **entry}]}
    )


def names(text: str, capabilities: tuple[str, ...] = DEFAULT) -> list[str]:
    return [n for rule in parse(text, capabilities).rules for n in rule.names]


def test_parse_whole() -> None:
    """A profile in docker's form, every part of it."""
    text = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 38,
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [
            {
                "names": ["clone"],
                "action": "SCMP_ACT_ERRNO",
                "errnoRet": 22,
                "args": [{"index": 0, "value": 2**63, "valueTwo": 1, "op": "SCMP_CMP_MASKED_EQ"}],
                "comment": "ignored",
            },
            {"name": "read", "action": "SCMP_ACT_ALLOW"},
        ],
    }
    assert parse(json.dumps(text), DEFAULT) == Profile(
        "SCMP_ACT_ERRNO",
        38,
        ("SCMP_ARCH_X86_64",),
        (
            Rule(("clone",), "SCMP_ACT_ERRNO", 22, (Condition(0, 2**63, "SCMP_CMP_MASKED_EQ", 1),)),
            Rule(("read",), "SCMP_ACT_ALLOW"),
        ),
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ("[]", "a profile is a JSON object"),
        ("{}", "string  is not a valid action for seccomp"),
        ('{"defaultAction": "SCMP_ACT_FOO"}', "string SCMP_ACT_FOO is not a valid action for seccomp"),
        ('{"defaultAction": []}', "string [] is not a valid action for seccomp"),
        (profile(action="allow"), "string allow is not a valid action for seccomp"),
        (profile(names="read"), "names: not an array of strings"),
        (profile(names=[1]), "names: not an array of strings"),
        (profile(name="write"), "both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'"),
        (profile(errnoRet=-1), "errnoRet: -1 is not a number from 0 to 65535"),
        (profile(errnoRet=True), "errnoRet: True is not a number from 0 to 65535"),
        (profile(args=[{"index": 6, "op": "SCMP_CMP_EQ"}]), "index: 6 is not a number from 0 to 5"),
        (profile(args=[{"index": 0, "op": "=="}]), "string == is not a valid operator for seccomp"),
        (profile(args={}), "args: not an array of objects"),
        (profile(args=[1]), "args: not an array of objects"),
        (profile(includes=[1]), "includes and excludes are objects"),
        (profile(includes={"minKernel": "x"}), "minKernel: 'x' is not a kernel version"),
        ('{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["VAX"]}', "string VAX is not a valid arch for seccomp"),
    ],
)
def test_bad_profiles_in_dockers_words(text: str, reason: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        parse(text, DEFAULT)
    assert str(caught.value) == f"Decoding seccomp profile failed: {reason}"


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-1, 2**65)
        | st.sampled_from(["SCMP_ACT_ALLOW", "SCMP_CMP_EQ", "amd64", "", "4.8"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        *("defaultAction", "syscalls", "names", "name", "action", "args", "index", "op", "value", "includes"),
                        *("excludes", "caps", "arches", "minKernel", "archMap", "architecture", "architectures", "errnoRet"),
                    ]
                ),
                inner,
                max_size=6,
            )
        ),
        max_leaves=20,
    )
)
def test_any_json_is_a_profile_or_a_user_error(document: Any) -> None:
    try:
        parse(json.dumps(document), DEFAULT)
    except InvalidParameter as e:
        assert str(e).startswith("Decoding seccomp profile failed: ")


def test_includes_and_excludes() -> None:
    assert names(profile(includes={"caps": ["CAP_SYS_ADMIN"]})) == []
    assert names(profile(includes={"caps": ["CAP_SYS_ADMIN"]}), ("SYS_ADMIN",)) == ["read"]
    assert names(profile(includes={"caps": ["CAP_SYS_ADMIN", "CAP_BPF"]}), ("SYS_ADMIN",)) == []
    assert names(profile(excludes={"caps": ["CAP_CHOWN", "CAP_BPF"]})) == []
    assert names(profile(excludes={"caps": ["CAP_BPF"]})) == ["read"]
    assert names(profile(includes={"arches": [GOARCH]})) == ["read"]
    assert names(profile(includes={"arches": ["s390x"]})) == []
    assert names(profile(excludes={"arches": [GOARCH]})) == []
    assert names(profile(includes={"minKernel": "4.8"})) == ["read"]
    assert names(profile(includes={"minKernel": "99.0"})) == []
    assert names(profile(excludes={"minKernel": "4.8"})) == []
    assert names(profile(excludes={"minKernel": "99.0"})) == ["read"]


def test_arch_map_is_this_machines_row() -> None:
    rows = [
        {"architecture": "SCMP_ARCH_S390X", "subArchitectures": ["SCMP_ARCH_S390"]},
        {"architecture": seccomp_profile.machine()[1], "subArchitectures": ["SCMP_ARCH_X86"]},
    ]
    text = {"defaultAction": "SCMP_ACT_ALLOW", "archMap": rows}
    assert parse(json.dumps(text), DEFAULT).architectures == (seccomp_profile.machine()[1], "SCMP_ARCH_X86")
    with pytest.raises(InvalidParameter, match="both 'architectures' and 'archMap'"):
        parse(json.dumps({**text, "architectures": ["SCMP_ARCH_X86"]}), DEFAULT)


def test_the_table_names_each_call_once() -> None:
    found = [n for _, group in seccomp_table.ALLOWED for n in group.split()]
    assert len(found) == len(set(found))
    assert not set(found) & {n for n, _ in seccomp_table.ALLOWED_IF}
    assert {c for c, _ in seccomp_table.WITH_CAPABILITY} <= set(ALL)


def compiled(profile: Profile) -> bytes:
    """For the machines we know, whichever this one is: libseccomp compiles for all of them."""
    return seccomp_compile.program(dataclasses.replace(profile, architectures=EVERYWHERE))


@pytest.fixture(scope="module")
def default() -> bytes:
    return compiled(seccomp_table.default_profile(DEFAULT))


@pytest.mark.parametrize(
    ("arch", "number", "args", "answer"),
    [
        (X86_64, 0, (), ALLOW),  # read
        (X86_64, 165, (), EPERM),  # mount
        (X86_64, 435, (), ENOSYS),  # clone3
        (X86_64, 1000, (), ENOSYS),
        (X86_64, 56, (0x11,), ALLOW),  # clone: SIGCHLD alone
        (X86_64, 56, (0x10000011,), EPERM),  # CLONE_NEWUSER
        (X86_64, 135, (0x20008,), ALLOW),  # personality
        (X86_64, 135, (0x40000,), EPERM),
        (I386, 3, (), ALLOW),  # read
        (I386, 21, (), EPERM),  # mount
        (I386, 195, (), ALLOW),  # stat64, which x86-64 does not have
        (I386, 435, (), ENOSYS),
        (I386, 1000, (), ENOSYS),
        (X86_64, X32_BIT | 0, (), ALLOW),
        (X86_64, X32_BIT | 165, (), EPERM),
        (X86_64, X32_BIT | 5000, (), ENOSYS),
        (AARCH64, 63, (), ALLOW),  # read
        (AARCH64, 40, (), EPERM),  # mount
        (AARCH64, 220, (0x10000011,), EPERM),  # clone: CLONE_NEWUSER
        (AARCH64, 435, (), ENOSYS),
        (AARCH64, 1000, (), ENOSYS),
        (0x80000016, 3, (), 0),  # s390x, which is not in the profile: SECCOMP_RET_KILL_THREAD
    ],
)
def test_the_program_on_each_architecture(default: bytes, arch: int, number: int, args: tuple[int, ...], answer: int) -> None:
    assert run(default, arch, number, args) == answer


def test_more_capabilities_more_calls() -> None:
    program = compiled(seccomp_table.default_profile((*DEFAULT, "SYS_ADMIN")))
    assert [run(program, X86_64, n) for n in (165, 435, 272)] == [ALLOW] * 3  # mount clone3 unshare
    assert run(program, X86_64, 56, (0x10000011,)) == ALLOW


def test_no_enosys_where_all_is_allowed_or_it_is_the_answer_anyway() -> None:
    rules = (Rule(("read",), "SCMP_ACT_ERRNO"),)
    permissive = compiled(Profile("SCMP_ACT_ALLOW", 1, (), rules))
    assert [run(permissive, X86_64, n) for n in (0, 1, 1000)] == [EPERM, ALLOW, ALLOW]
    strict = compiled(Profile("SCMP_ACT_ERRNO", errno.ENOSYS, (), (Rule(("read",), "SCMP_ACT_ALLOW"),)))
    assert [run(strict, X86_64, n) for n in (0, 1, 1000)] == [ALLOW, ENOSYS, ENOSYS]


def test_conditions_on_one_argument_are_alternatives_on_several_they_add_up() -> None:
    either = Rule(("read",), "SCMP_ACT_ALLOW", conditions=(Condition(0, 1), Condition(0, 2)))
    program = compiled(Profile("SCMP_ACT_ERRNO", 1, (), (either,)))
    assert [run(program, X86_64, 0, (a,)) for a in (1, 2, 3)] == [ALLOW, ALLOW, EPERM]
    both = Rule(("read",), "SCMP_ACT_ALLOW", conditions=(Condition(0, 1), Condition(1, 2)))
    program = compiled(Profile("SCMP_ACT_ERRNO", 1, (), (both,)))
    assert [run(program, X86_64, 0, a) for a in ((1, 2), (1, 3), (2, 2))] == [ALLOW, EPERM, EPERM]


def test_unknown_names_are_skipped() -> None:
    rules = (Rule(("read", "no_such_call"), "SCMP_ACT_ALLOW"),)
    program = compiled(Profile("SCMP_ACT_ERRNO", 1, (), rules))
    assert run(program, X86_64, 0) == ALLOW
