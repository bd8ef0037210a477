"""Tokens for a FEDn controller that demands them, which FEDn has no command to make.

A token is a JSON web token (RFC 7519), signed with the secret that the controller and the
combiner have in their environment. It says what its bearer may do and until when. For FEDn that is
all; the network of `fednkit serve` demands that a site's token also says which site it is for.
"""

import os
import time
import uuid
from dataclasses import dataclass
from typing import Any, Literal

from ..project.errors import ProjectError

__all__ = [
    "SECRET",
    "Options",
    "checked_claims",
    "make_token",
    "run",
    "secret_of",
    "site_claims",
]

SECRET = "FEDN_JWT_SECRET_KEY"  # noqa: S105, the name of the variable
# client: a site. admin: the initiator. FEDn 0.33 asks for a third one, combiner, only where it
# then answers that this way is obsolete.
Role = Literal["client", "admin"]
# As long as the signature (RFC 7518, section 3.2): whoever has a token can try secrets at home.
SHORTEST = 32
DAY_SECONDS = 24 * 60 * 60
MAX_DAYS = 36500


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of `fednkit token`.

    Attributes:
        role: What its bearer may do: join as a site (client), or upload and start (admin).
        site: Name of the site that the token is for; `fednkit serve` demands it.
        days: Days until the token expires.
        secret_env: Environment variable that holds the controller's secret.

    Raises:
        ProjectError: An option is out of its range, or does not go with another one.
    """

    role: Role
    site: str | None = None
    days: float = 365
    secret_env: str = SECRET

    def __post_init__(self) -> None:
        if not 0 < self.days <= MAX_DAYS:
            raise ProjectError(f"--days: expected above 0 to {MAX_DAYS}, found {self.days:g}")
        if self.site and self.role != "client":
            raise ProjectError("--site: goes with --role client")


def run(options: Options) -> None:
    """Print one token, and nothing else."""
    secret = secret_of(options.secret_env)
    print(make_token(secret, options.role, options.days, options.site))


def secret_of(variable: str) -> str:
    """Return the secret in an environment variable. Raises `ProjectError` when it is none."""
    secret = os.environ.get(variable, "")
    if len(secret.encode()) < SHORTEST:
        raise ProjectError(
            f"{variable}: expected the controller's secret in this environment variable, "
            f"{SHORTEST} characters or more, found {len(secret) or 'nothing'}; "
            "a new one: openssl rand -hex 32"
        )
    return secret


def make_token(secret: str, role: Role, days: float, site: str | None = None) -> str:
    """Return a token for a role that is good for so many days from now.

    site: which one it is for; its client id is made up here, and is in the token's claims.
    """
    # Imported here, because server.py needs no more than a name of this file.
    import jwt

    claims: dict[str, str | int] = {"role": role, "exp": int(time.time() + days * DAY_SECONDS)}
    if site:
        claims |= {"site": site, "client_id": str(uuid.uuid4())}
    token: str = jwt.encode(claims, secret, algorithm="HS256")
    return token


def site_claims(token: str) -> tuple[str, str] | None:
    """Return the site's name and client id that a token states, unchecked; None if it has none."""
    import jwt

    try:
        claims = jwt.decode(token, options={"verify_signature": False})
        return str(claims["site"]), str(claims["client_id"])
    except (jwt.InvalidTokenError, KeyError):
        return None


def checked_claims(header: str, secret: str) -> dict[str, Any]:
    """Return the claims of the token in an Authorization header.

    Raises:
        ValueError: It is missing, has expired, or was signed with another secret; in FEDn's words.
    """
    import jwt

    token = header.partition(" ")[2]
    words = "Invalid token" if token else "Missing token"
    try:
        claims: dict[str, Any] = jwt.decode(token, secret, algorithms=["HS256"])
    except jwt.ExpiredSignatureError:
        words = "Token expired"
    except jwt.InvalidTokenError:
        pass
    else:
        return claims
    raise ValueError(words)
