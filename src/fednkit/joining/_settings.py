"""The paths of a site's files, and the settings in client.yaml."""

import os
import sys
from pathlib import Path
from typing import Any

# This package is copied next to join.py, where client.yaml, data/ and the archive are too.
LAUNCHER = Path(__file__).resolve().parent.parent / "join.py"
SITE_FOLDER = LAUNCHER.parent

MAX_CLIENT_YAML_CHARACTERS = 1 << 16
MAX_CLIENT_YAML_DEPTH = 10
MAX_MESSAGE_CHARACTERS = 2000
# The settings that this package uses; FEDn's client reads more.
TEXT_SETTINGS = (
    *("api_url", "api_port", "token", "name"),
    *("package_checksum", "signing_key", "package_signature"),
)


def read_settings() -> dict[str, Any]:
    """Return the content of client.yaml, or exit with one line if it is invalid."""
    path = config_path()
    try:
        settings = _parse(path)
    except OSError as error:
        sys.exit(f"error: expected the settings in {path}, found: {error.strerror}")
    # PyYAML raises other errors than its own for values that do not match their tag.
    except Exception as error:
        words = ascii(" ".join(str(error).split()))[1:-1][:MAX_MESSAGE_CHARACTERS]
        sys.exit(f"error: {path}: expected YAML: {words or type(error).__name__}")
    if not isinstance(settings, dict) or not settings.get("api_url") or not settings.get("name"):
        sys.exit(f"error: {path}: expected api_url and name in it")
    for name in TEXT_SETTINGS:
        value = settings.get(name, "")
        if value is not None and type(value) is not str and not _is_integer(value):
            sys.exit(
                f"error: {path}: {name}: expected a text, found {type(value).__name__}; put it "
                "in quotes"
            )
    return settings


def _parse(path: Path) -> Any:
    """Parse a YAML file, limiting its size and nesting. Raises many kinds of errors."""
    import yaml

    with path.open(encoding="utf-8") as file:
        text = file.read(MAX_CLIENT_YAML_CHARACTERS + 1)
    if len(text) > MAX_CLIENT_YAML_CHARACTERS:
        raise ValueError(f"more than {MAX_CLIENT_YAML_CHARACTERS:,} characters")
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        # With aliases, a few lines can expand to gigabytes.
        if depth > MAX_CLIENT_YAML_DEPTH or isinstance(event, yaml.AliasEvent):
            raise ValueError("values that are nested or repeated")
    return yaml.safe_load(text)


def _is_integer(value: object) -> bool:
    """Return whether a value is a 64-bit integer; Python cannot print arbitrarily large ones."""
    return type(value) is int and abs(value) < 1 << 63


def config_path() -> Path:
    """Return the absolute path of client.yaml."""
    return Path(os.environ.get("FEDN_CLIENT_CONFIG") or SITE_FOLDER / "client.yaml").absolute()


def data_path() -> Path:
    """Return the path of the site's data: a file, or a folder that holds exactly one."""
    return Path(os.environ.get("FEDN_DATA_PATH") or SITE_FOLDER / "data").resolve()


def archive_path() -> Path:
    """Return the path of the compute package next to join.py; exit unless there is exactly one."""
    found = sorted(SITE_FOLDER.glob("*.tgz"))
    if len(found) != 1:
        sys.exit(f"error: {SITE_FOLDER}: expected one package (.tgz) in it, found {len(found)}")
    return found[0]
