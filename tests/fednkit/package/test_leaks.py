"""Keys and tokens are found by their form; words that only speak of them are not.

All of these were made up here. They are put together from parts, so that no scanner takes this
file for one that leaks.
"""

import hashlib
import string
from importlib.resources import files
from pathlib import Path

import pytest

from fednkit.package import leaks

BASE64 = string.ascii_letters + string.digits + "+/"
WORD = string.ascii_letters + string.digits


def drawn(length: int, alphabet: str = WORD) -> str:
    """Return characters without order, the same every time; a letter and a digit first."""
    numbers = hashlib.shake_256(f"{length}".encode()).digest(length - 2)
    return "a7" + "".join(alphabet[number % len(alphabet)] for number in numbers)


SECRETS = {
    "a private key": [
        "-----BEGIN RSA PRIVATE " + "KEY-----",
        "-----BEGIN OPENSSH PRIVATE " + "KEY-----",
        "-----BEGIN PRIVATE " + "KEY-----",
        "-----BEGIN ENCRYPTED PRIVATE " + "KEY-----",
        "-----BEGIN PGP PRIVATE " + "KEY BLOCK-----",
        "PuTTY-User-" + "Key-File-3: ssh-ed25519",
        "AGE-SECRET-" + "KEY-1" + "Q" * 58,
        "RWQAA" + "EIy" + drawn(203, BASE64) + "=",
    ],
    "an AWS access key": ["AK" + "IA" + "Q3EGRIRV7XLKQ2ZB", "AS" + "IA" + "Q3EGRIRV7XLKQ2ZB"],
    "a Google API key or token": [
        "AI" + "za" + drawn(35),
        "ya" + "29." + drawn(60),
        "GOC" + "SPX-" + drawn(28),
    ],
    "an Azure key": [
        "DefaultEndpointsProtocol=https;Account" + "Key=" + drawn(86, BASE64) + "==",
        "Shared" + "AccessKey=" + drawn(43, BASE64) + "=",
        "abc" + "8Q~" + drawn(34),
    ],
    "a GitHub token": [
        "gh" + "p_" + drawn(36),
        "gh" + "s_" + drawn(36),
        "github" + "_pat_" + drawn(82),
    ],
    "a GitLab token": ["glp" + "at-" + drawn(20)],
    "a Slack token": [
        "xo" + "xb-" + "123456789012-123456789012-" + drawn(24),
        "https://hooks.slack" + ".com/services/T0123ABCD/B0123ABCD/" + drawn(24),
    ],
    "a Hugging Face token": ["h" + "f_" + drawn(34)],
    "a token of a package index": ["py" + "pi-AgE" + drawn(150), "np" + "m_" + drawn(36)],
    "a key of a service": [
        "sk_" + "live_" + drawn(24),
        "sk" + "-proj-" + drawn(60),
        "SG" + "." + drawn(22) + "." + drawn(43),
        "dop" + "_v1_" + "0a" * 32,
    ],
    "a JSON web token": ["ey" + "JhbGciOiJIUzI1NiJ9.ey" + "JzdWIiOiIxMjM0In0." + drawn(43)],
    "a password in an address": [
        "postgresql" + "://fedn:" + drawn(9) + "@db.example.org/models",
        "https" + "://me:" + drawn(20) + "@example.org",
    ],
    "a password or a token": [
        'password = "' + drawn(16) + '"',
        "API_KEY: " + drawn(32),
        "export MY_TOKEN=" + drawn(24),
        '{"client_secret": "' + drawn(40) + '"}',
        "aws_secret_access_key = " + drawn(40, BASE64),
        'passwd => "' + drawn(20) + '"',
    ],
}
EVERY = [(what, secret) for what, secrets in SECRETS.items() for secret in secrets]


@pytest.mark.parametrize(("what", "secret"), EVERY, ids=[secret[:12] for _, secret in EVERY])
@pytest.mark.parametrize("place", ["{}", "x = 1\n# {}\n", 'call("{}")\n'])
def test_a_secret_is_found_wherever_it_stands(what: str, secret: str, place: str) -> None:
    # What is told by its name alone stands on a line of its own.
    text = place.format(secret) if what != "a password or a token" else f"x = 1\n{secret}\ny = 2\n"
    assert leaks.find(text.encode()) == what


@pytest.mark.parametrize(
    "harmless",
    [
        "password = getpass()",
        'password = os.environ["DATABASE_PASSWORD_FILE_1"]',
        "token = response.json()['access_token']",
        'token = "the-token-of-this-site"',
        "PASSWORD=${MONGO_PASSWORD:?run: fednkit secrets}",
        'api_key = "<your key of 32 characters>"',
        "secret_key = load_secret_from_vault_version_2",
        "tokens = tokenizer(text, max_length=512, truncation=True)",
        "sha256:" + "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "https://user:" + "password@example.org is what nobody should write",
        "https://example.org:8092/api/v1?q=a@b",
        "-----BEGIN CERTIFICATE-----",
        "-----BEGIN PUBLIC KEY-----",
        "RWRUsYxxZF7uWcCkpxGYmFlqU7prNQAb4BQtQmQIHw1GDAfQLFN6ChyU",
        "AKIAISNOKEY",
        "the token of the role client, see README",
        'password = os.environ["DB_PASSWORD"]',
        'password = "DB_PASSWORD"',
        "password: str = ''",
        'password="<your password>"',
        'password = f"{prefix}-{name}"',
        'parser.add_argument("--password", help="of the database")',
    ],
)
def test_what_only_speaks_of_secrets_is_let_through(harmless: str) -> None:
    assert leaks.find(f"{harmless}\n".encode()) is None


def test_nothing_of_the_library_and_of_its_tests_looks_like_a_secret() -> None:
    tests = Path(__file__).parents[2]
    names = "fednkit", "fednsite"
    folders = [*(Path(str(files(name))) for name in names), *(tests / name for name in names)]
    found = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    searched = [file for file in found if file.suffix not in (".pyc", ".npz")]
    assert len(searched) > 100
    for file in searched:
        assert leaks.find(file.read_bytes()) is None, file


def test_a_long_line_takes_no_time_to_speak_of() -> None:
    # An expression that went back over what it has read would not end.
    for text in ("password" * 20_000, "token = " + "a1" * 100_000, "a://" + "b" * 200_000):
        assert leaks.find(text.encode()) in (None, "a password or a token")


@pytest.mark.parametrize(
    "line",
    [
        'connect(user="reader", NAME="hunter2")',
        "db_NAME = 'letmein'",
        '{"NAME": "Correct-Horse"}',
        "settings.NAME: '1234'",
    ],
)
def test_a_literal_for_a_password_is_one(line: str) -> None:
    # Not as it is written here, or this file would have them.
    for name in ("PASSWORD", "password", "passwd", "pwd", "Passphrase"):
        text = line.replace("NAME", name)
        assert leaks.find(f"# first\n{text}\n".encode()) == "a password"
