"""Find keys, tokens and passwords in files before they are shipped.

The forms are documented by the services and recognised by a prefix or a frame. Secrets without such
a form are recognised by their name and their randomness. This catches accidents, but it cannot find
a secret that somebody wants to hide.
"""

import math
import re
from collections import Counter

__all__ = ["find", "looks_random"]

# Descriptions and forms of secrets. A form begins with a fixed text if possible, because this is
# fast to search for.
FORMS = {
    "a private key": (
        rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"  # RFC 7468, OpenSSH, OpenPGP
        rb"|PuTTY-User-Key-File-\d"
        rb"|AGE-SECRET-KEY-1[0-9A-Z]{58}"
        # minisign, as written by signing.py: 158 bytes that begin with "Ed", 0, 0, "B2".
        rb"|RWQAAEIy[0-9A-Za-z+/]{200}"
    ),
    "an AWS access key": rb"\b(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}\b",
    "a Google API key or token": rb"\bAIza[\w-]{35}\b|\bya29\.[\w-]{20,}|\bGOCSPX-[\w-]{28}\b",
    "an Azure key": (
        rb"(?:AccountKey|SharedAccessKey)=[0-9A-Za-z+/]{42,86}={1,2}"
        rb"|\b[\w~.-]{3}8Q~[\w~.-]{34}"  # a client secret of Entra ID
    ),
    "a GitHub token": rb"\bgh[pousr]_[0-9A-Za-z]{36}|\bgithub_pat_\w{60,}",
    "a GitLab token": rb"\bgl(?:pat|dt|rt|ptt|cbt)-[\w-]{20,}",
    "a Slack token": rb"\bxox[abeoprs]-[0-9A-Za-z-]{20,}|hooks\.slack\.com/services/T\w+/B\w+/\w+",
    "a Hugging Face token": rb"\bhf_[0-9A-Za-z]{34,}",
    "a token of a package index": rb"\bpypi-AgE[\w-]{50,}|\bnpm_[0-9A-Za-z]{36}\b",
    "a key of a service": (
        rb"\b[sr]k_live_[0-9A-Za-z]{20,}"  # Stripe
        rb"|\bsk-(?:proj-|ant-[a-z0-9]+-)?[\w-]{40,}"  # OpenAI, Anthropic
        rb"|\bSG\.[\w-]{22}\.[\w-]{43}"  # SendGrid
        rb"|\bdop_v1_[0-9a-f]{64}|\bdckr_pat_[\w-]{20,}"
    ),
    # RFC 7519, used by FEDn: header and claims are JSON, which begins with {".
    "a JSON web token": rb"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}",
    # RFC 3986, section 3.2.1. Placeholders such as $NAME and <name>, and examples, do not match.
    "a password in an address": (
        rb"\b[a-z][a-z0-9+.-]{2,20}://[^\s/:@'\"<>$%{\[]+:"
        rb"(?!(?i:pass|pwd|pw|secret|tiger|token|key|xxx|\*|\.\.|p%40ss))[^\s/:@'\"<>$%{\[]{4,}@"
    ),
}
PATTERNS = {what: re.compile(form) for what, form in FORMS.items()}
# password = "...", api_key: ..., SECRET_TOKEN=...; the value in quotes, or alone on its line.
ASSIGNMENT = re.compile(
    rb"(?i)(?:pass(?:word|wd|phrase)|secret|token|api_?key|access_?key|private_?key|credentials?)"
    rb"[\w-]{0,20}['\"]?\s{0,4}(?::=|=>|[:=])\s{0,4}"
    rb"(?:'([^'\n]{12,200})'|\"([^\"\n]{12,200})\"|([0-9A-Za-z+/=_~-]{16,200})\s*(?:#.*)?(?:\n|\r|$))"
)
# A literal assigned to a password is one, however it looks, unless it is a placeholder. Of 18,123
# sources, documents and JSON files of installed packages, seven have such a literal: all are
# made-up passwords in examples, and a code in a list of error codes.
PASSWORD = re.compile(
    rb"(?i)(?:^|[\s,({;.'\"_])(?:pass(?:word|wd|phrase)|pwd)['\"]?\s{0,4}(?::=|=>|[:=])\s{0,4}"
    rb"(?:'([^'\"\n]{4,60})'|\"([^'\"\n]{4,60})\")"
)
PLACEHOLDER = re.compile(
    rb"[\s<>${}()%\[\]\\/]|^[A-Z][A-Z0-9_]*$|(?i:pass|pwd|secret|token|example|change|default|optional"
    rb"|string|your|xxx|\*\*|none|null|test|user)"
)
# Words and names of variables have less entropy, or no digits. Random text of 16 characters has
# at least 3.5 bits a character, and random hexadecimal digits nearly 4.
MIN_BITS_A_CHARACTER = 3.2


def find(content: bytes) -> str | None:
    """Return a description of the first secret in a file's content; None if there is none."""
    for what, pattern in PATTERNS.items():
        if pattern.search(content):
            return what
    for match in ASSIGNMENT.finditer(content):
        if looks_random(next(group for group in match.groups() if group)):
            return "a password or a token"
    for match in PASSWORD.finditer(content):
        if not PLACEHOLDER.search(match[1] or match[2]):
            return "a password"
    return None


def looks_random(value: bytes) -> bool:
    """Return whether a value looks random: letters and digits with high entropy."""
    if re.search(rb"[\s<>${}()]", value) or len(re.findall(rb"\d", value)) < 2:
        # Prose, a placeholder or an expression.
        return False
    if not re.search(rb"[A-Za-z]", value):
        return False
    counts = Counter(value).values()
    entropy = -sum(count / len(value) * math.log2(count / len(value)) for count in counts)
    return entropy >= MIN_BITS_A_CHARACTER
