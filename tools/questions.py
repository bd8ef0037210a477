"""Draw the README's table of questions from cookiecutter.json.

.venv/bin/python tools/questions.py
"""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
START, END = "<!-- questions: drawn by tools/questions.py -->\n", "<!-- /questions -->\n"


def table(context: dict[str, Any]) -> str:
    """Return the questions as a Markdown table with the default and the other choices."""
    rows = ["| | | default | or |", "|---|---|---|---|"]
    for name, words in context["__prompts__"].items():
        default, question = context[name], words
        choices: list[str] = []
        if isinstance(default, list):
            explained = words if isinstance(words, dict) else {"__prompt__": words}
            question = explained["__prompt__"]
            default, *choices = (explain(choice, explained.get(choice)) for choice in default)
        elif "{" in default:
            default = "from the name"
        rows.append(f"| `{name}` | {question} | {default} | {'; '.join(choices)} |")
    return "\n".join(rows) + "\n"


def explain(choice: str, words: str | None) -> str:
    """Return a choice with its explanation, without a repeated name of the choice."""
    explanation = (words or "").removeprefix(f"{choice}: ")
    return f"`{choice}`: {explanation}" if explanation else f"`{choice}`"


def drawn(readme: str, context: dict[str, Any]) -> str:
    """Return the README with an updated table of questions."""
    before, rest = readme.split(START)
    _, after = rest.split(END)
    return before + START + table(context) + END + after


if __name__ == "__main__":
    file = ROOT / "README.md"
    questions = json.loads((ROOT / "cookiecutter.json").read_text("utf-8"))
    file.write_text(drawn(file.read_text("utf-8"), questions), encoding="utf-8", newline="\n")
