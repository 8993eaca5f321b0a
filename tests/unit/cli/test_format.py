"""Templates, tables, sizes and durations, against docker's documented examples and Go's words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidock.cli.format import functions, listing, units
from minidock.cli.format.table import columns
from minidock.cli.format.template import Template, TemplateError
from minidock.cli.grammar.quote import quote

BOX: dict[str, Any] = {
    "Id": "abc",
    "Name": "/box",
    "State": {"Pid": 42, "Running": True, "Error": ""},
    "Args": ["-c", "true"],
    "Mounts": [{"Source": "/a", "RW": True}, {"Source": "/b", "RW": False}],
    "Config": {"Labels": {"com.x": "1", "a": "2"}, "Env": None},
    "NetworkSettings": {
        "Ports": {"80/tcp": [{"HostPort": "8080"}]},
        "Networks": {"bridge": {"IPAddress": "172.17.0.2", "MacAddress": "02:42:ac:11:00:02"}},
    },
}


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{.State.Pid}} {{.Name}}", "42 /box"),
        # the examples of docker's documentation: inspect, and "Format command and log output"
        ("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", "172.17.0.2"),
        ("{{range $p, $conf := .NetworkSettings.Ports}} {{$p}} -> {{(index $conf 0).HostPort}} {{end}}", " 80/tcp -> 8080 "),
        ('{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}', "8080"),
        ("{{json .Config}}", '{"Labels":{"com.x":"1","a":"2"},"Env":null}'),
        ('{{join .Args " , "}}', "-c , true"),
        ("{{range .Mounts}}{{json .}}{{println}}{{end}}", '{"Source":"/a","RW":true}\n{"Source":"/b","RW":false}\n'),
        ("{{lower .Name}} {{upper .Name}} {{title `some words`}}", "/box /BOX Some Words"),
        ('{{split .Name "o"}}', "[/b x]"),
        ('{{index .Config.Labels "com.x"}}|{{index .Config.Labels "none"}}', "1|"),
        ("{{len .Mounts}} {{len .Name}} {{truncate .Name 3}}", "2 4 /bo"),
        ("{{if .State.Error}}bad{{else if .State.Running}}up{{else}}down{{end}}", "up"),
        ("{{with .State}}{{.Pid}}{{end}}{{with .Config.Env}}x{{else}}none{{end}}", "42none"),
        ("{{range .Config.Env}}x{{else}}nothing{{end}}", "nothing"),
        ("{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}", "a=2;com.x=1;"),
        ('{{if and (eq .State.Pid 42) (ne .Name "x") (not .State.Error)}}yes{{end}}', "yes"),
        ("{{or .State.Error .Name}} {{and .State.Error .Nope}}", "/box "),
        ("{{.Name | printf `%s is %q` .Id}}", 'abc is "/box"'),
        ("{{$x := .Name}}{{range .Mounts}}{{$x}}{{end}}{{$.Id}}", "/box/boxabc"),
        ("{{$n := 0}}{{range .Mounts}}{{$n = len .Source}}{{end}}{{$n}}", "2"),
        ("a {{- .Id -}} b{{/* said nothing */}}", "aabcb"),
        ("{{.State}} {{.Args}} {{.Config.Env}}", "map[Error: Pid:42 Running:true] [-c true] <nil>"),
        ("{{.Nope}} {{.Config.Labels.nope}} {{.Nope.More}}", "<no value> <no value> <no value>"),
        ("{{lt 1 2}} {{ge 2 3}} {{eq 1 5 1}} {{slice .Name 1 3}} {{print 1 true}}", "true false true bo 1true"),
    ],
)
def test_templates(source: str, text: str) -> None:
    """docker's Go templates: users have them in their scripts."""
    assert Template(source).render(BOX) == text


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{{.Name", "template: :1: unclosed action"),
        ("{{nope}}", 'template: :1: function "nope" not defined'),
        ("x\n{{end}}", "template: :2: unexpected {{end}}"),
        ("{{if .Name}}", "template: :1: unexpected EOF"),
        ("{{if}}{{end}}", "template: :1: missing value for if"),
        ('{{"open}}', "template: :1: unterminated quoted string"),
        ("{{$x}}", 'template: :1: undefined variable "$x"'),
        ("{{.Nope}}", 'template: :1:2: executing "" at <.Nope>: map has no entry for key "Nope"'),
        ("{{.State.Nope}}", 'template: :1:8: executing "" at <.State.Nope>: map has no entry for key "Nope"'),
        ("{{.Name.X}}", 'template: :1:7: executing "" at <.Name.X>: can\'t evaluate field X in type string'),
        (
            "{{index .Args 9}}",
            'template: :1:2: executing "" at <index>: error calling index: reflect: slice index out of range: 9',
        ),
    ],
)
def test_mistakes_in_templates(source: str, words: str) -> None:
    with pytest.raises(TemplateError) as error:
        Template(source, strict=True).render(BOX)
    assert str(error.value) == words


