"""Accept a signed package only if the key is known and the version is not older than the last.

A state file holds the key and the version of the last package that ran. It lies outside the
invitation's folder, so that it survives a new invitation.
"""

import base64
import hashlib
import json
import os
import re
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from .signature import KEY_ALGORITHM, VERSION, SignatureError, public_key, verify


def check_signature(
    content: bytes, slug: str, settings: dict[str, Any], state: Path
) -> dict[str, str]:
    """Return the key and the version of a package that may run here; {} if no key is known.

    The first key with a valid signature is the only one accepted from then on, and no version may
    be older than the last one.

    Args:
        content: The archive's bytes.
        slug: The project that the package must belong to.
        settings: The content of client.yaml, with `signing_key` and `package_signature`.
        state: The state file, see `write_state`.

    Raises:
        SignatureError: The package must not run here; the message says why.
    """
    last = read_state(state)
    key, signature = settings.get("signing_key"), settings.get("package_signature")
    if not key and not last:
        return {}
    if not (key and isinstance(key, str) and signature and isinstance(signature, str)):
        raise SignatureError(
            "expected signing_key and package_signature in client.yaml, found one of them or none"
        )
    # The text may be a whole key file; compare and keep only the key.
    key = base64.b64encode(KEY_ALGORITHM + b"".join(public_key(key))).decode()
    if last.get("key", key) != key:
        raise SignatureError(
            f"expected the key {last['key']}, which signed the last package here, found {key}; if "
            f"the initiator confirms the new key over another channel, remove {state}"
        )
    comment = verify(content, signature, key)
    if comment.get("sha256") != hashlib.sha256(content).hexdigest():
        raise SignatureError("expected the comment to name the package's SHA-256, found another")
    if comment.get("slug") != slug:
        raise SignatureError(f"expected a package of {slug}, found one of {comment.get('slug')}")
    version = comment.get("version", "")
    if not VERSION.fullmatch(version):
        raise SignatureError(f"expected a version such as 20261124T205013Z, found '{version}'")
    if version < last.get("version", ""):
        raise SignatureError(
            f"expected version {last['version']}, which ran here, or a later one, found "
            f"{version}; ask the initiator for the newest invitation"
        )
    return {"key": key, "version": version}


def state_file(slug: str, settings: dict[str, Any]) -> Path:
    """Return the path of the state file of a project's site."""
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    name = re.sub(r"[^\w.-]", "_", f"{slug}.{settings.get('name')}.json")
    return Path(os.environ.get("SITE_STATE") or Path(home, "fedn-sites"), name).absolute()


def read_state(state: Path) -> dict[str, str]:
    """Return the key and the version of the last package that ran here; {} if there was none.

    Raises:
        SignatureError: The file is unreadable or malformed.
    """
    try:
        last = json.loads(state.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, RecursionError):
        last = None
    if not isinstance(last, dict) or not all(
        isinstance(last.get(name), str) for name in ("key", "version")
    ):
        # Without the last version, an older package would be accepted. So fail.
        raise SignatureError(f"expected the last version in {state}, found something else")
    return last


def write_state(state: Path, package: dict[str, str]) -> None:
    """Write the key and the version of a package that runs here.

    If that fails, print a warning, because an older package will not be rejected.
    """
    temporary = None
    try:
        state.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{state.name}.", dir=state.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(package, file)
        os.replace(temporary, state)
    except OSError as error:
        if temporary:
            with suppress(OSError):
                Path(temporary).unlink()
        print(
            f"warning: {state}: {error.strerror}; a package older than this one will not be "
            "rejected",
            file=sys.stderr,
        )
