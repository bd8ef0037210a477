"""Write the folder with which one site joins: fednkit invite."""

import hashlib
import json
import os
import re
import shutil
import uuid
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

from ..package import archive, signing
from ..project.config import current
from ..project.console import say
from ..project.errors import ProjectError
from ..project.paths import shown
from ..project.templates import render
from .connection import checked_url, read_token
from .tokens import SECRET, make_token, secret_of, site_claims

__all__ = ["Options", "copy_joining", "run", "write"]

SITE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
TOKEN_DAYS = 365
# The public key and the package's signature; None where nothing is signed.
Signed = tuple[str, str] | None


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of `fednkit invite`.

    Attributes:
        site: The site's name in the federation.
        api_url: Of the controller, as the site reaches it.
        token_env: Environment variable that holds a token of the role client. Where
            FEDN_JWT_SECRET_KEY is set, a token is made for the site.
        image: The Docker image's name (default: the project's slug).
        zip: Write one file to send, and not a folder.
    """

    site: str
    api_url: str
    token_env: str | None = None
    image: str | None = None
    zip: bool = False


def run(options: Options) -> None:
    """Write the folder, or the zip, and say where it is."""
    if not SITE_NAME.fullmatch(options.site):
        raise ProjectError(
            f"--site: expected up to 60 letters, digits, '.', '_' and '-', found '{options.site}'"
        )
    url, token = checked_url(options.api_url), _token(options)
    archive.check_fresh()
    signed = signing.signed()
    invitations = current().root / "invitations"
    target = invitations / (f"{options.site}.zip" if options.zip else options.site)
    if target.exists():
        raise ProjectError(f"{shown(target)} is there already; remove it for a new invitation")
    fresh = invitations / f".{options.site}"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        image = options.image or current().slug
        write(fresh / options.site, options.site, url, token, image, signed)
        if options.zip:
            made = Path(shutil.make_archive(str(fresh / "made"), "zip", fresh, options.site))
            made.chmod(0o600)
            made.replace(target)
        else:
            (fresh / options.site).replace(target)
    finally:
        shutil.rmtree(fresh)
    secret = "; it holds a token, so send it as you would a password" if token else ""
    say(f"invitation: {shown(target)}{secret}")
    if urlsplit(url).hostname in ("127.0.0.1", "::1", "localhost"):
        say(f"{url} can be reached from this machine alone, and not from a container")


def _token(options: Options) -> str | None:
    """Return the token for the site: the one that is named, or a new one."""
    if not options.token_env and SECRET in os.environ:
        return make_token(secret_of(SECRET), "client", TOKEN_DAYS, options.site)
    token = read_token(options.token_env)
    claims = site_claims(token) if token else None
    if claims and claims[0] != options.site:
        raise ProjectError(
            f"--token-env {options.token_env}: expected a token for {options.site}, found one for "
            f"{claims[0]}"
        )
    return token


def write(folder: Path, site: str, url: str, token: str | None, image: str, signed: Signed) -> None:
    """Write all that a site needs, beside its data and an environment to run in."""
    project = current()
    checksum = hashlib.sha256(project.archive.read_bytes()).hexdigest()
    # The folder is closed and not the files in it: the container's user must be able to read
    # client.yaml, which Docker reaches into the folder for.
    folder.mkdir(0o700)
    (folder / "data").mkdir()
    shutil.copy(project.archive, folder / f"{project.slug}.tgz")
    shutil.copy(project.root / "requirements.lock", folder)
    copy_joining(folder)
    (folder / ".env").write_text(f"IMAGE={image}\n", "utf-8")
    page = render(
        "fednkit.joining",
        "JOIN.md",
        project=project,
        site=site,
        api_url=url,
        checksum=checksum,
        image=image,
        signing_key=signed and signed[0],
    )
    (folder / "JOIN.md").write_text(page, "utf-8")
    (folder / "client.yaml").write_text(_settings(site, url, checksum, token, signed), "utf-8")
    if signed:
        (folder / f"{project.slug}.tgz.minisig").write_text(signed[1], "utf-8")


def _settings(site: str, url: str, checksum: str, token: str | None, signed: Signed) -> str:
    """Return the text of client.yaml."""
    claims = site_claims(token) if token else None
    settings = {
        "api_url": url,
        "name": site,
        # Its own, so that a client which comes back is known for the same one.
        "client_id": claims[1] if claims else str(uuid.uuid4()),
        "package_checksum": checksum,
        "token": token or None,
    }
    if signed:
        settings["signing_key"], settings["package_signature"] = signed
    # JSON strings are YAML strings.
    return "".join(
        f"{key}: {json.dumps(value)}\n" if value is not None else f'# {key}: "..."\n'
        for key, value in settings.items()
    )


def copy_joining(folder: Path) -> None:
    """Copy what runs at a site beside the archive: join.py, its package, and its compose file.

    The files come from the installed library, so that nothing of them lies in the project.
    """
    (folder / "joining").mkdir()
    for entry in files("fednkit.joining").iterdir():
        if entry.name in ("join.py", "compose.yaml"):
            (folder / entry.name).write_bytes(entry.read_bytes())
        elif entry.name.endswith(".py"):
            (folder / "joining" / entry.name).write_bytes(entry.read_bytes())