def test_strict_lets_the_users_own_keys_be_missing() -> None:
    assert Template("{{.Config.Labels.nope}}", strict=True).render(BOX) == "<no value>"


@given(
    st.one_of(
        st.text(max_size=40),
        st.text('{}.|$()"`-:= \nrange if else end with json .Name len', max_size=60).map(lambda t: "{{" + t + "}}"),
    )
)
def test_any_template_is_carried_out_or_told(source: str) -> None:
    try:
        Template(source).render(BOX)
    except TemplateError as error:
        assert str(error).startswith("template: :")


@given(st.text(st.characters(exclude_characters="{")))
def test_text_stays_as_it_is(text: str) -> None:
    assert Template(text).render({}) == text


def test_columns_are_the_widest_cell_and_three() -> None:
    assert columns(["ID\tNAME\tLAST", "0123456789ab\tx\t"]) == "ID             NAME      LAST\n0123456789ab   x         \n"


@given(st.lists(st.lists(st.text("ab ", max_size=12), min_size=3, max_size=3), min_size=1))
def test_columns_start_at_one_place(rows: list[list[str]]) -> None:
    lines = columns(["\t".join(row) for row in rows]).splitlines()
    starts = [max(10, *(len(row[i]) + 3 for row in rows)) for i in (0, 1)]
    for row, text in zip(rows, lines, strict=True):
        assert text[starts[0] :].startswith(row[1])
        assert text[sum(starts) :] == row[2]


def test_listings(capsys: pytest.CaptureFixture[str]) -> None:
    """A `--format` of columns gets docker's headers and its spacing."""
    headers = {"ID": "CONTAINER ID", "Name": "NAMES", "Label": listing.label_header}
    row = {"ID": "1", "Name": "box", "Label": lambda name: {"a.my-key": "v"}.get(name, "")}
    for form, text in [
        ("table", "CONTAINER ID   NAMES\n1              box\n"),
        (
            r'table {{.Name}}\t{{upper .ID}}\t{{.Label "a.my-key"}}',
            "NAMES     CONTAINER ID   MY KEY\nbox       1              v\n",
        ),
        ("json", '{"ID":"1","Name":"box"}\n'),
        (r"{{.Name}}\n-", "box\n-\n"),
    ]:
        listing.Listing(form, "{{.ID}}\t{{.Name}}", headers).write([row])
        assert capsys.readouterr().out == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0B"), (999, "999B"), (1000, "1kB"), (1_234_567, "1.23MB"), (148_600_000, "149MB"), (2_746_000_000, "2.75GB")],
)
def test_sizes(size: int, text: str) -> None:
    """Sizes on disk read as docker writes them (powers of 1000)."""
    assert units.human_size(size) == text


def test_memory() -> None:
    """Memory reads as docker writes it (powers of 1024)."""
    assert units.bytes_size(25_276_000_000) == "23.54GiB"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "Less than a second"),
        (1, "1 second"),
        (45, "45 seconds"),
        (60, "About a minute"),
        (180, "3 minutes"),
        (3600, "About an hour"),
        (3 * 3600, "3 hours"),
        (47 * 3600, "47 hours"),
        (48 * 3600, "2 days"),
        (13 * 86400, "13 days"),
        (14 * 86400, "2 weeks"),
        (60 * 86400, "2 months"),
        (729 * 86400, "24 months"),
        (730 * 86400, "2 years"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    """ "About a minute" and its kin, in docker's words."""
    assert units.human_duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "quoted"),
    [('a"b', r'"a\"b"'), ("tab\t", r'"tab\t"'), ("é\u200b", r'"é\u200b"'), ("\udcff", r'"\xff"'), ("\x01", r'"\x01"')],
)
def test_go_quotes(text: str, quoted: str) -> None:
    """Quoting as Go's %q does it: what `ps` shows of a command with odd characters."""
    assert quote(text) == quoted


def test_json_shows_names_as_they_are() -> None:
    """docker switches Go's escaping off."""
    assert functions.to_json({"Name": "größe <&>"}) == '{"Name":"größe <&>"}'
