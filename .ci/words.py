"""Report words that readers of this repository do not know, by file and line. Exit 1 if there are any.

The glossary and CONTRIBUTING.md say which words to use; only the most frequent mistakes are listed here.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FILES = ("app/**/*.py", "templates/**/*.html", "docs/**/*.md", "README.md")
EXEMPT = ("docs/glossary.md",)  # lists words to avoid
WORDS = {
    r"\bmend(s|ed|ing)?\b": "fix",
    r"\banew\b": "again",
    r"\btold\b": "shown, reported",
    r"\b(whom|whoever)\b": "name the contact, user or process",
    r"\b(bury|buries|buried)\b": "keep as a dead letter",
    r"\blanded\b": "stored, processed",
    r"\bis away\b": "is unavailable",
    r"(\d|})[ \u00a0\u202f]%(?![}\w(])": "25%",
    r"\b(house|style|product|reliability|dependencies|ui|instagram-platform)\.md\b": "cite this repository",
}
MESSAGES = {r"\bshould be\b": "must be"}  # in code and pages; documents may recommend


def main() -> int:
    """Print each finding and the sum per file; return the exit status."""
    total = 0
    for path in sorted(path for pattern in FILES for path in ROOT.glob(pattern)):
        name = path.relative_to(ROOT).as_posix()
        found = [] if name in EXEMPT else list(findings(path, name))
        for line in found:
            print(line)
        if found:
            print(f"{name}: {len(found)} in total\n")
        total += len(found)
    return 1 if total else 0


def findings(path: Path, name: str) -> Iterator[str]:
    """Yield one line for each word of a file that has a better one."""
    words = WORDS if name.endswith(".md") else WORDS | MESSAGES
    for number, line in enumerate(path.read_text().splitlines(), 1):
        for pattern, better in words.items():
            for match in re.finditer(pattern, line, re.IGNORECASE):
                yield f"{name}:{number}: {match[0]!r}: write {better}"


if __name__ == "__main__":
    sys.exit(main())
