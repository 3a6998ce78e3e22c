"""Lines of Rust code: without comments, blank lines and tests."""

import re

# A character literal, but not a lifetime.
CHARACTER = re.compile(r"'(?:\\(?:u\{[0-9a-fA-F_]+\}|x[0-9a-fA-F]{2}|.)|[^\\'])'")
RAW_STRING = re.compile(r'\bb?c?r(#*)"')
TEST_ATTRIBUTE = re.compile(r"#(!?)\[cfg\((?:any\(|all\()?test\b[^\]]*\]")
TEST_MODULE = re.compile(r"(?:pub(?:\([a-z ]+\))?\s+)?mod\s+([a-z0-9_]+)\s*;")


def blank(text):
    """The same lines with nothing on them."""
    return re.sub(r"[^\n]", " ", text)


def end_of_comment(text, at):
    """Where the block comment at `at` ends; they nest."""
    depth = 0
    for mark in re.finditer(r"/\*|\*/", text[at:]):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return at + mark.end()
    return len(text)


def without_comments(text):
    """Comments blanked; strings filled, so that nothing inside them is taken for code."""
    out, at = [], 0
    while at < len(text):
        raw = RAW_STRING.match(text, at)
        if text.startswith("//", at):
            end = text.find("\n", at)
            end = len(text) if end < 0 else end
            out.append(blank(text[at:end]))
        elif text.startswith("/*", at):
            end = end_of_comment(text, at)
            out.append(blank(text[at:end]))
        elif raw:
            close = '"' + raw[1]
            end = text.find(close, raw.end())
            end = len(text) if end < 0 else end + len(close)
            out.append(re.sub(r"[^\n]", "x", text[at:end]))
        elif text[at] == '"':
            match = re.compile(r'"(?:\\.|[^"\\])*"', re.S).match(text, at)
            end = match.end() if match else len(text)
            out.append(re.sub(r"[^\n]", "x", text[at:end]))
        elif text[at] == "'" and (match := CHARACTER.match(text, at)):
            end = match.end()
            out.append("x" * (end - at))
        else:
            end = at + 1
            out.append(text[at])
        at = end
    return "".join(out)


def end_of_item(text, at):
    """Where the item behind a cfg attribute ends."""
    is_use = re.match(r"\s*(?:pub(?:\([a-z ]+\))?\s+)?use\b", text[at:])
    depth = 0
    for mark in re.finditer(r"[][(){};]", text[at:]):
        if mark[0] in "([{":
            depth += 1
        elif mark[0] in ")]}":
            depth -= 1
            if depth == 0 and mark[0] == "}" and not is_use:
                return at + mark.end()
        elif depth == 0:
            return at + mark.end()
    return len(text)


def without_tests(text):
    """(text, names): test items blanked, and the modules in files of their own that are tests.

    The text has no comments. None as text: the whole file is tests.
    """
    names = []
    while match := TEST_ATTRIBUTE.search(text):
        if match[1]:
            return None, names
        end = end_of_item(text, match.end())
        if module := TEST_MODULE.search(text[match.end() : end]):
            names.append(module[1])
        text = text[: match.start()] + blank(text[match.start() : end]) + text[end:]
    return text, names


def module_paths(file, name):
    """Where the module `name` that `file` declares may be."""
    folder = file.parent if file.name in ("lib.rs", "main.rs", "mod.rs") else file.with_suffix("")
    return folder / f"{name}.rs", folder / name


def count(folder):
    """Lines of code below a folder."""
    lines, tests = {}, []
    for file in sorted(folder.rglob("*.rs")):
        text, names = without_tests(without_comments(file.read_text()))
        tests += [path for name in names for path in module_paths(file, name)]
        if text is not None:
            lines[file] = sum(1 for line in text.splitlines() if line.strip())
    return sum(number for file, number in lines.items()
               if not any(file == path or path in file.parents for path in tests))
