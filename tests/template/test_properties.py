"""Whatever is answered: it is refused in one line, or comes out verbatim in files that parse.

    make properties    # with HYPOTHESIS_PROFILE=nightly

The fast profile tries the same few answers every time; the nightly one thousands of others. Both
generate in this process, with the hook's own code, and watch what this process writes and starts.
"""

import ast
import contextlib
import io
import json
import os
import string
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from baking import COMBINATIONS, CONTEXT, ROOT, bake, tree
from cookiecutter.generate import generate_context
from cookiecutter.prompt import prompt_for_config
from cookiecutter.utils import create_env_with_context
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

COMMON: dict[str, Any] = {
    "deadline": None,
    "database": None,
    # Explaining a failure tries it again for minutes.
    "phases": [Phase.explicit, Phase.generate, Phase.shrink],
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
}
settings.register_profile("fast", max_examples=40, derandomize=True, **COMMON)
settings.register_profile("nightly", max_examples=3000, print_blob=True, **COMMON)
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "fast")
EXAMPLES = settings.get_profile(PROFILE)

LONGEST = {"project_name": 100, "author_name": 100}
# What means something to a shell, to Jinja, TOML, YAML, JSON, Python, HTML, Markdown or Windows.
PIECES = [
    *"\"'`\\#-*_~|&<>[](){}%$!:;=+.,/@^?",
    *('"""', "'''", "\\n", "\\U0001f3e5", "\\", "\\'", "r'''", "None", "#}"),
    *("{{", "}}", "{%", "%}", "{{ 7 * 7 }}", "{% raw %}", "{% endraw %}", "{{ cookiecutter }}"),
    *("$(touch /tmp/pwned)", "`id`", "${HOME}", "%PATH%", "; rm -rf /", "&& id", "| id", "~", "!!"),
    *("```", "~~~", "<!--", "-->", "<script>", "<pre>", "<?", "<![CDATA[", "<div>", "</details>"),
    *("# ", "- ", "1. ", "> ", "---", "===", "    ", "[FEDn]: x", "[x](y)", "![x](y)", "| a |"),
    *("../", "..\\", "C:\\", "/etc/passwd", "con", "NUL", "com1", "aux.txt", "PACK", "%00"),
    *(
        "\u00e9",
        "e\u0301",
        "中文",
        "العربية",
        "🏥",
        "👩\u200d⚕️",
        "\u202e",
        "\ufeff",
        "\u00a0",
        "\uffff",
    ),
]
LINE_ENDS = ["\n", "\r", "\r\n", "\t", "\0", "\x1b[31m", "\x85", "\u2028", "\u2029", "\ud800"]
PRINTABLE = st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"))


def texts(longest: int) -> st.SearchStrategy[str]:
    """Return texts that no question refuses: many that mean something, some of the full length."""
    some = st.one_of(
        st.text(PRINTABLE, min_size=1, max_size=longest),
        st.lists(st.sampled_from(PIECES), min_size=1, max_size=8).map("".join),
        # At the start of a line is where most things mean something.
        st.tuples(st.sampled_from(PIECES), st.text(PRINTABLE, max_size=9)).map("".join),
        st.sampled_from(PIECES).map(lambda piece: piece * longest),
    )
    return some.map(lambda text: text[:longest]).filter(str.strip)


ANYTHING = st.one_of(
    st.text(st.characters(), max_size=400),
    st.lists(st.sampled_from([*PIECES, *LINE_ENDS]), max_size=8).map("".join),
    st.sampled_from([*PIECES, *LINE_ENDS]).map(lambda piece: piece * 1000),
)
CHOICES = {
    "combination": st.sampled_from(COMBINATIONS),
    "license": st.sampled_from(CONTEXT["license"]),
}
WORDS = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=9)
SLUGS = (
    st.lists(WORDS, min_size=1, max_size=6)
    .map("-".join)
    .map(lambda slug: f"a{slug}"[:60].rstrip("-"))
)
GOOD = st.fixed_dictionaries(
    {name: texts(longest) for name, longest in LONGEST.items()} | {"project_slug": SLUGS} | CHOICES
)
ANY = st.fixed_dictionaries(
    {name: st.one_of(ANYTHING, texts(longest)) for name, longest in LONGEST.items()} | CHOICES,
    optional={"project_slug": st.one_of(ANYTHING, SLUGS)},
)
PLAIN = {
    "project_name": "PLAIN-NAME",
    "project_slug": "plain-slug",
    "author_name": "PLAIN-AUTHOR",
}
PARSERS = {
    ".py": ast.parse,
    ".json": json.loads,
    ".toml": tomllib.loads,
    ".yaml": yaml.safe_load,
    ".yml": yaml.safe_load,
}


@pytest.fixture(autouse=True, scope="module")
def compiled_once() -> Iterator[None]:
    """Keep compiled templates: compiling takes three quarters of the time, and is always alike."""
    compiled: dict[Any, Any] = {}
    original = jinja2.Environment.compile

    def compile(self: jinja2.Environment, *arguments: Any, **options: Any) -> Any:
        key = (arguments, *options.items())
        if key not in compiled:
            compiled[key] = original(self, *arguments, **options)
        return compiled[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jinja2.Environment, "compile", compile)
        yield


SEEN: list[tuple[str, Any]] = []
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
STARTS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.connect")
CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.chmod")
watching = False


def watch(happening: str, arguments: tuple[Any, ...]) -> None:
    """Keep what this process starts and writes; Python calls this for whatever happens."""
    if not watching:
        return
    if happening in STARTS:
        SEEN.append((happening, arguments))
    elif happening in CHANGES or (happening == "open" and (arguments[2] or 0) & WRITES):
        SEEN.append(("writes", str(Path.cwd() / os.fsdecode(arguments[0]))))


sys.addaudithook(watch)


@contextlib.contextmanager
def watched() -> Iterator[list[tuple[str, Any]]]:
    """Yield a list of what is started and written meanwhile."""
    global watching
    SEEN.clear()
    watching = True
    try:
        yield SEEN
    finally:
        watching = False


def as_typed(answers: dict[str, str]) -> dict[str, str]:
    """Return answers that cookiecutter renders to what they are, as if typed at its questions."""
    code = {ord(quote): f"\\x{ord(quote):02x}" for quote in "'\\\n\r{}%#"}
    escaped = {name: answer.translate(code) for name, answer in answers.items()}
    return {name: f"{{{{ '{answer}' }}}}" for name, answer in escaped.items()}


def refusals(answers: dict[str, str]) -> list[str]:
    """Run the hook's code and return the lines with which it refuses, or none."""
    context = generate_context(str(ROOT / "cookiecutter.json"), extra_context=as_typed(answers))
    env = create_env_with_context(context)
    given = prompt_for_config(context, no_input=True)
    assert {name: given[name] for name in answers} == answers
    code = env.from_string((ROOT / "hooks" / "pre_gen_project.py").read_text("utf-8"))
    printed = io.StringIO()
    with watched() as seen, contextlib.redirect_stderr(printed), pytest.raises(SystemExit) as ended:
        exec(compile(code.render(cookiecutter=given), "hook", "exec"), {"__name__": "__main__"})  # noqa: S102
    assert seen == []
    assert ended.value.code == (1 if printed.getvalue() else 0)
    return printed.getvalue().splitlines()


@cache
def plain(**choices: str) -> dict[str, bytes]:
    """Return the project of plain answers."""
    with tempfile.TemporaryDirectory() as folder:
        return tree(bake(Path(folder) / "out", hooks=False, **PLAIN, **choices))


def blocks(page: str, first_line: int) -> list[Any]:
    """Return what a Markdown page consists of, from a line on."""
    tokens = MarkdownIt("commonmark").enable("table").parse(page)
    # A block that began earlier and reaches beyond the line has swallowed what stood there.
    kept = [token for token in tokens if token.map and token.map[1] > first_line]
    return [(token.type, token.tag, token.level, token.map, token.content) for token in kept]


def is_generated(answers: dict[str, str], choices: dict[str, str]) -> None:
    """Generate, and compare with the project of plain answers: only the answers differ."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(os.path.realpath(folder)) / "out"
        with watched() as seen:
            project = bake(output, hooks=False, **as_typed(answers), **choices)
        answers.setdefault("project_slug", project.name)
        assert project == output / answers["project_slug"]
        replay = output.parent / f"{ROOT.name}.json"
        aside = {str(path) for path in (output.parent, output, Path(f"{output}.yaml"), replay)}
        assert {what for what, _ in seen} == {"writes"}
        outside = {path for _, path in seen if not Path(path).is_relative_to(project)}
        assert outside <= aside
        generated = tree(project)
    expected = plain(**choices)
    assert set(generated) == set(expected)
    for name in expected:
        if generated[name] == expected[name]:
            continue
        text, wanted = generated[name].decode("utf-8"), expected[name].decode("utf-8")
        wanted = wanted.replace(PLAIN["project_slug"], answers["project_slug"])
        PARSERS.get(Path(name).suffix, str)(text)
        if name == "pyproject.toml":
            keys = {"name": "project_name", "author": "author_name"}
            found, whole = (tomllib.loads(one) for one in (text, wanted))
            record = whole["tool"]["fednkit"]
            record |= {key: answers[question] for key, question in keys.items()}
            assert found == whole
            continue
        if name == "README.md":
            assert blocks(text, 4) == blocks(wanted, 4)
        for question in LONGEST:
            wanted = wanted.replace(PLAIN[question], answers[question])
        assert text == wanted, name


def apart(answers: dict[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the texts that were answered, and the choices."""
    task, framework = answers["combination"]
    texts = {name: answers[name] for name in PLAIN if name in answers}
    choices = {"license": answers["license"]}
    return texts, choices | {"task": task, "framework": framework}


@given(GOOD)
@settings(EXAMPLES)
def test_printable_answers_come_out_verbatim_in_files_that_parse(answers: dict[str, Any]) -> None:
    texts, choices = apart(answers)
    if refusals(texts):
        # The one reason that is left: `aux`, made up by chance.
        assert [line.split(":")[1] for line in refusals(texts)] == [" project_slug"]
        return
    is_generated(texts, choices)


@given(ANY)
@settings(EXAMPLES)
def test_any_answers_are_refused_in_one_line_each_or_generated(answers: dict[str, Any]) -> None:
    texts, choices = apart(answers)
    lines = refusals(texts)
    event("refused" if lines else "generated")
    for line in lines:
        assert line.split(": ")[0] == "error"
        assert line.split(": ")[1] in PLAIN
        assert line.isascii()
        assert line.isprintable()
    if not lines:
        is_generated(texts, choices)
